"""Starting guests: the descriptors that their fd links inherit, and their processes.

A guest's string names the number of a descriptor (`fd=100`), so it must have that very number in the guest's process:

    fd link between two guests    a pair of datagram sockets, one for each: the guests start together
    fd link to the host           the tap's descriptor, which takes one frame a call, without a virtio-net header
    fd link to a switch           a connection to it, whose packets are frames; so to a program outside, behind one

One guest takes this process's place, so that the terminal and every signal are its own. Several are children: what they
print comes line by line with the guest's name before it, signals are passed on to them, and they end when this process
is killed.

Source: HOWTO, "fd transport"; socketpair(2), unix(7); kernel documentation, networking/tuntap; prctl(2).
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from vecnet.errors import HostError, InputError, Problem
from vecnet.guests.kernel import Kernel, of_version, read_version
from vecnet.kernel import unix_sockets
from vecnet.kernel.namespaces import Namespaces
from vecnet.kernel.unforeseen import advice, in_words
from vecnet.signals import end_with_parent, handled, held, unless_ignored
from vecnet.text import shown
from vecnet.topology.model import ResolvedLink, Topology
from vecnet.transports.answers import FarEnd
from vecnet.transports.link import HostInterface

_LONGEST = 65536  # bytes of a line that is printed whole
PLACEHOLDER = "{guest}"  # in a guest's command: its name
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_NOT_FOUND, _NOT_STARTED, _BY_SIGNAL = 127, 126, 128  # exit statuses, as a shell gives them
_NONE: Mapping[str, Collection[int]] = {}

Descriptors = dict[str, dict[int, int]]  # for each guest: the number in the guest, and the descriptor here


def descriptors(topology: Topology, guests: Collection[str]) -> Descriptors:
    """Open what the fd links of these guests inherit. All of it is closed on exec.

    Raises InputError where a link's other guest is not among them, HostError where a tap cannot be opened.
    """
    links = [link for link in topology.links if any(options.inherits() is not None for options in link.options)]
    links = [link for link in links if any(end.node in guests for end in link.spec.ends)]
    _require_both(links, guests)
    found: Descriptors = {guest: {} for guest in guests}
    for link in links:
        for end, options, own in zip(link.spec.ends, link.options, inherited(link), strict=True):
            number = options.inherits()
            if end.node is not None and number is not None and own is not None:
                found[end.node][number] = own
    return found


def _require_both(links: Iterable[ResolvedLink], guests: Collection[str]) -> None:
    alone = []
    for link in links:
        absent = [end.node for end in link.spec.ends if end.node is not None and end.node not in guests]
        if absent:
            message = f"{link.name} is a pair of sockets, which both guests inherit: {absent[0]} must start as well"
            alone.append(Problem(message, f"add --guest {absent[0]}", link.position))
    if alone:
        raise InputError(alone)


def inherited(link: ResolvedLink) -> tuple[int, int | None]:
    """What the guests at a link's ends inherit; None where there is none. The caller closes it. Raises HostError."""
    if link.spec.door is None:
        return inherited_pair(link.interfaces)
    return connection_to(link.spec.door, link.name), None


def connection_to(door: str, link: str) -> int:
    """A socket that is connected to the switch that listens at `door`. Raises HostError."""
    try:
        return unix_sockets.connected(door).detach()
    except OSError as error:
        where = f"{link}: no switch takes a guest at {door}: {error.strerror}"
        raise HostError(where, "run `vecnet serve` beside, with the same file") from None


def inherited_pair(interfaces: Sequence[HostInterface]) -> tuple[int, int | None]:
    """Open what the guests at a link's ends inherit; None at the host's end, which is the first of `interfaces`.

    The caller closes them. Raises HostError.
    """
    if not interfaces:
        # datagrams keep frames whole, and one end's death is no end of file that the other would read for ever
        try:
            one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError as error:
            raise HostError(f"no pair of sockets for two guests: {error.strerror}", advice(error)) from None
        return one.detach(), other.detach()
    from vecnet import host

    return host.attach_tap(interfaces[0]), None


