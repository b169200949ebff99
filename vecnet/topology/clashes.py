"""What can be there only once: interface names, Ethernet and inner addresses, link names; and what must be there.

Names and addresses are looked at per network namespace of a host: that of the interface, and for a guest's that of its
other end.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable, Iterator

from yaml.nodes import Node

from vecnet.topology.document import Document, Stated
from vecnet.topology.read import Draft
from vecnet.topology.resolve import Wire
from vecnet.transports.link import ELSEWHERE, HOST, End, HostInterface, end_of, named_on

IPV6_MIN_MTU = 1280  # RFC 8200, section 5
SHORTEST_PREFIX = 8  # bits: the largest networks that are anybody's own, 10.0.0.0/8 and fd00::/8 (RFC 1918, 4193)

# what is unique, the sentence's subject with gaps for str.format, what fills them, and where it was written
Named = tuple[Hashable, str, tuple[object, ...], Stated, str]


def check(doc: Document, draft: Draft, wires: list[Wire], bridges: list[HostInterface]) -> None:
    """Report what clashes, is missing, or cannot work."""
    _once(doc, _link_names(wires))
    _once(doc, _interface_names(draft, wires, bridges))
    _once(doc, _macs(draft, wires, bridges))
    _once(doc, _inner_addresses(draft, wires))
    for wire in wires if draft.bridges else ():
        for index, bridge in wire.bridges:
            _bridge_is_there(doc, draft, wire, index, bridge)
    _usable_addresses(doc, draft, wires)


def _once(doc: Document, named: Iterable[Named]) -> None:
    every = list(named)
    if len({one[0] for one in every}) == len(every):
        return
    seen: dict[Hashable, tuple[str, Node]] = {}
    placed = [
        (identity, subject.format(*words), stated.at(key) if key else stated.node)
        for identity, subject, words, stated, key in every
    ]
    for identity, text, node in sorted(placed, key=lambda entry: _place_in_file(entry[2])):
        if identity in seen:
            first, where = seen[identity]
            line = where.start_mark.line + 1
            doc.wrong(node, f"{text} is there already: {first} in line {line}", "choose another")
        else:
            seen[identity] = (text, node)


def _place_in_file(node: Node) -> tuple[int, int]:
    return node.start_mark.line, node.start_mark.column


def _link_names(wires: list[Wire]) -> Iterator[Named]:
    for wire in wires:
        yield wire.draft.name, "the link name {}", (wire.draft.name,), wire.draft, "name"


def _interface_names(draft: Draft, wires: list[Wire], bridges: list[HostInterface]) -> Iterator[Named]:
    for bridge in bridges:
        name = named_on(bridge.host, bridge.ifname)
        identity = bridge.host, bridge.netns, bridge.ifname
        yield identity, "the interface {}", (name,), draft.bridges[name], ""
    for wire in wires:
        for interface in wire.interfaces:
            host, ifname = interface.host, interface.ifname
            stated = wire.draft.ends[end_of(wire.spec, interface)]
            yield (host, interface.netns, ifname), "the interface {}", (ifname,), stated, "ifname"
            if interface.peer is not None:
                ifname, stated = interface.peer.ifname, wire.draft.ends[0]
                subject = "the interface {}" if "ifname" in stated.given else "the interface {}, chosen for {},"
                yield (host, None, ifname), subject, (ifname, wire.spec.ends[0]), stated, "ifname"


def _macs(draft: Draft, wires: list[Wire], bridges: list[HostInterface]) -> Iterator[Named]:
    for bridge in bridges:
        if bridge.mac is not None:
            name = named_on(bridge.host, bridge.ifname)
            yield bridge.mac, "the MAC address {} of bridge {}", (bridge.mac, name), draft.bridges[name], "mac"
    of = "the MAC address {} of {}"
    for wire in wires:
        for end, options, stated in zip(wire.spec.ends, wire.options, wire.draft.ends, strict=True):
            if end.node is not None:
                yield options.mac, of, (options.mac, end), stated, "mac"
        for interface in wire.interfaces:
            if interface.mac is not None:
                stated = wire.draft.ends[end_of(wire.spec, interface)]
                yield interface.mac, of, (interface.mac, interface.ifname), stated, "mac" if wire.spec.host else ""


def _netns(wire: Wire) -> str | None:
    return wire.spec.ends[1].given.get("netns") if wire.spec.host else None


def _host(wire: Wire, end: End) -> str:
    """An address elsewhere is as good as one on the host of the other end."""
    return wire.spec.ends[0].host if end.host == ELSEWHERE else end.host


def _inner_addresses(draft: Draft, wires: list[Wire]) -> Iterator[Named]:
    for name, bridge in draft.bridges.items():
        for address in dict.fromkeys(bridge.given.get("ip", ())):
            ip = address.partition("/")[0]
            host = name.rpartition(":")[0] or HOST
            yield (host, bridge.given.get("netns"), ip), "the address {} of bridge {}", (ip, name), bridge, "ip"
    for wire in wires:
        for end, stated in zip(wire.spec.ends, wire.draft.ends, strict=True):
            for address in dict.fromkeys(end.given["ip"]) if "ip" in end.given else ():
                ip = address.partition("/")[0]
                yield (_host(wire, end), _netns(wire), ip), "the address {} of {}", (ip, end), stated, "ip"


def _bridge_is_there(doc: Document, draft: Draft, wire: Wire, index: int, name: str) -> None:
    stated, end = wire.draft.ends[index], wire.spec.ends[index]
    if name not in draft.bridges:  # it is nearly one that is
        beside = {key: one for key, one in draft.bridges.items() if (key.rpartition(":")[0] or HOST) == end.host}
        known = ", ".join(key.rpartition(":")[2] for key, one in beside.items() if not one.given.get("existing"))
        instead = f"write one of {known}, or add {name}: under bridges, with existing: on if it is there already"
        doc.wrong(stated.at("bridge"), f"the bridge {name} of {end} is not declared", instead)
        return
    home = draft.bridges[name].given.get("netns")
    if home != end.given.get("netns"):
        message = f"bridge {name} is in {_place(home)}, and {end} is in {_place(end.given.get('netns'))}"
        movable = home and "netns" in wire.draft.transport.interface_keys
        instead = f"write netns: {home}" if movable else "choose one for both"
        doc.wrong(stated.at("bridge"), message, instead)
    if end.given.get("ip"):
        message = f"{end} is a member of bridge {name}, where an address of its own is not reached"
        doc.wrong(stated.at("ip"), message, f"give the address to the bridge {name}")


def _place(netns: str | None) -> str:
    return f"the network namespace {netns}" if netns else "vecnet's own network namespace"


def _usable_addresses(doc: Document, draft: Draft, wires: list[Wire]) -> None:
    every = [(bridge, bridge.given.get("mtu")) for bridge in draft.bridges.values()]
    every += [(stated, wire.mtu) for wire in wires for stated in wire.draft.ends if "ip" in stated.given]
    for stated, mtu in every:
        for address in stated.given.get("ip", ()):
            interface = ipaddress.ip_interface(address)
            ip, network = interface.ip, interface.network
            wide = ip.version == 4 and network.prefixlen < 31
            if ip.is_multicast or ip.is_unspecified or ip.is_loopback:
                doc.wrong(stated.at("ip"), f"{ip} cannot be the address of an interface", "choose another")
            elif network.prefixlen < SHORTEST_PREFIX:
                message = f"{address} would take a large part of the internet to this wire"
                own = f"{ip}/{24 if ip.version == 4 else 64}"
                doc.wrong(stated.at("ip"), message, f"write the prefix length of the wire's own network, such as {own}")
            elif wide and ip in (network.network_address, network.broadcast_address):
                itself = ip == network.network_address
                what = "the address of the network itself" if itself else "the broadcast address of its network"
                machine = f"write one of its machines, such as {network[1]}/{network.prefixlen}"
                doc.wrong(stated.at("ip"), f"{address} is {what}", machine)
            elif ip.version == 6 and mtu is not None and mtu < IPV6_MIN_MTU:
                message = f"IPv6 needs an MTU of at least {IPV6_MIN_MTU}, and this wire's is {mtu}"
                doc.wrong(stated.at("ip"), message, f"leave {address} out, or use a way with a larger MTU")
