"""The operations that kinds of interfaces share: each function returns what is to be sent, and sends nothing."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vecnet.host import mark
from vecnet.host.plan import EndState, Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op, Stage, ToIndex, Way
from vecnet.kernel import ethtool, rtnl
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.rtnl import Settings


@dataclass(frozen=True, slots=True)
class Scene:
    """Whose interfaces are made, changed or removed, and the host as it was seen before."""

    topology: str
    snapshot: Snapshot

    def place(self, netns: str | None) -> Namespace:
        return self.snapshot.place(netns)

    def group(self, netns: str | None) -> int:
        return self.snapshot.group(self.topology, netns)

    def alias(self, node: Node, end: EndState, notes: dict[str, str]) -> str:
        """The mark of an end, as text. A pair's second lies at home and needs no word of where that is."""
        peer = is_peer(node, end)
        home = self.snapshot.home_cookie if node.netns is not None and not peer else None
        return str(mark.Mark(self.topology, node.link, peer, home, {} if peer else notes))


def is_peer(node: Node, end: EndState) -> bool:
    """Whether an end is a pair's second."""
    return end.key != node.key


@dataclass(frozen=True, slots=True)
class KeepIpv6Off:
    """Nothing of IPv6 at an end that is a guest's: no report to multicast routers, which would reach the other end,
    and no routes, which the kernel walks for each interface that comes up. Where it may not be set, the guest's end
    still gets no address."""

    ifname: str

    def __call__(self, place: Namespace) -> None:
        with place.entered(), contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{self.ifname}/disable_ipv6").write_text("1")


def set_up(scene: Scene, node: Node, end: EndState, turn: int, *, bridge: bool) -> Op:
    """Bring an end up or down; `bridge` whether it changes into its bridge as well, or out of any."""
    message: bytes | ToIndex
    if not bridge:
        message = rtnl.set_link(end.ifname, Settings(up=end.up))
    elif end.bridge is None:
        message = rtnl.set_master(end.ifname, end.up).of(0)
    else:
        message = ToIndex(end.bridge, rtnl.set_master(end.ifname, end.up))
    what = f"put it into bridge {end.bridge}" if bridge and end.bridge else f"set it {'up' if end.up else 'down'}"
    place = scene.place(end.netns)
    if not is_peer(node, end):
        return Op(Stage.RAISE, node, place, what, message, turn=turn)
    first = node.ends[0]
    until = (scene.place(first.netns), first.ifname) if first.up and end.up else None  # with one down, none sends
    return Op(Stage.PEER, node, place, what, message, turn=turn, until_sends=until)


def set_offload(scene: Scene, node: Node, end: EndState, turn: int) -> Op:
    message = ethtool.set_features(
        scene.snapshot.family("ethtool"), end.ifname, ethtool.CHECKSUMS, on=end.offload is True
    )
    place = scene.place(end.netns)
    return Op(Stage.SETTLE, node, place, "switch its checksum offload", message, Way.GENERIC, turn)


def set_addresses(scene: Scene, node: Node, before: Sequence[str], after: Sequence[str], turn: int) -> Iterator[Op]:
    place = scene.place(node.netns)
    for add, texts, others in ((False, before, after), (True, after, before)):
        for text in dict.fromkeys(text for text in texts if text not in others):
            what = f"give it the address {text}" if add else f"take the address {text} from it"
            message = ToIndex(node.ifname, rtnl.address(text, add=add))
            yield Op(Stage.ADDRESS, node, place, what, message, turn=turn)


def delete(scene: Scene, nodes: Sequence[Node]) -> Iterator[Op]:
    """Remove interfaces of one namespace: one by its name, several by a group.

    That is the topology's own, where it has nothing else in it.
    """
    netns = nodes[0].netns
    place, view, group = scene.place(netns), scene.snapshot.view(netns), scene.group(netns)
    gone = frozenset({errno.ENODEV})
    if len(nodes) == 1:
        yield Op(Stage.DELETE, nodes[0], place, "remove it", rtnl.delete_link(nodes[0].ifname), forgive=gone)
        return
    names = {ifname for node in nodes for where, ifname in node.keys if where == (netns or "")}
    members = {link.ifname for link in view.links if link.group == group}
    if not (members and members <= names and {node.ifname for node in nodes} <= members):
        group = mark.doomed(group)
        for node in nodes:
            message = rtnl.set_link(node.ifname, Settings(group=group))
            yield Op(Stage.DOOM, node, place, "remove it", message, forgive=gone)
    yield Op(Stage.DELETE, nodes[0], place, "remove it", rtnl.delete_group(group), forgive=gone)