def namespace(topology: Topology, guest: str) -> str | None:
    """The named network namespace that a guest must be started in, None for this one.

    Raises InputError where its links lie in several: a process is in one.
    """
    found: dict[str | None, ResolvedLink] = {}
    for link in topology.links:
        for end, options in zip(link.spec.ends, link.options, strict=True):
            anywhere = options.inherits() is not None or options.far_end in (FarEnd.SWITCH, FarEnd.PROGRAM)
            if end.node == guest and not anywhere:
                found.setdefault(options.opened_in(link.spec), link)
    if len(found) > 1:
        where = " and ".join(f"{link.name} in {place or 'this one'}" for place, link in found.items())
        message = f"{guest} cannot start: its links lie in different network namespaces, {where}"
        raise InputError([Problem(message, "give the host's ends the same netns", next(iter(found.values())).position)])
    return next(iter(found), None)


def commands(
    topology: Topology, guests: Iterable[str], words: Sequence[str], later: Mapping[str, Collection[int]] = _NONE
) -> dict[str, list[bytes]]:
    """Each guest's command line: the words, with {guest} in them its name, its vec strings, and what these need.

    The strings of the units in `later` are left out.

    The names in these are a kernel's, which are bytes and no locale's.
    """
    return {
        guest: [
            *(os.fsencode(word.replace(PLACEHOLDER, guest)) for word in words),
            *(str(d).encode() for d in topology.devices(guest) if d.unit not in later.get(guest, ())),
            *(word.encode() for word in topology.words(guest) if word not in words),
        ]
        for guest in guests
    }


def require_kernels(topology: Topology, commands: Mapping[str, Sequence[bytes]]) -> None:
    """Raise InputError where the kernel that a guest's command starts does not take its strings as meant.

    A command that is no kernel, such as a script that starts one, is not asked.
    """
    problems: list[Problem] = []
    for guest, command in commands.items():
        binary = shutil.which(os.fsdecode(command[0]))
        version = read_version(binary) if binary else None
        if version is None:
            continue
        problems += unfit(topology, guest, f"{binary} is {version}", of_version(version))
    if problems:
        raise InputError(problems)


def unfit(topology: Topology, guest: str, what: str, kernel: Kernel) -> Iterator[Problem]:
    """Why a kernel does not take a guest's strings as meant; `what` says what the kernel is."""
    for device in topology.devices(guest):
        options = device.transport
        for problem in options.problems(list(options.cases(vars(options))), kernel.guests):
            message = f"{what}, and of {guest}'s {device.ifname}: {problem.message}"
            yield Problem(message, problem.instead)


@dataclass(frozen=True)
class Start:
    """How a guest is started: its command, the descriptors by their numbers in it, and its network namespace."""

    command: Sequence[bytes]
    inherited: Mapping[int, int]
    netns: str | None = None


def become(start: Start) -> NoReturn:
    """Replace this process by a guest's. Ends it with 126 or 127, and a sentence, where that cannot be."""
    program = shown(os.fsdecode(start.command[0])) or "''"
    try:
        with Namespaces() as namespaces, namespaces[start.netns].entered():
            _place(start.inherited)
            sys.stdout.flush()
            try:
                os.execvp(start.command[0], list(start.command))  # noqa: S606 - the user's own command
            except OSError as error:
                status = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_STARTED
                _end(f"{program}: {error.strerror}", status)
    except OSError as error:
        _end(f"{program} is not started: {in_words(error)}", _NOT_STARTED)
    except HostError as error:
        _end(f"{program} is not started: {error}", _NOT_STARTED)


def _end(why: str, status: int) -> NoReturn:
    print(why, file=sys.stderr, flush=True)
    os._exit(status)


def _place(inherited: Mapping[int, int]) -> None:
    """Give each descriptor its number in the guest, without writing over one that is still to be moved."""
    sources = dict(inherited)
    for number, fd in inherited.items():
        while fd in inherited:
            fd = os.dup(fd)
        sources[number] = fd
    for number, fd in sources.items():
        os.dup2(fd, number, inheritable=True)


