"""A wire under test: both of its ends, opened.

The near end is a guest's: its string opens it, as the guest would. The far end is the real one:

    far end               what is opened
    another guest         that guest's string
    the host              the host's interface, by packet sockets; its IP stack stands behind it
    a switch (bess)       the switch's side of the guest's string, where no switch listens already
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vecnet.errors import HostError, PermissionMissing, PortError
from vecnet.loopback.verdict import Failed, Untested
from vecnet.transports.bess import Bess
from vecnet.transports.fd import Fd
from vecnet.transports.gre import Gre
from vecnet.transports.hybrid import Hybrid
from vecnet.transports.l2tpv3 import L2tpv3
from vecnet.transports.raw import Raw
from vecnet.transports.tap import Tap
from vecnet.values import is_v6
from vecnet.vecstring import VecDevice

if TYPE_CHECKING:
    from vecnet.datapath.port import Offload, Port, Role
    from vecnet.impairment import Impairment
    from vecnet.topology import ResolvedLink, Topology
    from vecnet.transports.link import HostInterface

_SIOCGIFHWADDR = 0x8927  # netdevice(7)
_PATIENCE = 2.0  # seconds, for the kernel's workers
_PLAYED_MAC = "02:00:00:00:00:02"  # of an end that has no address of its own


@dataclass(frozen=True, kw_only=True)
class Side:
    """One end of a wire. It has a device, or else it is the host's interface `ifname`."""

    name: str
    device: VecDevice | None = None
    ifname: str = ""
    netns: str | None = None
    bridge: str | None = None
    addresses: tuple[str, ...] = ()  # inner ones, with their prefixes
    switch: bool = False

    @property
    def is_host(self) -> bool:
        return self.device is None

    @property
    def stack(self) -> str:
        """The host's interface that has the addresses: its own, or the bridge that it is a member of."""
        return self.bridge or self.ifname


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is to be proved: a link of a topology, or two strings."""

    name: str
    transport: str
    mtu: int
    near: Side
    far: Side
    interfaces: tuple[HostInterface, ...] = ()
    impairment: Impairment | None = None


@dataclass(frozen=True)
class Wire:
    """A subject whose ends are open."""

    subject: Subject
    near: Port
    far: Port

    @property
    def macs(self) -> tuple[bytes, bytes]:
        """The Ethernet addresses of the near and the far end."""
        near, far = (_mac(side) for side in (self.subject.near, self.subject.far))
        return near, far

    @property
    def directions(self) -> tuple[tuple[str, Port, Port, bytes, bytes], ...]:
        """Both ways: the words for it, the sender, the receiver, the address sent to and the one sent from."""
        near, far = self.macs
        here, there = self.subject.near.name, self.subject.far.name
        return (
            (f"{here} to {there}", self.near, self.far, far, near),
            (f"{there} to {here}", self.far, self.near, near, far),
        )


def of_topology(topology: Topology, names: Sequence[str] = ()) -> list[Subject]:
    """The links of a topology as subjects, or those of them that are named."""
    bridges = {bridge.ifname: bridge for bridge in topology.bridges}
    return [_of_link(link, bridges) for link in topology.links if not names or link.name in names]


def _of_link(link: ResolvedLink, bridges: dict[str, HostInterface]) -> Subject:
    sides = []
    for end, device in zip(link.spec.ends, link.devices, strict=True):
        addresses = tuple(end.given.get("ip", ()))
        if device is not None:
            sides.append(Side(name=str(end), device=device, addresses=addresses))
        elif isinstance(link.options[1], Bess):
            sides.append(Side(name=str(end), device=VecDevice(0, link.options[0]), switch=True))
        else:
            interface = link.interfaces[0]
            bridge = bridges.get(interface.bridge or "")
            sides.append(
                Side(
                    name=str(end),
                    ifname=interface.ifname,
                    netns=interface.netns,
                    bridge=interface.bridge,
                    addresses=addresses or (bridge.addresses if bridge else ()),
                )
            )
    near, far = sides
    return Subject(
        name=link.name,
        transport=link.transport,
        mtu=link.mtu,
        near=near,
        far=far,
        interfaces=link.interfaces,
        impairment=link.impairment,
    )


def of_strings(device: VecDevice, peer: VecDevice | None) -> Subject:
    """A string and its peer's. Without one, the far end is what the string names: an interface, a switch."""
    options = device.transport
    near = Side(name=f"vec{device.unit}", device=device)
    if peer is not None:
        far = Side(name="peer", device=peer)
    elif isinstance(options, Bess):
        far = Side(name="switch", device=device, switch=True)
    elif isinstance(options, Tap | Hybrid):
        far = Side(name=f"host:{options.ifname}", ifname=options.ifname)
    else:
        raise Untested(f"a {options.name} string does not say what its other end is; give --peer or --mirror")
    mtu = min(options.mtu, peer.transport.mtu) if peer is not None else options.mtu
    return Subject(name=f"{near.name}--{far.name}", transport=options.name, mtu=mtu, near=near, far=far)


