"""veth: a pair, one end for the host and one for a guest's packet sockets; between two guests, an end for each.

The pair is one node: the named end, and the peer, whose values have "peer_" before their names. The peer always lies
in vecnet's own network namespace, where the guest is started. veth(4).
"""

from __future__ import annotations

from typing import Any

from vecnet.host.kinds.base import End, Kind
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Stage, Work
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import HostInterface


class Veth(Kind):
    name = "veth"
    kernel_name = "veth"
    modules = ("veth",)
    fixed = frozenset({"peer", "autoconf"})
    noted = ("autoconf",)
    offloads = True

    def wanted(self, interface: HostInterface) -> dict[str, Any]:
        return {
            "peer": interface.attributes["peer"],
            "peer_mac": interface.attributes["peer_mac"],
            "peer_mtu": interface.mtu,
            "peer_up": True,
            "peer_offload": interface.offload,
            "autoconf": bool(interface.attributes.get("autoconf", True)),
        }

    def seen(self, link: Interface, netns: str | None, world: Snapshot) -> dict[str, Any] | None:
        found = self._peer(link, netns, world)
        if found is None:
            return None
        where, peer = found
        said, theirs = world.view(netns).mark(link), world.view(where).mark(peer)
        if where is not None or theirs is None or not theirs.peer:
            return None
        return {
            "peer": peer.ifname,
            "peer_mac": peer.mac,
            "peer_mtu": peer.mtu,
            "peer_up": peer.up,
            "peer_offload": world.view(where).offload(peer),
            "autoconf": said is None or said.notes.get("autoconf") != "False",
        }

    def ends(self, node: Node) -> list[End]:
        ends = super().ends(node)
        return [*ends, End(None, node.values["peer"], "peer_")] if "peer" in node.values else ends

    def in_use(self, link: Interface, netns: str | None, world: Snapshot) -> str:
        pair = [(netns, link)]
        found = self._peer(link, netns, world)
        if found:
            pair.append(found)
        for where, end in pair:
            if world.view(where).bound(end):
                return f"a packet socket is bound to {end.ifname}"
        return ""

    def make(self, work: Work, node: Node) -> None:
        values = node.values
        home = work.world.place(None).fd if node.netns else None
        group, peer_group = work.group(node.netns), work.group(None)
        work.route(
            Stage.MAKE,
            node,
            node.netns,
            "make it",
            lambda n: n.new_veth(
                node.ifname,
                values["peer"],
                mtu=values["mtu"],
                mac=values.get("mac"),
                group=group,
                peer_mtu=values["peer_mtu"],
                peer_mac=values["peer_mac"],
                peer_group=peer_group,
                peer_netns=home,
            ),
        )

    @staticmethod
    def _peer(link: Interface, netns: str | None, world: Snapshot) -> tuple[str | None, Interface] | None:
        """The other end, where it is in this namespace or in vecnet's own."""
        where = None if link.elsewhere else netns
        peer = world.view(where).by_index.get(link.link)
        return (where, peer) if peer is not None and peer.kind == "veth" and peer.link == link.index else None
