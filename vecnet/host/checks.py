"""What the kernel would refuse, found before it is touched.

1. The kind: its module is there, or can be loaded.
2. gretap, ip6gretap: (local, remote, ikey) is unique in a namespace.
3. l2tp: tunnel ids are unique; a local address and UDP port has one socket; session ids are unique as soon as a tunnel
   runs straight on IP, in UDP tunnels too.
4. A tunnel's local address is on the host (or will be, on this topology's own interfaces), and a route leads to its
   remote one. Between two guests of this host both addresses are local.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vecnet.errors import HostError, KernelLacksError
from vecnet.host.difference import together
from vecnet.host.kinds import KINDS
from vecnet.host.kinds.gretap import read as read_gre
from vecnet.host.model import Node, Plan
from vecnet.host.world import World

if TYPE_CHECKING:
    from vecnet.host import Network

_TUNNELS = ("gretap", "ip6gretap", "l2tp")


def refuse_impossible(topology: Network, wanted: Sequence[Node], plan: Plan, world: World) -> None:
    """Raise HostError, with all that the kernel would refuse of a plan."""
    new = [step.after for step in plan.steps if step.action in ("create", "replace") and step.after]
    errors = [*lacking(new, world)]
    tunnels = [node for node in new if node.kind in _TUNNELS]
    if tunnels:
        going = {step.before.key for step in plan.steps if step.before and step.action in ("delete", "replace")}
        errors += gre_pairs(tunnels, world, going)
        errors += l2tp_ids(topology.name, tunnels, world, wanted)
    errors += addresses(topology, tunnels, wanted, world)
    if errors:
        raise together(errors)


def lacking(new: Sequence[Node], world: World) -> Iterator[HostError]:
    """Kinds that are to be made and that this kernel does not have."""
    for name, netns in sorted({(node.kind, node.netns or "") for node in new}):
        kind = KINDS[name]
        if kind.lacking(netns or None, world):
            users = ", ".join(str(node) for node in new if node.kind == name)
            yield KernelLacksError(
                f"this kernel has no {name} interfaces, which {users} would be; load its module with: "
                f"modprobe -a {' '.join(kind.modules)} (or boot a kernel that has {' and '.join(kind.modules)})"
            )


def gre_pairs(new: Sequence[Node], world: World, going: set[tuple[str, str]]) -> Iterator[HostError]:
    """GRE devices that exist already with the addresses and key of one that is to be made."""
    for node in new:
        if node.kind == "l2tp":
            continue
        values = node.values
        for link in world.view(node.netns).links:
            if link.kind not in (node.kind, node.kind.removesuffix("tap")) or (node.netns or "", link.ifname) in going:
                continue
            there = read_gre(link)
            if all(there[key] == values[key] for key in ("local", "remote", "ikey")):
                key = "no key" if values["ikey"] is None else f"key {values['ikey']}"
                yield HostError(
                    f"{node}: {link.ifname} is a GRE device from {values['local']} to {values['remote']} with {key} "
                    f"already; give the link other addresses or a key"
                )


def l2tp_ids(topology: str, new: Sequence[Node], world: World, wanted: Sequence[Node]) -> Iterator[HostError]:
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


def _port_taken(node: Node, world: World) -> Iterator[HostError]:
    local, port = node.values["local"], node.values["udp_sport"]
    if _try(node.netns, world, local, lambda s: s.bind((local, port))) == errno.EADDRINUSE:
        yield HostError(f"{node}: another socket has the UDP port {port} on {local}; give the link another `port`")


def addresses(topology: Network, tunnels: Sequence[Node], wanted: Sequence[Node], world: World) -> Iterator[HostError]:
    """Local addresses that are missing, and remote ones that no route leads to."""
    coming = [ipaddress.ip_interface(text) for node in wanted for text in node.values["addresses"]]
    soon = {str(one.ip) for one in coming}
    for node in tunnels:
        local, remote = node.values["local"], node.values["remote"]
        if not _is_local(local, soon, node.netns, world):
            yield HostError(_missing(str(node), local))
        elif not any(ipaddress.ip_address(remote) in one.network for one in coming) and not _routed(node, world):
            yield HostError(f"{node}: no route leads to {remote}; add one with: ip route add {remote} via …")
    for link in getattr(topology, "links", ()):
        if not link.interfaces:  # two guests of this host
            for local in link.local_addresses:
                if not _is_local(local, soon, None, world):
                    yield HostError(_missing(f"link {link.name}", local))


def _routed(node: Node, world: World) -> bool:
    remote = node.values["remote"]
    number = _try(node.netns, world, remote, lambda probe: probe.connect((remote, 9)))
    return number not in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def _missing(who: str, local: str) -> str:
    return (
        f"{who}: the address {local} is on no interface of this host, and the tunnel's end there cannot be opened; add "
        f"it with: ip addr add {local}/{128 if ':' in local else 32} dev lo"
    )


def _is_local(address: str, soon: set[str], netns: str | None, world: World) -> bool:
    if address in soon or ipaddress.ip_address(address).is_loopback:
        return True
    return address in world.view(netns).every_address()


def _try(netns: str | None, world: World, address: str, call: Any) -> int:
    """The error number of a call on a UDP socket in the namespace, 0 where there is none."""
    with world.place(netns).entered():
        probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            call(probe)
        except OSError as error:
            return error.errno or 0
        return 0
