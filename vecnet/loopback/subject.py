"""What is to be proved: the two ends of a link, or of a string.

The near end is a guest's: its string opens it, as the guest would. The far end is the real one:

    far end               what is opened
    another guest         that guest's string
    the host              the host's interface, by packet sockets; its IP stack stands behind it
    a switch              the switch's side of the guest's string, where no switch listens already
    vecnet's own switch   the real one, with a port of the tester's: see switched.py; it may be the near end, too
    another machine's end a twin, as below; of a tunnel from the host's kernel it is the near end
    a program outside     the real one, started for it: see outside.py
    a network outside     another end of it, if any number of ends join it
    elsewhere             a twin, by the mirrored string, where the address there is this host's: in a sandbox
    a program, or beyond  nothing: vecnet is not there
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecnet.loopback.verdict import Untested
from vecnet.serving.plan import Door, Outside, PlannedPort, Wire, ports_of
from vecnet.text import a
from vecnet.transports.answers import FarEnd
from vecnet.transports.link import ELSEWHERE, OUTSIDE
from vecnet.vecstring import VecDevice

if TYPE_CHECKING:
    from vecnet.errors import Position
    from vecnet.expectation import Expected
    from vecnet.impairment import Impairment
    from vecnet.topology import ResolvedLink, Topology
    from vecnet.transports import Transport
    from vecnet.transports.link import GuestFilter, HostInterface


@dataclass(frozen=True, kw_only=True)
class Side:
    """One end of a wire. It has a device, or else it is the host's interface `ifname`.

    `netns` is the named network namespace that the interface is in, or that the device is opened in.
    """

    name: str
    device: VecDevice | None = None
    ifname: str = ""
    netns: str | None = None
    bridge: str | None = None
    addresses: tuple[str, ...] = ()  # inner ones, with their prefixes
    switch: bool = False
    planned: PlannedPort | None = None  # the port of vecnet's own switch, or what stands outside behind one
    beside: bool = False  # another end of a network outside, in the place of those that a guest will meet there
    twin: bool = False  # plays a device elsewhere

    @property
    def is_host(self) -> bool:
        return self.device is None and self.planned is None

    @property
    def stack(self) -> str:
        """The host's interface that has the addresses: its own, or the bridge that it is a member of."""
        return self.bridge or self.ifname

    @property
    def words(self) -> str:
        """What it is, in a report: real, or played by vecnet."""
        if self.planned is not None:
            behind = self.planned.behind
            return f"the real {behind.program}" if isinstance(behind, Outside) else "vecnet's own switch"
        if self.is_host:
            return "the host"
        played = "switch" if self.switch else "neighbour" if self.beside else "twin" if self.twin else "guest"
        return f"a simulated {played}"

    @property
    def note(self) -> str:
        """What must not be taken for the real one: a guest's end is always played, a switch is another program's."""
        simulated = self.switch or self.beside or self.twin
        return f"far end: {self.words}, and not the one that the guest will meet" if simulated else ""

    @property
    def transport(self) -> Transport | None:
        """The options of its string."""
        if self.planned is not None and isinstance(self.planned.behind, Wire):
            return self.planned.behind.options
        return self.device.transport if self.device else None


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
    filters: tuple[GuestFilter, ...] = ()
    topology: str = ""  # whose folder of sockets is needed; "" where none is
    expected: tuple[Expected, ...] = ()
    where: Position | None = None  # of the link, in the topology's file
    door: PlannedPort | None = None  # where the near end comes in, at a switch that stands before a program

    @property
    def expects_loss(self) -> bool:
        """Whether it is stated how many frames may be lost, be it none."""
        return any(one.key == "loss" for one in self.expected)

    @property
    def claims(self) -> frozenset[Hashable]:
        """What must be its own while it is proved: another link that has it, too, would get its packets, or be deaf."""
        return self.claims_of(self.near, self.far)

    def claims_of(self, *sides: Side) -> frozenset[Hashable]:
        """The same, of these of its sides alone."""
        found: set[Hashable] = {(interface.netns, interface.ifname) for interface in self.interfaces}
        if self.topology:
            found.add(self.topology)  # the folder of its switches' sockets
        for side in sides:
            if side.ifname:
                found.add((side.netns, side.ifname))
            at = side.transport.receives_at() if side.transport else None
            if at is not None:
                found.add((at.protocol, at.address, at.port))
            if side.transport is not None and (side.beside or side.switch):
                found.add((side.transport.name, side.transport.far_name))
        return frozenset(found)

    @property
    def is_outside(self) -> bool:
        """Whether the far end is a program that vecnet starts."""
        return self.far.planned is not None and isinstance(self.far.planned.behind, Outside)


def of_topology(topology: Topology, names: Sequence[str] = ()) -> list[Subject]:
    """The links of a topology as subjects, or those of them that are named."""
    bridges = {bridge.ifname: bridge for bridge in topology.bridges}
    return [_of_link(link, topology, bridges) for link in topology.links if not names or link.name in names]


def own_end(part: Topology, name: str) -> tuple[Subject, Side]:
    """A link between two hosts as one of them has it, by its `part` of the topology, and the end that it has."""
    (subject,) = of_topology(part, [name])
    (own,) = (side for side in (subject.near, subject.far) if not side.twin)
    return subject, own


