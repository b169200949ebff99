"""What the kernel would refuse, found before it is touched.

1. The kind: its modules are there, or can be loaded.
2. gretap, ip6gretap: (local, remote, ikey) is unique in a namespace.
3. l2tp: tunnel ids are unique; a local address and UDP port has one socket; session ids are unique as soon as a tunnel
   runs straight on IP, in UDP tunnels too.
4. A guest's raw socket and the kernel do not receive each other's packets. A guest takes GRE by its local address and
   key, whoever sent it; the kernel takes L2TPv3 on IP by the session, whatever the addresses.
5. A tunnel's local address is on the host (or will be, on this topology's own interfaces), and a route leads to its
   remote one. Between two guests of this host both addresses are local.
"""

from __future__ import annotations

import errno
import functools
import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vecnet.errors import HostError, KernelLacksError
from vecnet.host.difference import together
from vecnet.host.kinds import KINDS
from vecnet.host.kinds.gretap import read as read_gre
from vecnet.host.plan import Key, Node, Plan
from vecnet.host.snapshot import Snapshot

if TYPE_CHECKING:
    from vecnet.host import Network

_TUNNELS = ("gretap", "ip6gretap", "l2tp")


def refuse_impossible(topology: Network, wanted: Sequence[Node], plan: Plan, world: Snapshot) -> None:
    """Raise HostError, with all that the kernel would refuse of a plan."""
    new = [step.after for step in plan.steps if step.action in ("create", "replace") and step.after]
    errors = [*lacking(new, world)]
    tunnels = [node for node in new if node.kind in _TUNNELS]
    if tunnels:
        errors += gre_pairs(tunnels, world, _going(plan))
        errors += l2tp_ids(topology.name, tunnels, world, wanted)
    errors += strays(topology, wanted, plan, world)
    errors += addresses(topology, tunnels, wanted, world)
    if errors:
        raise together(errors)


def lacking(new: Sequence[Node], world: Snapshot) -> Iterator[HostError]:
    """Kinds that are to be made and for which this kernel lacks a module."""
    for name, netns in sorted({(node.kind, node.netns or "") for node in new}):
        kind = KINDS[name]
        users = [node for node in new if node.kind == name and (node.netns or "") == netns]
        modules = kind.lacking(netns or None, world, users)
        if modules:
            yield KernelLacksError(
                f"this kernel has no {name} interfaces, which {', '.join(map(str, users))} would be; load what is "
                f"missing with: modprobe -a {' '.join(modules)} (or boot a kernel that has {' and '.join(modules)})"
            )


def gre_pairs(new: Sequence[Node], world: Snapshot, going: set[Key]) -> Iterator[HostError]:
    """GRE devices that exist already with the addresses and key of one that is to be made."""
    there = {
        (netns, link.kind, *_pair(read_gre(link))): link.ifname
        for netns in {node.netns for node in new}
        for link in world.view(netns).links
        if link.kind in ("gretap", "ip6gretap") and (netns or "", link.ifname) not in going
    }
    for node in new:
        other = there.get((node.netns, node.kind, *_pair(node.values)))
        if other:
            values = node.values
            yield HostError(
                f"{node}: {other} is a GRE device from {values['local']} to {values['remote']} with "
                f"{_keyed(values['ikey'])} already; give the link other addresses or a key"
            )