def run_alone(start: Start) -> int:
    """Run one guest in the foreground, with the terminal its own, and return its exit status.

    Its descriptors are closed here.
    """

    def pass_on(number: int) -> None:
        if number not in (signal.SIGINT, signal.SIGQUIT):  # the terminal has sent it to the guest as well
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    parent = os.getpid()
    with held(_PASSED_ON):
        pid = os.fork()
        if not pid:
            try:
                end_with_parent(parent, signal.SIGTERM)
                _take_signals()
                become(start)
            finally:
                os._exit(_NOT_STARTED)
    for fd in start.inherited.values():
        os.close(fd)
    with handled(_PASSED_ON, pass_on):
        return _wait(pid, [pid])


def _take_signals() -> None:
    """In a guest's process: signals do what they do by default, and none waits any more."""
    for number in unless_ignored(_PASSED_ON):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)


def run_together(started: Mapping[str, Start], label: Callable[[str], str] = str) -> int:
    """Run guests side by side to their ends, and return the first exit status that is not 0, or 0.

    The guests' descriptors are closed here. `label` styles a guest's name. Raises HostError where not all can start:
    those that have are ended.
    """
    width = max(map(len, started))
    running: list[int] = []

    def pass_on(number: int) -> None:
        for pid in running:
            os.kill(pid, number)

    with selectors.DefaultSelector() as outputs, handled(_PASSED_ON, pass_on):
        with held(_PASSED_ON):  # a signal now would miss guests that are about to start
            for guest, start in started.items():
                try:
                    read, write = os.pipe()
                    running.append(_child(start, write))
                except OSError as error:
                    pass_on(signal.SIGTERM)
                    raise HostError(f"{guest} cannot start: {error.strerror}", advice(error)) from None
                os.close(write)
                outputs.register(read, selectors.EVENT_READ, _Lines(label(f"{guest:{width}}| ")))
        guests = [*running]
        for start in started.values():
            for fd in start.inherited.values():
                os.close(fd)
        _print_all(outputs)
        statuses = [_wait(pid, running) for pid in guests]
    return next((status for status in statuses if status), 0)


def _child(start: Start, output: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)  # the terminal's signals come by way of the parent, once
        end_with_parent(parent, signal.SIGTERM)
        _take_signals()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        become(start)
    except OSError as error:
        _end(f"a guest is not started: {in_words(error)}", _NOT_STARTED)
    finally:
        os._exit(_NOT_STARTED)


def _wait(pid: int, running: list[int]) -> int:
    _, status = os.waitpid(pid, 0)
    running.remove(pid)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _BY_SIGNAL - code


def _printed(lines: bytes) -> bool:
    """Print whole lines. False, and a sentence, where nobody takes them any more: a pipe's reader, a full disk."""
    try:
        sys.stdout.flush()
        while lines:
            lines = lines[os.write(1, lines) :]
    except OSError as error:
        with suppress(OSError):
            os.write(2, f"the guests' output cannot be printed any more: {error.strerror}; they go on\n".encode())
        return False
    return True


class _Lines:
    """What a guest prints, line by line behind its name."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._rest = prefix.encode(), b""

    def take(self, data: bytes) -> bytes:
        """The lines that `data` completes, to be printed; no data ends the last one, and so does its length."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and (not data or len(self._rest) >= _LONGEST):
            lines, self._rest = [*lines, self._rest], b""
        return b"".join(self._prefix + line.rstrip(b"\r") + b"\n" for line in lines)


def _print_all(outputs: selectors.BaseSelector) -> None:
    """Print what the guests say until the last has ended. Where it can be printed no more, they go on unheard."""
    heard = True
    while outputs.get_map():
        for key, _ in outputs.select():
            assert isinstance(key.fd, int)
            data = os.read(key.fd, 65536)
            if heard and (lines := key.data.take(data)):
                heard = _printed(lines)
            if not data:
                outputs.unregister(key.fd)
                os.close(key.fd)
