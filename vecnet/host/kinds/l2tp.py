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
6. Tunnel ids are unique; a local address and UDP port has one socket; session ids are unique as soon as a tunnel runs
   straight on IP, in UDP tunnels too. The kernel takes L2TPv3 on IP by the session, whatever the addresses: so it
   takes what is for a guest with the same one.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

from vecnet.errors import HostError
from vecnet.host.kinds.base import Intent, InterfaceKind, Scene
from vecnet.host.mark import MADE, Mark
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op, Stage, Way
from vecnet.kernel import genl, l2tp
from vecnet.kernel.l2tp import Session, Tunnel, read_tunnels
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.probe import lacks_module, lacks_protocol, udp_error
from vecnet.kernel.rtnl import Settings, read_links
from vecnet.records import record
from vecnet.transports.link import Attributes, L2tpAttributes

IPPROTO_L2TP = 115  # RFC 3931 section 4.1.1
_PASSES = frozenset({errno.EEXIST, errno.EADDRINUSE, errno.ENODEV})  # while an older tunnel is going
_GONE = frozenset({errno.ENODEV, errno.ENOENT})
_GONE_WITHIN = 60.0  # seconds; thousands of tunnels take some
_PAUSE = 0.02  # seconds


@record(frozen=True, slots=True)
class Remains(Attributes):
    """A tunnel of which a part is missing."""

    tunnel_id: int


@record(frozen=True, slots=True)
class UntilGone:
    """Wait until neither the tunnel nor the interface of any of these is there."""

    nodes: tuple[Node, ...]

    def __call__(self, place: Namespace) -> None:
        until = time.monotonic() + _GONE_WITHIN
        while left := self._left(place):
            if time.monotonic() >= until:
                message = f"l2tp {left[0]}: the kernel has not removed it after {_GONE_WITHIN:.0f} s"
                raise HostError(message, "try again")
            time.sleep(_PAUSE)

    def _left(self, place: Namespace) -> list[Node]:
        tunnels = {tunnel.tunnel_id for tunnel in read_tunnels(place)}
        names = {link.ifname for link in read_links(place)}
        return [node for node in self.nodes if _tunnel_id(node) in tunnels or node.ifname in names]


