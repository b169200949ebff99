"""The devices for which a guest's command line has no room: they are plugged once the guest's console answers.

A process of its own does it, beside the guest, which has its own terminal and signals. It ends when all is plugged, and
with the process that started it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vecnet.errors import GuestError, GuestMissing, GuestRefused, GuestSilent, HostError, VecnetError
from vecnet.guests import GENERATIONS
from vecnet.kernel.unforeseen import in_words
from vecnet.launch import PLACEHOLDER, commands
from vecnet.mconsole import Guest
from vecnet.plugging import note
from vecnet.plugging.devices import links
from vecnet.plugging.note import Plugged
from vecnet.signals import end_with_parent
from vecnet.topology.model import Topology
from vecnet.vecstring import VecDevice

_ROOM = min(guest.command_line for guest in GENERATIONS)
_SPARE = 64  # bytes for what a kernel adds of itself, such as console=tty0
_BOOT = 90.0  # seconds in which a guest's console has to answer; it takes one
_LOOKS = 0.1  # seconds between two tries
_NOT_READY = "Bad configuration option"  # while the guest boots: its driver does not listen yet

Say = Callable[[str], None]
Show = Callable[[VecnetError], None]


@dataclass(frozen=True)
class Later:
    """What is plugged into a guest when it answers, and the word that its command line needs for that."""

    guest: Guest
    devices: Sequence[VecDevice]
    links: Mapping[int, str]
    words: tuple[str, ...]

    @property
    def units(self) -> frozenset[int]:
        return frozenset(device.unit for device in self.devices)


def later(topology: Topology, guest: str, words: Sequence[str]) -> Later | None:
    """What a guest's command line has no room for; None where all of it fits.

    `words` are those of its command, which say where its console will be. Raises HostError where a guest is there
    already, or where even what cannot be plugged, a descriptor that is inherited, does not fit.
    """
    (line,) = commands(topology, [guest], words).values()
    excess = sum(len(word) + 1 for word in line[1:]) + _SPARE - _ROOM
    if excess < 0:
        return None
    own = [word.replace(PLACEHOLDER, guest) for word in words]
    umid = next((word.removeprefix("umid=") for word in own if word.startswith("umid=")), "")
    added = () if umid else (f"umid={guest}",)
    excess += sum(len(word) + 1 for word in added)
    devices: list[VecDevice] = []
    for device in reversed(topology.devices(guest)):
        if excess >= 0 and device.transport.inherits() is None:
            devices.insert(0, device)
            excess -= len(str(device)) + 1
    if excess >= 0:
        said = f"{guest}'s command line is {excess + 1} bytes too long, and none of its devices can be plugged instead"
        raise HostError(said, "give it fewer words")
    folders = [word.removeprefix("uml_dir=") for word in own if word.startswith("uml_dir=")]
    console = Guest(umid or guest, uml_dir=Path(folders[-1]).expanduser() if folders else None)
    _require_none(console)
    return Later(console, devices, {unit: link.name for unit, link in links(topology, guest).items()}, added)


def _require_none(guest: Guest) -> None:
    with suppress(GuestMissing):
        with suppress(GuestSilent, GuestRefused):
            guest.version()
        raise HostError(f"a guest with umid={guest} runs already", "end it, or give this one another umid")


@contextmanager
def plugged(guests: Sequence[Later], say: Say, show: Show) -> Iterator[None]:
    """Beside the block, plug into each guest as soon as its console answers. `say` and `show` tell what came of it."""
    parent = os.getpid()
    started = []
    try:
        for one in guests:
            pid = os.fork()
            if not pid:
                try:
                    for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal's, which are the guest's
                        signal.signal(number, signal.SIG_IGN)
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    end_with_parent(parent, signal.SIGTERM)
                    _plug(one, say, show)
                finally:
                    os._exit(0)
            started.append(pid)
        yield
    finally:
        for pid in started:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def _plug(one: Later, say: Say, show: Show) -> None:
    try:
        boot = _booted(one.guest)
        begin, failed = time.monotonic(), 0
        with note.opened(one.guest.folder, boot) as noted:
            for device in one.devices:
                try:
                    _config(one.guest, str(device))
                    noted.add(Plugged(device.unit, str(device), one.links[device.unit]))
                except GuestRefused as error:
                    show(error)
                    failed += 1
        count = len(one.devices) - failed
        say(f"{one.guest}: {count} of {len(one.devices)} devices plugged, in {time.monotonic() - begin:.1f} s")
    except VecnetError as error:
        show(error)
    except OSError as error:
        show(HostError([in_words(error)]))


def _booted(guest: Guest) -> str:
    """Wait until a guest answers, and return the name of its boot. Raises GuestError."""
    limit = time.monotonic() + _BOOT
    while True:
        try:
            return guest.proc("sys/kernel/random/boot_id").strip()
        except GuestError:
            if time.monotonic() > limit:
                raise
            time.sleep(_LOOKS)


def _config(guest: Guest, string: str) -> None:
    limit = time.monotonic() + _BOOT
    while True:
        try:
            guest.config(string)
            return
        except GuestRefused as error:
            if error.answer != _NOT_READY or time.monotonic() > limit:
                raise
            time.sleep(_LOOKS)
