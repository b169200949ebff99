"""veth: a pair, one end for the host and one for a guest's packet sockets; between two guests, an end for each.

The pair is one node: the named end, and its peer, which always lies in vecnet's own network namespace, where the guest
is started. veth(4).
"""

from __future__ import annotations

from collections.abc import Iterator

from vecnet.host.kinds.base import InterfaceKind, Scene, Seen
from vecnet.host.plan import EndState, Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op, Stage
from vecnet.kernel import rtnl
from vecnet.kernel.rtnl import Interface, Settings
from vecnet.transports.link import Attributes, HostInterface, VethAttributes


class Veth(InterfaceKind):
    name = "veth"
    kernel_name = "veth"
    modules = ("veth",)
    fixed = frozenset({"peer", "autoconf"})
    offloads = True

    def other_wanted(self, interface: HostInterface) -> tuple[EndState, ...]:
        peer = interface.peer
        assert peer is not None
        return (EndState(None, peer.ifname, interface.mtu, True, mac=peer.mac, offload=interface.offload),)

    def seen(self, link: Interface, netns: str | None, snapshot: Snapshot) -> Seen | None:
        found = _peer(link, netns, snapshot)
        if found is None or found[0] is not None:
            return None
        view = snapshot.view(None)
        said, theirs = snapshot.view(netns).mark(link), view.mark(found[1])
        if not theirs.peer if theirs else not found[1].alias:  # half made; where somebody wrote an alias, it was whole
            return None
        peer = self.end(found[1], None, snapshot)
        return VethAttributes(autoconf=said is None or said.notes.get("autoconf") != "False"), peer

    def in_use(self, link: Interface, netns: str | None, snapshot: Snapshot) -> str:
        for where, end in filter(None, ((netns, link), _peer(link, netns, snapshot))):
            if snapshot.view(where).bound(end):
                return f"a packet socket is bound to {end.ifname}"
        return ""

    def ailment(self, node: Node, snapshot: Snapshot) -> str:
        first, second = (end.mtu for end in node.ends)
        differ = f"its two ends have different MTUs, {first} and {second}" if first != second else ""
        return super().ailment(node, snapshot) or differ

    def unfit(self, there: Interface) -> str:
        """A guest's packet sockets take any Ethernet interface."""
        return "" if there.ethernet else "is no Ethernet interface"

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        first, second = node.ends
        mine, theirs = (Settings(mtu=end.mtu, mac=end.mac, group=scene.group(end.netns)) for end in node.ends)
        home = scene.place(None).fd if node.netns else None
        message = rtnl.new_veth(first.ifname, mine, second.ifname, theirs, home)
        yield Op(Stage.MAKE, node, scene.place(node.netns), "make it", message)

    def notes(self, values: Attributes) -> dict[str, str]:
        return {} if self.autoconf(values) else {"autoconf": "False"}

    def autoconf(self, values: Attributes) -> bool:
        assert isinstance(values, VethAttributes)
        return values.autoconf


def _peer(link: Interface, netns: str | None, snapshot: Snapshot) -> tuple[str | None, Interface] | None:
    """The other end, where it is in this namespace or in vecnet's own."""
    where = None if link.elsewhere else netns
    peer = snapshot.view(where).by_index.get(link.link)
    return (where, peer) if peer is not None and peer.kind == "veth" and peer.link == link.index else None