def _pair(values: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return values["local"], values["remote"], values.get("ikey")


def l2tp_ids(topology: str, new: Sequence[Node], world: Snapshot, wanted: Sequence[Node]) -> Iterator[HostError]:
    """What an l2tp tunnel that is to be made would share with one that is not this topology's."""
    for netns in {node.netns for node in new if node.kind == "l2tp"}:
        ours = world.group(topology, netns)
        foreign = [tunnel for tunnel in world.view(netns).tunnels if tunnel.peer_tunnel_id != ours]
        all_own = [node for node in wanted if node.kind == "l2tp" and node.netns == netns]
        own_sockets = {
            (tunnel.local, tunnel.udp_sport) for tunnel in world.view(netns).tunnels if tunnel.peer_tunnel_id == ours
        }
        ip = any(tunnel.encap == "ip" for tunnel in foreign) or any(n.values["encap"] == "ip" for n in all_own)
        sessions = {session.session_id: tunnel for tunnel in foreign for session in tunnel.sessions}
        ids = {tunnel.tunnel_id for tunnel in foreign}
        taken: dict[int, Node] = {}
        for node in all_own:
            other = taken.setdefault(node.values["session_id"], node)
            if ip and other is not node:
                yield HostError(
                    f"{node}: {other} has the session {node.values['session_id']} too, which the kernel allows only "
                    "while all tunnels run over UDP; give one of them another `session`"
                )
        for node in new:
            if node.kind != "l2tp" or node.netns != netns:
                continue
            values = node.values
            if values["tunnel_id"] in ids:
                yield HostError(
                    f"{node}: a tunnel with the id {values['tunnel_id']} exists and is not vecnet's; "
                    f"remove it with: ip l2tp del tunnel tunnel_id {values['tunnel_id']}"
                )
            if ip and values["session_id"] in sessions:
                yield HostError(
                    f"{node}: the session {values['session_id']} exists in the tunnel "
                    f"{sessions[values['session_id']].tunnel_id}, which is not this topology's; give another `session`"
                )
            if values["encap"] == "udp" and (values["local"], values["udp_sport"]) not in own_sockets:
                yield from _port_taken(node, world)


def _port_taken(node: Node, world: Snapshot) -> Iterator[HostError]:
    local, port = node.values["local"], node.values["udp_sport"]
    if _try(node.netns, world, local, lambda s: s.bind((local, port))) == errno.EADDRINUSE:
        yield HostError(f"{node}: another socket has the UDP port {port} on {local}; give the link another `port`")


def strays(topology: Network, wanted: Sequence[Node], plan: Plan, world: Snapshot) -> Iterator[HostError]:
    """Guests' ends on this host whose packets a tunnel of the kernel would receive too, or they its."""
    soon = {str(one.ip) for one in _coming(wanted)}
    claims = [
        (end.endpoint, claim.what, claim.value)
        for end in topology.outer_ends
        if not end.is_host and _is_local(end.address, soon, None, world)
        for claim in end.claims
    ]
    devices = _gre_devices(plan, world) if any(what == "gre" for _, what, _ in claims) else {}
    sessions = _sessions(topology.name, wanted, world) if any(what == "l2tp ip" for _, what, _ in claims) else {}
    for endpoint, what, value in claims:
        if what == "gre" and value in devices:
            address, key = value
            yield HostError(
                f"{endpoint}: {devices[value]} receives GRE to {address} with {_keyed(key)} already, and the guest "
                "would be handed its packets too",
                "give the link other addresses or a key",
            )
        elif what == "l2tp ip" and value[1] in sessions:
            yield HostError(
                f"{endpoint}: {sessions[value[1]]} has the session {value[1]} too, and the kernel would take the "
                "guest's packets for it, whatever their address",
                "give one of them another `session`",
            )


def _gre_devices(plan: Plan, world: Snapshot) -> dict[tuple[Any, ...], str]:
    """The GRE devices that are at home and stay, by their local address and key."""
    going = _going(plan)
    found = {}
    for link in world.view(None).links:
        if link.kind in ("gretap", "ip6gretap") and ("", link.ifname) not in going:
            values = read_gre(link)
            found[values["local"], values["ikey"]] = link.ifname
    return found


def _sessions(topology: str, wanted: Sequence[Node], world: Snapshot) -> dict[int, str]:
    """The L2TPv3 sessions that the kernel will have at home, with what has them."""
    ours = world.group(topology, None)
    foreign = [tunnel for tunnel in world.view(None).tunnels if tunnel.peer_tunnel_id != ours]
    there = {session.session_id: session.ifname for tunnel in foreign for session in tunnel.sessions}
    own = {node.values["session_id"]: str(node) for node in wanted if node.kind == "l2tp" and node.netns is None}
    return there | own


def _keyed(key: int | None) -> str:
    return "no key" if key is None else f"key {key}"


def _going(plan: Plan) -> set[Key]:
    """The interfaces that the plan removes, also to make them again."""
    return {step.before.key for step in plan.steps if step.before and step.action in ("delete", "replace")}


def _coming(wanted: Sequence[Node]) -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    """The addresses that the topology's own interfaces have, or will have."""
    return [ipaddress.ip_interface(text) for node in wanted for text in node.values["addresses"]]


def addresses(
    topology: Network, tunnels: Sequence[Node], wanted: Sequence[Node], world: Snapshot
) -> Iterator[HostError]:
    """Local addresses that are missing, and remote ones that no route leads to."""
    coming = _coming(wanted)
    networks = {one.network for one in coming}
    lengths = {(one.version, one.network.prefixlen) for one in coming}

    @functools.cache
    def reached(netns: str | None, remote: str) -> bool:
        ours = (length for version, length in lengths if version == ipaddress.ip_address(remote).version)
        soon_there = any(ipaddress.ip_network(f"{remote}/{length}", strict=False) in networks for length in ours)
        return soon_there or _routed(netns, remote, world)

    soon = {str(one.ip) for one in coming}
    for node in tunnels:
        local, remote = node.values["local"], node.values["remote"]
        if not _is_local(local, soon, node.netns, world):
            yield HostError(_missing(str(node), local))
        elif not reached(node.netns, remote):
            yield HostError(f"{node}: no route leads to {remote}; add one with: ip route add {remote} via …")
    for end in topology.outer_ends:
        if end.here and not _is_local(end.address, soon, None, world):
            yield HostError(_missing(f"link {end.link}", end.address))


def _routed(netns: str | None, remote: str, world: Snapshot) -> bool:
    number = _try(netns, world, remote, lambda probe: probe.connect((remote, 9)))
    return number not in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def _missing(who: str, local: str) -> str:
    return (
        f"{who}: the address {local} is on no interface of this host, and the tunnel's end there cannot be opened; add "
        f"it with: ip addr add {local}/{128 if ':' in local else 32} dev lo"
    )


def _is_local(address: str, soon: set[str], netns: str | None, world: Snapshot) -> bool:
    if address in soon or ipaddress.ip_address(address).is_loopback:
        return True
    return address in world.view(netns).every_address


def _try(netns: str | None, world: Snapshot, address: str, call: Any) -> int:
    """The error number of a call on a UDP socket in the namespace, 0 where there is none."""
    with world.place(netns).entered():
        probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            call(probe)
        except OSError as error:
            return error.errno or 0
        return 0
