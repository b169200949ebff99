"""The exception tree of vecnet.

::

    VecnetError                 whatever vecnet raises on purpose
    ├── InputError              what was written is wrong: a string, a topology, an argument      (exit 2)
    │   ├── VecStringError      … of a vec string
    │   └── CaptureIncomplete   part of a capture could not be replayed; `sent` says how many frames were
    ├── HostError               the host could not be brought to the state that was asked for     (exit 1)
    │   ├── KernelLacksError    this machine has no such kind of interface; names the module or the device
    │   ├── NotOursError        an interface of that name exists and vecnet did not make it
    │   ├── InUseError          a running guest uses what would have to be changed
    │   └── BusyError           another vecnet works in the same network namespace
    ├── ProgramError            a program at the other end could not be started, or has ended            (exit 1)
    │   └── ProgramMissing      it is not installed; names the package
    ├── GuestError              a running guest could not be asked, or did not do it              (exit 1)
    │   ├── GuestMissing        none runs there, or it has just ended
    │   ├── GuestSilent         it gave no answer in time: it hangs, or its process is stopped
    │   └── GuestRefused        it answered that it does not do that; the message has its own words
    └── PortError               a vec string could not be opened, or frames could not be moved    (exit 1)
        ├── PermissionMissing   a capability or a file's permission is missing
        ├── ResourceMissing     a descriptor, a device file or a protocol is missing on this machine
        ├── InterfaceMissing    the interface is not there or is down
        ├── ListenerMissing     nobody listens on the other side (bess), or its program has ended (vde)
        ├── AddressMissing      the local address is on no interface, or no route leads to the remote one
        └── PortClosed          the port was closed, maybe by another thread
"""

from __future__ import annotations

from collections.abc import Iterable

from vecnet.records import record
from vecnet.text import shown

EXIT_FAILED = 1
EXIT_INPUT = 2


@record(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}:{self.column}"


@record(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a sentence, what to write instead, and where. Both sentences are fit to be shown."""

    message: str
    instead: str = ""
    where: Position | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shown(self.message))
        object.__setattr__(self, "instead", shown(self.instead))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f"; {self.instead}" if self.instead else ""
        return f"{place}{self.message}{mend}"


class Refused(ValueError):
    """A value that is not of its kind: what is wrong with it, and what to write instead."""

    def __init__(self, message: str, instead: str = "") -> None:
        self.message, self.instead = message, instead
        super().__init__(str(Problem(message, instead)))


class VecnetError(Exception):
    """Whatever vecnet raises on purpose. `exit_code` is what the command line exits with.

    `problems` holds everything that is wrong, not only the first thing: each with what to write or do instead.
    """

    exit_code = EXIT_FAILED

    def __init__(self, problems: Iterable[Problem] | str, instead: str = "") -> None:
        self.problems = (Problem(problems, instead),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class InputError(VecnetError):
    """What was written is wrong."""

    exit_code = EXIT_INPUT


class VecStringError(InputError):
    """A vec string that no guest takes as it is meant."""


class CaptureIncomplete(InputError):
    """Part of a capture could not be replayed. `sent` frames were, among them all before the damage."""

    def __init__(self, problems: Iterable[Problem] | str, sent: int) -> None:
        super().__init__(problems)
        self.sent = sent


class HostError(VecnetError):
    """The host could not be brought to the state that was asked for."""


class KernelLacksError(HostError):
    """This machine has no such kind of interface; the message names the module or the device file."""


class NotOursError(HostError):
    """An interface of that name exists and does not carry this topology's mark."""


class InUseError(HostError):
    """A running guest uses what would have to be changed."""


class BusyError(HostError):
    """Another vecnet works in the same network namespace."""


class ProgramError(VecnetError):
    """A program at the other end could not be started, or has ended."""


class ProgramMissing(ProgramError):
    """A program is not installed; what to do instead names its package."""


class GuestError(VecnetError):
    """A running guest could not be asked, or did not do what it was asked."""


class GuestMissing(GuestError):
    """No guest runs there, or it has ended without an answer."""


class GuestSilent(GuestError):
    """A guest gave no answer in time."""


class GuestRefused(GuestError):
    """A guest answered that it does not do that. `answer` is what it said, word by word."""

    def __init__(self, message: str, instead: str, answer: str) -> None:
        super().__init__(message, instead)
        self.answer = answer


class PortError(VecnetError):
    """A vec string could not be opened, or frames could not be moved."""


class PermissionMissing(PortError):
    """A capability or a file's permission is missing."""


class ResourceMissing(PortError):
    """This machine lacks what a port takes: a descriptor, a device file, a protocol of its kernel."""


class InterfaceMissing(PortError):
    """The interface is not there or is down."""


class ListenerMissing(PortError):
    """Nobody listens on the other side."""


class AddressMissing(PortError):
    """The local address is on no interface, or no route leads to the remote one."""


class PortClosed(PortError):
    """The port was closed, maybe by another thread."""
