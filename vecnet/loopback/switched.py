"""vecnet's own switch under test: the real one, with the link's port, and one more by which the tester is on it.

    the guest's string ── the link's port ══ the switch ══ a port of the tester's

A switch that is served already is that very one, where the link's guest is not there. One that is not is made for the
link, and alone with it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from vecnet.datapath.port import Port, open_port
from vecnet.datapath.switch import Switch
from vecnet.errors import HostError, VecnetError
from vecnet.loopback.codes import Code
from vecnet.loopback.subject import Subject
from vecnet.loopback.verdict import Failed, Untested
from vecnet.serving import control
from vecnet.serving.folder import locked
from vecnet.serving.join import joined
from vecnet.serving.plan import Door, PlannedPort
from vecnet.serving.port import ServedPort
from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

_TESTER = "loopback"  # the name of its port, which no topology's port need avoid: it is alone with the link's


@dataclass(frozen=True)
class Private:
    """Not there yet: one is made for the link. `folder` is the topology's."""

    folder: str

    @contextmanager
    def tester(self, planned: PlannedPort, mtu: int) -> Iterator[Port]:
        """A port of the tester's, on a switch that has the planned one. Raises Failed, HostError."""
        with switch_of([planned], self.folder) as switch, plugged(switch, mtu) as port:
            yield port


@dataclass(frozen=True)
class Served:
    """Served by another process, to guests."""

    topology: str
    ports: Sequence[control.PortState]

    @contextmanager
    def tester(self, planned: PlannedPort, mtu: int) -> Iterator[Port]:
        """A port of the tester's, on the switch that has the planned one. Raises Failed, Untested, HostError."""
        with joined(self.topology, self.port(planned).switch, mtu) as port:
            yield port

    def port(self, planned: PlannedPort) -> control.PortState:
        """The planned port. Raises Failed, Untested."""
        state = next((one for one in self.ports if (one.link, one.port) == (planned.link, planned.name)), None)
        if state is None:
            raise Untested(f"who serves {self.topology} has no port for {planned.link}: let it read the file again")
        if not state.healthy:
            raise Failed(Code.NOT_OPENED, f"{state.switch}:{state.port}: {state.why}")
        return state

    def refuse_guest(self, planned: PlannedPort) -> None:
        """Raise Untested where a guest is connected at the planned port, which lets one in at a time."""
        state = self.port(planned)
        if state.connected and isinstance(planned.behind, Door):
            raise Untested(f"the wire is in use: a guest is connected at {state.switch}:{state.port}; stop it")


def served(topology: str) -> Served | None:
    """The switches of a topology that somebody serves to this user; None where nobody does."""
    return Served(topology, control.states(topology)) if control.server(topology) is not None else None


@contextmanager
def switches_of(subject: Subject) -> Iterator[Private | Served]:
    """The switches of a subject's topology. Raises Untested where its guest is there, or they are another user's."""
    if (found := served(subject.topology)) is not None:
        door = subject.door or subject.far.planned
        if subject.near.device is not None and door is not None:
            found.refuse_guest(door)
        yield found
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(locked(subject.topology))
        except HostError as error:
            raise Untested(str(error)) from None
        yield Private(folder)


@contextmanager
def switch_of(ports: Sequence[PlannedPort], folder: str) -> Iterator[Switch]:
    """A switch that runs, with these ports. Raises Failed where one cannot be opened: a program is missing, say."""
    with Switch() as switch, ExitStack() as stack:
        for port in ports:
            try:
                served = ServedPort(switch, port, folder, lambda _: None)
            except HostError:
                raise
            except VecnetError as error:
                raise Failed(Code.NOT_OPENED, str(error)) from None
            stack.callback(served.close)
        yield switch


@contextmanager
def plugged(switch: Switch, mtu: int) -> Iterator[Port]:
    """The tester's port on a switch."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        switch.add(VecDevice(0, Fd(fd=near.fileno(), mtu=mtu)), name=_TESTER, storm=None)
        port = open_port(VecDevice(0, Fd(fd=far.fileno(), mtu=mtu)))
    with port:
        yield port