@contextmanager
def opened(subject: Subject, near_offload: Offload = "software", far_offload: Offload = "software") -> Iterator[Wire]:
    """Both ends, open within the block. Raises Failed or Untested, each with the reason in words."""
    from vecnet.datapath.port import open_port

    with ExitStack() as stack:
        descriptors = _descriptors(subject, stack)

        def port(side: Side, fd: int | None, offload: Offload) -> Port:
            if side.device is None and fd is None:
                return stack.enter_context(_host_port(subject, side, offload))
            assert side.device is not None
            device = side.device
            if fd is not None:
                assert isinstance(device.transport, Fd)
                device = dataclasses.replace(device, transport=dataclasses.replace(device.transport, fd=fd))
            role: Role = "switch" if side.switch else "guest"
            with _place_of_guest(subject, device):
                return stack.enter_context(open_port(device, role=role, offload=offload))

        if subject.far.switch:
            _refuse_foreign_switch(subject.far)
        try:
            far = port(
                subject.far, descriptors[1], far_offload
            )  # first: a guest's bess connects to a switch that listens
            near = port(subject.near, descriptors[0], near_offload)
        except PermissionMissing as error:
            raise Untested(str(error)) from None
        except (PortError, HostError) as error:
            raise Failed(str(error)) from None
        for side in (subject.near, subject.far):
            _wait_until_it_carries(side)
        yield Wire(subject, near, far)


@contextmanager
def _place_of_guest(subject: Subject, device: VecDevice) -> Iterator[None]:
    """A guest opens a tap from the tap's own network namespace."""
    from vecnet.kernel.namespaces import Namespaces

    netns = subject.far.netns if isinstance(device.transport, Tap | Hybrid) else None
    with Namespaces() as namespaces, namespaces[netns].entered():
        yield


def _refuse_foreign_switch(side: Side) -> None:
    """Raise Untested where another program is the switch: it alone decides where frames go."""
    assert side.device is not None
    assert isinstance(side.device.transport, Bess)
    path = side.device.transport.dst
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
        if guest.connect_ex(path) == 0:
            raise Untested(f"another program listens at {path}: stop it, and vecnet plays the switch")


def _descriptors(subject: Subject, stack: ExitStack) -> tuple[int | None, int | None]:
    """What an fd string's descriptor would be, opened here. Its number in the guest is not ours to take."""
    near, far = subject.near, subject.far
    if near.device is None or not isinstance(near.device.transport, Fd):
        return None, None
    if far.is_host:
        from vecnet import host

        try:
            tap = host.attach_tap(subject.interfaces[0])
        except HostError as error:
            raise Failed(str(error)) from None
        stack.callback(os.close, tap)
        return tap, None
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        stack.enter_context(end)
    return ends[0].fileno(), ends[1].fileno()


@contextmanager
def _host_port(subject: Subject, side: Side, offload: Offload) -> Iterator[Port]:
    from vecnet.datapath.port import open_port
    from vecnet.kernel.namespaces import Namespaces

    device = VecDevice(0, Raw(ifname=side.ifname, mtu=subject.mtu, gro=True, depth=256))
    with Namespaces() as namespaces, namespaces[side.netns].entered():
        try:
            port = open_port(device, offload=offload)
        except PortError as error:  # the link's own transport is another one
            raise type(error)(str(error).removeprefix("raw: ")) from None
    with port:
        yield port


def _mac(side: Side) -> bytes:
    if side.device is not None:
        return bytes.fromhex((side.device.transport.mac or _PLAYED_MAC).replace(":", ""))
    return _ask(side, side.stack, _SIOCGIFHWADDR)[2:8]


def _wait_until_it_carries(side: Side) -> None:
    """What a busy kernel does only up to a second later, or two: a tap has a carrier from when it is opened, and an
    IPv6 address is reached from when it is given."""
    from vecnet.kernel import rtnl
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        place = namespaces[side.netns]
        for ifname in filter(None, (side.ifname, side.bridge)):
            try:
                wait_until(partial(rtnl.sends, place, ifname))
            except OSError as error:
                raise _missing(ifname, error) from None
        for address in _own_ipv6(side):
            wait_until(partial(rtnl.is_reached, place, address))


def _own_ipv6(side: Side) -> list[str]:
    """The IPv6 addresses that this host has for an end: a tunnel's outer one, the host's inner ones."""
    if side.is_host:
        own = [address.partition("/")[0] for address in side.addresses]
    else:
        options = side.device.transport if side.device else None
        own = [options.src] if isinstance(options, Gre | L2tpv3) else []
    return [address for address in own if is_v6(address)]


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for the kernel, and not for ever: the probes will say what is missing."""
    end = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)


def _ask(side: Side, ifname: str, request: int) -> bytes:
    """What an ioctl of netdevice(7) answers for an interface of the host's. Raises Failed where it is not there."""
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces, namespaces[side.netns].entered():
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            return fcntl.ioctl(probe, request, ifname.encode().ljust(40, b"\0"))[16:]
        except OSError as error:
            raise _missing(ifname, error) from None


def _missing(ifname: str, error: OSError) -> Failed:
    why = "is not there" if error.errno == errno.ENODEV else error.strerror
    return Failed(f"{ifname} {why}; is the topology up?")
