"""What a guest has, and what it was given: its own answers, its command line, and the note of what was plugged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from vecnet.commandline import words_of
from vecnet.errors import Refused, VecStringError
from vecnet.guests.kernel import EVERY, Kernel, of_version
from vecnet.mconsole import Guest
from vecnet.options import kstrtox
from vecnet.plugging import note
from vecnet.plugging.note import Plugged
from vecnet.topology.model import ResolvedLink, Topology
from vecnet.vecstring import MAX_UNIT, VecDevice, parse

_WORD = re.compile(r"vec(\w+):")
_NAME = re.compile(r"vec(0|[1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Given:
    """What a guest was given, by units, at its boot and since: read without any trace in the guest.

    `words` are those of its command line, `release` its kernel's version, and `boot` names this boot.
    """

    strings: Mapping[int, Plugged]
    words: tuple[str, ...]
    release: str
    boot: str

    @cached_property
    def kernel(self) -> Kernel:
        """The generation that the guest belongs to; any, where that cannot be told."""
        try:
            return of_version(self.release)
        except Refused:
            return EVERY

    def is_as(self, wanted: VecDevice) -> bool:
        """Whether the guest was given this device, in whatever words."""
        known = self.strings.get(wanted.unit)
        if known is None or known.string in ("", str(wanted)):
            return known is not None and known.string != ""
        try:
            return parse(known.string, self.kernel.stated or None) == wanted
        except VecStringError:
            return False

    def is_of(self, devices: Iterable[VecDevice]) -> bool:
        """Whether this is the guest that has these devices, and not another of its name: one of them is enough."""
        return any(self.is_as(device) for device in devices)


def links(topology: Topology, guest: str) -> dict[int, ResolvedLink]:
    """A guest's links, by the units of their devices."""
    return {
        device.unit: link
        for link in topology.links
        for end, device in zip(link.spec.ends, link.devices, strict=True)
        if device is not None and end.node == guest
    }


def given(guest: Guest) -> Given:
    """Raises GuestError."""
    words = words_of(guest.proc("cmdline"))
    boot = guest.proc("sys/kernel/random/boot_id").strip()
    strings: dict[int, Plugged] = {}
    for word in words:
        found = _WORD.match(word)
        unit = kstrtox(found[1], 0, MAX_UNIT) if found else None
        if unit is not None:
            strings.setdefault(unit, Plugged(unit, word))  # the first of two wins
    strings |= note.read(guest.folder, boot)
    said = guest.version().split()  # Linux (none) 6.1.176 #1 …
    return Given(strings, tuple(words), said[2] if len(said) > 2 else "", boot)


def up_by_name(guest: Guest) -> dict[int, int]:
    """The units whose devices are up and have their own names, with how often each has woken the guest's kernel."""
    found = ((_NAME.fullmatch(name), count) for name, count in guest.interrupts().items())
    return {int(name[1]): count for name, count in found if name is not None}