class L2tp(InterfaceKind):
    name = "l2tp"
    fixed = frozenset({"mac", *(each.name for each in fields(L2tpAttributes))})
    turn = 1
    own_removal = True

    def found(self, topology: str, snapshot: Snapshot) -> Iterable[Node]:
        for netns, view in snapshot.views():
            for tunnel in view.tunnels:
                if tunnel.peer_tunnel_id == snapshot.group(topology, netns):
                    yield self._node(tunnel, netns, snapshot)

    def _node(self, tunnel: Tunnel, netns: str | None, snapshot: Snapshot) -> Node:
        view = snapshot.view(netns)
        if len(tunnel.sessions) == 1:
            session = tunnel.sessions[0]
            link = view.by_name.get(session.ifname)
            said = view.mark(link) if link is not None else None
            if link is not None and said is not None and self.left(said):
                values = _values(tunnel, session, said.notes["l2spec_type"])
                ends, made = (self.end(link, netns, snapshot),), said.notes.get(MADE, "")
                return Node(netns, link.ifname, self.name, said.link, ends, values, made=made)
        ifname = tunnel.sessions[0].ifname if tunnel.sessions else f"tunnel {tunnel.tunnel_id}"
        return Node(netns, ifname, self.name, "", values=Remains(tunnel.tunnel_id), whole=False)

    def left(self, said: Mark) -> bool:
        return "l2spec_type" in said.notes

    def counters(self, node: Node, snapshot: Snapshot) -> Mapping[str, int]:
        session = snapshot.view(node.netns).sessions.get(node.ifname)
        return session.counters if session else {}

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        family, values = scene.snapshot.family("l2tp"), _attributes(node)
        tunnel = Tunnel(
            tunnel_id=values.tunnel_id,
            peer_tunnel_id=scene.group(node.netns),
            encap=values.encap,
            local=values.local,
            remote=values.remote,
            udp_sport=values.udp_sport,
            udp_dport=values.udp_dport,
        )
        session = Session(
            tunnel_id=values.tunnel_id,
            session_id=values.session_id,
            peer_session_id=values.peer_session_id,
            ifname=node.ifname,
            cookie=_cookie(values.cookie, values.cookie_size),
            peer_cookie=_cookie(values.peer_cookie, values.cookie_size),
        )
        messages = {
            "make its tunnel": l2tp.new_tunnel(family, tunnel),
            "make its session": l2tp.new_session(family, session, values.l2spec_type),
        }
        place = scene.place(node.netns)
        for what, message in messages.items():
            yield Op(Stage.MAKE, node, place, what, message, Way.GENERIC, self.turn, retry=_PASSES)

    def notes(self, values: Attributes) -> dict[str, str]:
        assert isinstance(values, L2tpAttributes)
        return {"l2spec_type": values.l2spec_type}

    def late(self, node: Node, settings: Settings) -> Settings:
        return replace(settings, mtu=node.ends[0].mtu, mac=node.ends[0].mac)

    def remove(self, nodes: Sequence[Node], scene: Scene) -> Iterator[Op]:
        family, place = scene.snapshot.family("l2tp"), scene.place(nodes[0].netns)
        for node in nodes:
            number = _tunnel_id(node)
            if number is not None:  # else somebody has deleted it, and its interface is still going
                message = l2tp.delete_tunnel(family, number)
                yield Op(Stage.DELETE, node, place, "remove its tunnel", message, Way.GENERIC, forgive=_GONE)
        yield Op(Stage.GONE, nodes[0], place, "remove it", UntilGone(tuple(nodes)), Way.CALL)

    def lacking(self, netns: str | None, snapshot: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        place = snapshot.place(netns)
        straight = {":" in _attributes(node).local for node in nodes if _attributes(node).encap == "ip"}
        lacks = {
            "l2tp_netlink": genl.load_family(place, "l2tp") is None,
            "l2tp_eth": lacks_module("l2tp_eth"),
            "l2tp_ip": False in straight and lacks_protocol(place, socket.AF_INET, IPPROTO_L2TP),
            "l2tp_ip6": True in straight and lacks_protocol(place, socket.AF_INET6, IPPROTO_L2TP),
        }
        return [module for module, lacking in lacks.items() if lacking]

    def outer(self, node: Node) -> tuple[str, str] | None:
        values = _attributes(node)
        return values.local, values.remote

    def clashes(self, intent: Intent) -> Iterator[HostError]:
        new = intent.new(self.name)
        for netns in {node.netns for node in new}:
            yield from self._ids(intent, netns, [node for node in new if node.netns == netns])
        yield from self._strays(intent)

    def _foreign(self, intent: Intent, netns: str | None) -> list[Tunnel]:
        ours = intent.snapshot.group(intent.plan.topology, netns)
        return [tunnel for tunnel in intent.snapshot.view(netns).tunnels if tunnel.peer_tunnel_id != ours]

    def _own(self, intent: Intent, netns: str | None) -> list[Node]:
        return [node for node in intent.wanted if node.kind == self.name and node.netns == netns]

    def _ids(self, intent: Intent, netns: str | None, new: Sequence[Node]) -> Iterator[HostError]:
        """What a tunnel that is to be made would share with one that is not this topology's, or with another of it."""
        foreign, own = self._foreign(intent, netns), self._own(intent, netns)
        ip = any(tunnel.encap == "ip" for tunnel in foreign) or any(_attributes(node).encap == "ip" for node in own)
        sessions = {session.session_id: tunnel for tunnel in foreign for session in tunnel.sessions}
        ids = {tunnel.tunnel_id for tunnel in foreign}
        taken: dict[int, Node] = {}
        for node in own:
            session = _attributes(node).session_id
            other = taken.setdefault(session, node)
            if ip and other is not node:
                yield HostError(
                    f"{node}: {other} has the session {session} too, which the kernel allows only while all tunnels "
                    "run over UDP",
                    "give one of them another `session`",
                )
        for node in new:
            values = _attributes(node)
            if values.tunnel_id in ids:
                yield HostError(
                    f"{node}: a tunnel with the id {values.tunnel_id} exists and is not vecnet's",
                    "rename the host's interface or the topology, from whose names the id is chosen",
                )
            if ip and values.session_id in sessions:
                yield HostError(
                    f"{node}: the session {values.session_id} exists in the tunnel "
                    f"{sessions[values.session_id].tunnel_id}, which is not this topology's",
                    "give another `session`",
                )
            yield from self._port(intent, node)

    def _port(self, intent: Intent, node: Node) -> Iterator[HostError]:
        """Whether the UDP port is another's; a tunnel of ours that goes has it as well."""
        values, snapshot = _attributes(node), intent.snapshot
        local, port = values.local, values.udp_sport
        ours = snapshot.group(intent.plan.topology, node.netns)
        sockets = {(t.local, t.udp_sport) for t in snapshot.view(node.netns).tunnels if t.peer_tunnel_id == ours}
        if port is None or (local, port) in sockets:
            return
        if udp_error(snapshot.place(node.netns), bind=(local, port)) == errno.EADDRINUSE:
            yield HostError(
                f"{node}: another socket has the UDP port {port} on {local}", "give the link another `port`"
            )

    def _strays(self, intent: Intent) -> Iterator[HostError]:
        """Guests' ends whose packets the kernel would take for a session of its own."""
        taken = [(end, claim.value[1]) for end in intent.guests for claim in end.claims if claim.what == "l2tp ip"]
        sessions: dict[int, str] = {}
        if taken:
            foreign = [session for tunnel in self._foreign(intent, None) for session in tunnel.sessions]
            sessions = {session.session_id: session.ifname for session in foreign}
            sessions |= {_attributes(node).session_id: str(node) for node in self._own(intent, None)}
        for end, session_id in taken:
            if session_id in sessions:
                yield HostError(
                    f"{end.endpoint}: {sessions[session_id]} has the session {session_id} too, and the kernel would "
                    "take the guest's packets for it, whatever their address",
                    "give one of them another `session`",
                )


def _attributes(node: Node) -> L2tpAttributes:
    assert isinstance(node.values, L2tpAttributes)
    return node.values


def _tunnel_id(node: Node) -> int | None:
    return node.values.tunnel_id if isinstance(node.values, L2tpAttributes | Remains) else None


def _cookie(number: int | None, size: int) -> bytes:
    return b"" if number is None else number.to_bytes(size, "big")


def _values(tunnel: Tunnel, session: Session, l2spec: str) -> L2tpAttributes:
    return L2tpAttributes(
        encap=tunnel.encap,
        local=tunnel.local,
        remote=tunnel.remote,
        udp_sport=tunnel.udp_sport if tunnel.encap == "udp" else None,
        udp_dport=tunnel.udp_dport if tunnel.encap == "udp" else None,
        tunnel_id=tunnel.tunnel_id,
        session_id=session.session_id,
        peer_session_id=session.peer_session_id,
        cookie=int.from_bytes(session.cookie, "big") if session.cookie else None,
        peer_cookie=int.from_bytes(session.peer_cookie, "big") if session.peer_cookie else None,
        cookie_size=len(session.peer_cookie),
        l2spec_type=l2spec,
    )
