"""l2tp: an L2TPv3 tunnel with one Ethernet session and its interface, RFC 3931 and 4719, matching a guest's l2tpv3.

1. One tunnel a link. Its peer's id, which no L2TPv3 packet carries, is the topology's mark: so a tunnel that a killed
   run left without a session or interface is still known as ours.
2. The l2spec word, 4 bytes, stands where the guest's counter does: `default` with a counter, `none` without. It cannot
   be read back, so that the interface's alias notes it. Sequence numbers are neither sent nor demanded.
3. The kernel's `cookie` is what it sends, `peer_cookie` what it demands.
4. rtnetlink neither makes nor deletes the interface. A tunnel's deletion takes its session along, and ends after the
   kernel has said that it is done: it is waited for, and making it again is tried until that is over. To delete each
   session first would end at once, and take ten times as long.
5. The local address must be there first: tunnels are made once all other interfaces have their addresses.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from vecnet.host.kinds.base import Kind
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Stage, Work
from vecnet.kernel import genl
from vecnet.kernel.l2tp import Session, Tunnel, read_tunnels
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.rtnl import read_links
from vecnet.transports.link import HostInterface

_VALUES = (
    "encap",
    "local",
    "remote",
    "udp_sport",
    "udp_dport",
    "tunnel_id",
    "session_id",
    "peer_session_id",
    "cookie",
    "peer_cookie",
    "cookie_size",
    "l2spec_type",
)
IPPROTO_L2TP = 115  # RFC 3931 section 4.1.1
_PASSES = frozenset({errno.EEXIST, errno.EADDRINUSE, errno.ENODEV})  # while an older tunnel is going
_GONE = frozenset({errno.ENODEV, errno.ENOENT})


class L2tp(Kind):
    name = "l2tp"
    fixed = frozenset({*_VALUES, "mac"})
    late = ("mtu", "mac")
    noted = ("l2spec_type",)
    turn = 1

    def wanted(self, interface: HostInterface) -> dict[str, Any]:
        return {key: interface.attributes[key] for key in _VALUES}

    def found(self, topology: str, world: Snapshot, keep: frozenset[str]) -> Iterable[Node]:
        for netns, view in world.views():
            mark = world.group(topology, netns)
            for tunnel in view.tunnels:
                if tunnel.peer_tunnel_id == mark:
                    yield self._node(tunnel, netns, world, keep)

    def _node(self, tunnel: Tunnel, netns: str | None, world: Snapshot, keep: frozenset[str]) -> Node:
        view = world.view(netns)
        if len(tunnel.sessions) == 1:
            session = tunnel.sessions[0]
            link = view.by_name.get(session.ifname)
            said = view.mark(link) if link is not None else None
            if link is not None and said is not None and "l2spec_type" in said.notes:
                values = {**tunnel_values(tunnel, session), "l2spec_type": said.notes["l2spec_type"]}
                return world.node(self.name, netns, link, values, keep)
        ifname = tunnel.sessions[0].ifname if tunnel.sessions else f"tunnel {tunnel.tunnel_id}"
        return Node(netns, ifname, self.name, "", {"tunnel_id": tunnel.tunnel_id}, whole=False)

    def lacking(self, netns: str | None, world: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        from vecnet.kernel.probe import lacks_module, lacks_protocol

        place = world.place(netns)
        straight = {":" in node.values["local"] for node in nodes if node.values["encap"] == "ip"}
        lacks = {
            "l2tp_netlink": genl.load_family(place, "l2tp") is None,
            "l2tp_eth": lacks_module("l2tp_eth"),
            "l2tp_ip": False in straight and lacks_protocol(place, socket.AF_INET, IPPROTO_L2TP),
            "l2tp_ip6": True in straight and lacks_protocol(place, socket.AF_INET6, IPPROTO_L2TP),
        }
        return [module for module, lacking in lacks.items() if lacking]

    def make(self, work: Work, node: Node) -> None:
        values = node.values
        family = work.family("l2tp", node.netns)
        group = work.group(node.netns)
        for what, build in (
            ("make its tunnel", lambda n: n.new_tunnel(family, group, values)),
            ("make its session", lambda n: n.new_session(family, node.ifname, values)),
        ):
            work.generic(Stage.MAKE, node, what, build, netns=node.netns, retry=_PASSES)

    def remove(self, work: Work, node: Node) -> None:
        family = work.family("l2tp", node.netns)
        tunnel_id = node.values.get("tunnel_id")
        if tunnel_id is not None:  # else somebody has deleted it, and its interface is still going
            work.generic(
                Stage.DELETE,
                node,
                "remove its tunnel",
                lambda n: n.delete_tunnel(family, tunnel_id),
                netns=node.netns,
                forgive=_GONE,
            )
        work.wait_until_gone(node, _left)


def _left(place: Namespace, nodes: list[Node]) -> list[Node]:
    """The nodes of which the tunnel or the interface is still there."""
    tunnels = {tunnel.tunnel_id for tunnel in read_tunnels(place)}
    names = {link.ifname for link in read_links(place)}
    return [node for node in nodes if node.values.get("tunnel_id") in tunnels or node.ifname in names]


def tunnel_values(tunnel: Tunnel, session: Session) -> dict[str, Any]:
    """A tunnel's and its session's values, all but the l2spec."""
    return {
        "encap": tunnel.encap,
        "local": tunnel.local,
        "remote": tunnel.remote,
        "udp_sport": tunnel.udp_sport if tunnel.encap == "udp" else None,
        "udp_dport": tunnel.udp_dport if tunnel.encap == "udp" else None,
        "tunnel_id": tunnel.tunnel_id,
        "session_id": session.session_id,
        "peer_session_id": session.peer_session_id,
        "cookie": int.from_bytes(session.cookie, "big") if session.cookie else None,
        "peer_cookie": int.from_bytes(session.peer_cookie, "big") if session.peer_cookie else None,
        "cookie_size": len(session.peer_cookie),
    }