def _of_link(link: ResolvedLink, topology: Topology, bridges: Mapping[str, HostInterface]) -> Subject:
    sides = []
    ports = {(switch, port.name): port for switch, port in ports_of(link)}
    outside = next((port for port in ports.values() if isinstance(port.behind, Outside)), None)
    for index, (end, device) in enumerate(zip(link.spec.ends, link.devices, strict=True)):
        name, addresses = str(end), tuple(end.given.get("ip", ()))
        if device is not None:
            netns = device.transport.opened_in(link.spec)
            sides.append(Side(name=name, device=device, netns=netns, addresses=addresses))
        elif not link.is_here(index) or end.kind == ELSEWHERE:
            played = VecDevice(end.unit, link.options[index])
            sides.append(Side(name=name, device=played, twin=True, addresses=addresses))
        elif end.kind == OUTSIDE and outside is not None:
            sides.append(Side(name=name, planned=outside))
        elif end.switch:
            # a program outside stands behind the very port
            planned = None if outside is not None else ports[end.switch, end.ifname]
            met = link.spec.ends[1 - index].given.get("ip", ())
            addresses = () if planned is None else _met_at(topology, end.switch, link) or _beside(topology, met)
            sides.append(Side(name=name, planned=planned, addresses=addresses))
        elif link.interfaces and link.interfaces[0].kind == "veth" and link.spec.existing:
            sides.append(Side(name=f"what is beyond {link.interfaces[0].ifname}"))
        elif link.interfaces:
            interface = link.interfaces[0]
            bridge = bridges.get(interface.bridge or "")
            sides.append(
                Side(
                    name=name,
                    ifname=interface.ifname,
                    netns=interface.netns,
                    bridge=interface.bridge,
                    addresses=addresses or (bridge.addresses if bridge else ()),
                )
            )
        else:
            sides.append(_named_by(VecDevice(0, link.options[0]), name))
    turned = link.spec.ends[0].is_host or (sides[0].twin and not sides[1].is_host)
    near, far = reversed(sides) if turned else sides
    return Subject(
        name=link.name,
        transport=link.transport,
        mtu=link.mtu,
        near=near,
        far=far,
        interfaces=link.interfaces,
        impairment=link.impairment,
        filters=tuple(one for interface in link.interfaces for one in interface.filters if one.expression),
        expected=link.expected,
        where=link.position,
        topology=topology.name if ports else "",
        door=next((port for port in ports.values() if isinstance(port.behind, Door)), None) if outside else None,
    )


def _met_at(topology: Topology, switch: str, link: ResolvedLink) -> tuple[str, ...]:
    """The addresses of another guest at a switch: who is met there, and whom the tester plays."""
    for other in topology.links:
        near, far = other.spec.ends
        if other is not link and switch in (near.switch, far.switch) and near.given.get("ip"):
            return tuple(near.given["ip"])
    return ()


def _beside(topology: Topology, addresses: Sequence[str]) -> tuple[str, ...]:
    """In the subnet of each an address that the topology gives to nobody: the last one, where that is free."""
    given = [ip for link in topology.links for end in link.spec.ends for ip in end.given.get("ip", ())]
    given += [ip for bridge in topology.bridges for ip in bridge.addresses]
    taken = {ipaddress.ip_interface(ip).ip for ip in given}
    found = []
    for network in (ipaddress.ip_interface(address).network for address in addresses):
        last = range(-2, -min(network.num_addresses, len(taken) + 3), -1)  # its first and its last are no host's
        free = next((network[index] for index in last if network[index] not in taken), None)
        found += [f"{free}/{network.prefixlen}"] if free is not None else []
    return tuple(found)


def _named_by(device: VecDevice, name: str) -> Side:
    """The far end that a string names by itself, as far as it can be opened."""
    options = device.transport
    if options.far_end is FarEnd.SWITCH:
        return Side(name=name, device=device, switch=True)
    if options.far_name:
        return Side(name=name, ifname=options.far_name)
    if (other := options.beside()) is not None:
        return Side(name=name, device=VecDevice(0, other), beside=True)
    return Side(name=name)


def of_strings(device: VecDevice, peer: VecDevice | None) -> Subject:
    """A string and its peer's. Without one, the far end is what the string names: an interface, a switch.

    Raises Untested where it names none.
    """
    options = device.transport
    near = Side(name=f"vec{device.unit}", device=device)
    if peer is not None:
        far = Side(name="peer", device=peer)
    elif options.far_end is FarEnd.SWITCH:
        far = _named_by(device, "switch")
    elif options.far_end in (FarEnd.HOST_INTERFACE, FarEnd.PROGRAM):
        far = _named_by(device, f"host:{options.far_name}" if options.far_name else f"outside:{options.program}")
    elif options.far_end is FarEnd.OTHER_STRING:
        raise Untested(f"{a(options.name)} string does not say what its other end is; give --peer or --mirror")
    else:
        raise Untested(f"{a(options.name)} string does not say what its other end is; give --peer, or a topology")
    mtu = min(options.mtu, peer.transport.mtu) if peer is not None else options.mtu
    return Subject(name=f"{near.name}--{far.name}", transport=options.name, mtu=mtu, near=near, far=far)
