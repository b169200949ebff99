"""A wire under test: both ends of a subject, opened."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vecnet.errors import HostError, InUseError, PortError
from vecnet.loopback.codes import Code
from vecnet.loopback.subject import Side, Subject
from vecnet.loopback.verdict import Failed, Untested, lacks
from vecnet.serving.plan import Door
from vecnet.text import a
from vecnet.transports.answers import FarEnd
from vecnet.transports.link import chosen_mac
from vecnet.transports.raw import Raw
from vecnet.values import is_v6
from vecnet.vecstring import VecDevice

if TYPE_CHECKING:
    from vecnet.datapath.port import Offload, Port
    from vecnet.impairment import Impairment
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.loopback.switched import Private, Served

_PATIENCE = 2.0  # seconds, for the kernel's workers
_TURN = 0.05  # seconds that a frame has to pass through programs
_TAKEN = (errno.EBUSY, errno.EADDRINUSE)  # of a port that cannot be opened: somebody else has it
_PLAYED_MAC = "02:00:00:00:00:02"  # of an end that has no address of its own


@dataclass(frozen=True)
class Wire:
    """A subject whose ends are open, and the Ethernet addresses of the near and the far end.

    `share` of the usual time is what a measurement may take.
    """

    subject: Subject
    near: Port
    far: Port
    macs: tuple[bytes, bytes]
    impaired: Impairment | None = None  # by the kernel, in what the far end sends
    share: float = 1.0

    @property
    def directions(self) -> tuple[tuple[str, Port, Port, bytes, bytes], ...]:
        """Both ways: the words for it, the sender, the receiver, the address sent to and the one sent from."""
        near, far = self.macs
        here, there = self.subject.near.name, self.subject.far.name
        return (
            (f"{here} to {there}", self.near, self.far, far, near),
            (f"{there} to {here}", self.far, self.near, near, far),
        )


@contextmanager
def opened(
    subject: Subject,
    near_offload: Offload = "software",
    far_offload: Offload = "software",
    *,
    guest_follows: bool = False,
) -> Iterator[Wire]:
    """Both ends, open within the block. Raises Failed or Untested, each with the reason in words.

    `guest_follows` where a guest is to take the near end's place, once that is closed.
    """
    from vecnet.kernel.namespaces import Namespaces

    near, far = subject.near, subject.far
    if far.is_host and not far.ifname:
        _refuse_unplayable(subject)
    if far.switch:
        _refuse_foreign_switch(far)
    with ExitStack() as stack, Namespaces() as namespaces:
        for side in (near, far):
            if side.twin:
                _refuse_to_play_elsewhere(side, namespaces)
        with _judged():
            switches = stack.enter_context(_switches(subject))
            # the far end first: a guest connects to a switch that listens
            if subject.far.planned is not None:
                assert switches is not None
                far_port = stack.enter_context(switches.tester(subject.far.planned, subject.mtu))
                here, _ = _with_descriptors(subject, stack)
            else:
                here, there = _with_descriptors(subject, stack)
                far_port = stack.enter_context(_port(subject, there, namespaces, far_offload))
            near_port = stack.enter_context(_near(subject, here, namespaces, switches, near_offload))
        if far.switch and not guest_follows:  # both are connected: nobody else is to come in
            for port in (near_port, far_port):
                port.withdraw()
        for side in (near, far):
            _wait_until_it_carries(side, namespaces)
        macs = (_mac(near, namespaces), _mac(far, namespaces))
        wire = Wire(subject, near_port, far_port, macs, _impaired(subject, namespaces))
        if far.beside:
            with _judged():
                _wait_until_it_joins(wire)
        yield wire


@contextmanager
def guest_port(subject: Subject) -> Iterator[Port]:
    """The near end alone, open within the block. Raises Failed or Untested."""
    from vecnet.kernel.namespaces import Namespaces

    with ExitStack() as stack, Namespaces() as namespaces:
        with _judged():
            switches = stack.enter_context(_switches(subject))
            here, _ = _with_descriptors(subject, stack)
            port = stack.enter_context(_near(subject, here, namespaces, switches, "software"))
        _wait_until_it_carries(subject.far, namespaces)
        yield port


@contextmanager
def opened_here(subject: Subject, side: Side) -> Iterator[tuple[Port, bytes]]:
    """One end of a tunnel, whose other end is opened on another machine, and its Ethernet address.

    Raises Failed or Untested.
    """
    from vecnet.kernel.namespaces import Namespaces

    with ExitStack() as stack, Namespaces() as namespaces:
        with _judged():
            switches = stack.enter_context(_switches(subject))
            port = stack.enter_context(_near(subject, side, namespaces, switches, "software"))
        _wait_until_it_carries(side, namespaces)
        yield port, _mac(side, namespaces)


@contextmanager
def guest_at_door(subject: Subject) -> Iterator[Port]:
    """The near end's string alone, opened at a switch that listens for it. Raises Failed or Untested."""
    from vecnet.kernel.namespaces import Namespaces

    with ExitStack() as stack, Namespaces() as namespaces:
        with _judged():
            here, _ = _with_descriptors(subject, stack)
            port = stack.enter_context(_port(subject, here, namespaces, "software"))
        yield port


def _switches(subject: Subject) -> AbstractContextManager[Private | Served | None]:
    """vecnet's own switches, where the subject has a port on one."""
    if not subject.topology:
        return nullcontext(None)
    from vecnet.loopback.switched import switches_of

    return switches_of(subject)


def _near(
    subject: Subject, side: Side, namespaces: Namespaces, switches: Private | Served | None, offload: Offload
) -> AbstractContextManager[Port]:
    if side.planned is not None:
        assert switches is not None
        return switches.tester(side.planned, subject.mtu)
    return _port(subject, side, namespaces, offload)


@contextmanager
def _judged() -> Iterator[None]:
    """What keeps a port from being opened, as a verdict."""
    try:
        yield
    except (PortError, HostError) as error:
        taken = isinstance(error, InUseError) or getattr(error.__cause__, "errno", 0) in _TAKEN
        raise Untested(str(error)) if taken or lacks(error) else Failed(Code.NOT_OPENED, str(error)) from None


def _with_descriptors(subject: Subject, stack: ExitStack) -> tuple[Side, Side]:
    """Both sides, with descriptors opened here for those that guests inherit: their numbers are not ours to take."""
    from vecnet.launch import connection_to, inherited_pair

    sides = (subject.near, subject.far)
    if not any(side.device and side.device.transport.inherits() is not None for side in sides):
        return sides
    door = subject.door or subject.far.planned
    if door is not None and isinstance(door.behind, Door):
        opened: tuple[int, int | None] = (connection_to(door.behind.options.dst, subject.name), None)
    else:
        opened = inherited_pair(subject.interfaces)
    for descriptor in filter(None, opened):
        stack.callback(os.close, descriptor)
    near, far = (_inheriting(side, descriptor) for side, descriptor in zip(sides, opened, strict=True))
    return near, far


def _inheriting(side: Side, descriptor: int | None) -> Side:
    if side.device is None or descriptor is None:
        return side
    return dataclasses.replace(side, device=VecDevice(side.device.unit, side.device.transport.inheriting(descriptor)))


def _port(subject: Subject, side: Side, namespaces: Namespaces, offload: Offload) -> Port:
    """One end, opened where it lies: a device by its string, the host's interface by packet sockets."""
    from vecnet.datapath.port import open_port

    with namespaces[side.netns].entered():
        if side.device is not None:
            return open_port(side.device, role="switch" if side.switch else "guest", offload=offload)
        try:
            return open_port(
                VecDevice(0, Raw(ifname=side.ifname, mtu=subject.mtu, gro=True, depth=256)), offload=offload
            )
        except PortError as error:  # the link's own transport is another one
            raise type(error)(str(error).removeprefix("raw: ")) from None


def refuse_in_use(subject: Subject, users: Mapping[str, str]) -> None:
    """Raise Untested where a running guest, or whoever, has one of the ends. `users` are those of links' interfaces."""
    from vecnet.kernel.inet_sockets import holder
    from vecnet.loopback.switched import served

    ours = bool(subject.topology) and served(subject.topology) is not None  # a served switch has its own ends open
    who = "" if ours else users.get(subject.name, "")
    for side in (subject.near, subject.far):
        if ours and side.planned is not None:
            continue
        at = side.transport.receives_at() if side.transport else None
        if at is not None and not who:
            with suppress(ValueError):  # a name, which the guest looks up
                found = holder(at.protocol, at.address, at.port or 0)
                who = f"{found} receives {at.protocol} at {at.address}" if found else ""
    if who:
        raise Untested(f"the wire is in use: {who}; stop it, or give --live to send frames into it all the same")


def _refuse_unplayable(subject: Subject) -> None:
    """Raise Untested, or Failed where the guest's own end is deaf: its program ends soon after it was started."""
    end = f"vecnet cannot play {subject.far.name}, the other end of {a(subject.transport)} link"
    if subject.near.transport is None or subject.near.transport.far_end is not FarEnd.PROGRAM:
        raise Untested(end)
    with guest_port(subject) as port, _judged():
        port.recv(_PATIENCE)
    raise Untested(f"{subject.near.name} opens, and {end}")


def _refuse_foreign_switch(side: Side) -> None:
    """Raise Untested where another program is the switch: it alone decides where frames go."""
    from vecnet.kernel.unix_sockets import Holder, holder

    assert side.transport is not None
    path = side.transport.far_name
    who = holder(path)
    if who is Holder.UNKNOWN:
        raise Untested(f"{path}: {who.value}: remove it if nobody has it, or run this outside the sandbox")
    if who is not Holder.NOBODY:
        raise Untested(f"{path}: {who.value}: stop it, and vecnet plays the switch")


def _refuse_to_play_elsewhere(side: Side, namespaces: Namespaces) -> None:
    """Raise Untested where the address is another machine's, as it should be."""
    from vecnet.kernel.rtnl import is_reached

    at = side.transport.receives_at() if side.transport else None
    if at is None or not is_reached(namespaces.home, at.address):
        where = f", at {at.address}," if at else ""
        raise Untested(
            f"{side.name}{where} is not this machine: the wire ends there; in `vecnet sandbox` a twin plays it"
        )


def mac_of(side: Side) -> bytes:
    """The Ethernet address of a device's end."""
    text = side.transport.mac if side.transport else None
    if side.planned is not None:
        text = chosen_mac("loopback", side.name)  # of who is on the switch, for a switch has none
    return bytes.fromhex((text or _PLAYED_MAC).replace(":", ""))


def _mac(side: Side, namespaces: Namespaces) -> bytes:
    """An end's Ethernet address. Raises Failed where the host's interface is not there."""
    from vecnet.kernel import rtnl

    if not side.is_host:
        return mac_of(side)
    try:
        return bytes.fromhex((rtnl.read_link(namespaces[side.netns], side.stack).mac or _PLAYED_MAC).replace(":", ""))
    except OSError as error:
        raise _missing(side.stack, error) from None


def _wait_until_it_carries(side: Side, namespaces: Namespaces) -> None:
    """What a busy kernel does only up to a second later, or two: a tap has a carrier from when it is opened, and an
    IPv6 address is reached from when it is given."""
    from vecnet.kernel import rtnl

    place = namespaces[side.netns]
    for ifname in filter(None, (side.ifname, side.bridge)):
        try:
            wait_until(partial(rtnl.sends, place, ifname))
        except OSError as error:
            raise _missing(ifname, error) from None
    for address in _own_ipv6(side):
        wait_until(partial(rtnl.is_reached, place, address))


def _wait_until_it_joins(wire: Wire) -> None:
    """The programs of both ends tell nobody when they have joined their network: until frames pass both ways."""
    from vecnet.loopback.exchange import send_and_judge
    from vecnet.loopback.numbered import SMALLEST

    def passes() -> bool:
        ways = wire.directions
        return not any(send_and_judge(*way[1:], [SMALLEST], 1, patience=_TURN).lost for way in ways)

    wait_until(passes)


def _own_ipv6(side: Side) -> list[str]:
    """The IPv6 addresses that this host has for an end: a tunnel's outer one, the host's inner ones."""
    at = side.transport.receives_at() if side.transport else None
    own = [at.address] if at else [address.partition("/")[0] for address in side.addresses] if side.is_host else []
    return [address for address in own if is_v6(address)]


def _impaired(subject: Subject, namespaces: Namespaces) -> Impairment | None:
    """What frames suffer that the host's interface sends; it is the far end, or what the far end sends by."""
    from vecnet.host import as_netem
    from vecnet.kernel import netem, rtnl

    for interface in subject.interfaces[:1]:
        place = namespaces[interface.netns]
        with suppress(OSError):  # the probes will say that it is not there
            root = netem.read_roots(place).get(rtnl.read_link(place, interface.ifname).index)
            return as_netem.meant(root.values) if root and root.values else None
    return None


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for the kernel, and not for ever: the probes will say what is missing."""
    end = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)


def _missing(ifname: str, error: OSError) -> Failed:
    why = "is not there" if error.errno == errno.ENODEV else error.strerror
    return Failed(Code.NOT_OPENED, f"{ifname} {why}; is the topology up?")
