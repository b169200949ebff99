"""What a kind of host interface says of itself: all of its rules are in its file, and what most kinds share is here."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from vecnet.errors import HostError
from vecnet.host import as_netem, mark, settings
from vecnet.host.mark import Mark
from vecnet.host.plan import EndState, Node, Plan, differing, made_of
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op, Stage, ToIndex, Way
from vecnet.impairment import ImpairmentText
from vecnet.kernel import ethtool, netem, rtnl
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.probe import lacks_kind
from vecnet.kernel.rtnl import Interface, Settings
from vecnet.records import record
from vecnet.transports.link import Attributes, HostInterface, OuterEnd

REGISTRY: dict[str, InterfaceKind] = {}
Seen = tuple[Attributes, *tuple[EndState, ...]]  # the kind's own values, and a pair's second end


@record(frozen=True, slots=True)
class Scene:
    """Whose interfaces are made, changed or removed, and the host as it was seen before."""

    topology: str
    snapshot: Snapshot

    def place(self, netns: str | None) -> Namespace:
        return self.snapshot.place(netns)

    def group(self, netns: str | None) -> int:
        return self.snapshot.group(self.topology, netns)

    def alias(self, node: Node, end: EndState, notes: dict[str, str]) -> str:
        """The mark of an end, as text. A pair's notes are at its first end."""
        peer = is_peer(node, end)
        notes = {} if peer else {**notes, mark.MADE: made_of(node)}
        return str(mark.Mark(self.topology, node.link, peer, self.snapshot.home_cookie, notes))


def is_peer(node: Node, end: EndState) -> bool:
    """Whether an end is a pair's second."""
    return end.key != node.key


@record(frozen=True, slots=True)
class KeepIpv6Off:
    """Nothing of IPv6 at an end that is a guest's: no report to multicast routers, which would reach the other end,
    and no routes, which the kernel walks for each interface that comes up. Where it may not be set, the guest's end
    still gets no address."""

    ifname: str

    def __call__(self, place: Namespace) -> None:
        with place.entered(), contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{self.ifname}/disable_ipv6").write_text("1")


@record(frozen=True, slots=True)
class Intent:
    """What a topology wants of the host: its plan, and the ends of guests' tunnels that are on this host."""

    wanted: Sequence[Node]
    plan: Plan
    snapshot: Snapshot
    guests: Sequence[OuterEnd]

    def new(self, *kinds: str) -> list[Node]:
        """What is to be made, of some kinds."""
        return [step.coming for step in self.plan.steps if step.coming and step.coming.kind in kinds]


class InterfaceKind:
    """A kind of interface. Its files' order: facts, what is wanted, what is seen, how it is made, what it forbids."""

    name: ClassVar[str]
    kernel_name: ClassVar[str] = ""  # IFLA_INFO_KIND, "" where rtnetlink has none
    modules: ClassVar[tuple[str, ...]] = ()  # that a kernel without this kind lacks
    fixed: ClassVar[frozenset[str]] = frozenset()  # names of what only a new interface can have
    turn: ClassVar[int] = 0  # kinds of a later turn are made once those of an earlier one have their addresses
    set_at: ClassVar[Stage] = Stage.SETTLE  # when a changed interface gets its settings
    offloads: ClassVar[bool] = False  # whether checksums left open may reach what is behind it
    marked: ClassVar[bool] = False  # whether `make` sets the alias as well
    own_removal: ClassVar[bool] = False  # whether `remove` is its own; else one call removes all of a namespace

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            REGISTRY[cls.name] = cls()

    # what is wanted

    def wanted(self, interface: HostInterface) -> Node:
        """The node that an interface asks for. Raises HostError."""
        first = EndState(
            netns=interface.netns,
            ifname=interface.ifname,
            mtu=interface.mtu,
            up=True,
            addresses=interface.addresses,
            bridge=interface.bridge,
            mac=interface.mac.lower() if interface.mac is not None else None,
            offload=interface.offload if self.offloads else None,
            impair=as_netem.rounded(interface.impairment).words if interface.impairment else "",
        )
        ends = (first, *self.other_wanted(interface))
        return Node(interface.netns, interface.ifname, self.name, interface.link, ends, self.wanted_values(interface))

    def wanted_values(self, interface: HostInterface) -> Attributes:
        """The kind's own values. Raises HostError."""
        return interface.attributes

    def other_wanted(self, interface: HostInterface) -> tuple[EndState, ...]:
        """A pair's second end."""
        return ()

    # what is seen

    def seen(self, link: Interface, netns: str | None, snapshot: Snapshot) -> Seen | None:
        """None where half of the interface is missing."""
        return (Attributes(),)

    def found(self, topology: str, snapshot: Snapshot) -> Iterable[Node]:
        """A topology's nodes that are known by more than their interface's mark."""
        return ()

    def left(self, said: Mark) -> bool:
        """Whether an interface of no kind of the kernel's is what is left of one of these."""
        return False

    def node(self, link: Interface, netns: str | None, snapshot: Snapshot, said: Mark) -> Node | None:
        """The node of an interface that is marked so; None where half of it is missing."""
        seen = self.seen(link, netns, snapshot)
        if seen is None:
            return None
        values, *others = seen
        ends = (self.end(link, netns, snapshot), *others)
        there = [(end, snapshot.at(end.key)) for end in ends]
        marked = not self.kernel_name or all(
            one.group == snapshot.group(said.topology, end.netns) and snapshot.view(end.netns).mark(one)
            for end, one in there
            if one is not None
        )
        in_use, made = self.in_use(link, netns, snapshot), said.notes.get(mark.MADE, "")
        return Node(netns, link.ifname, self.name, said.link, ends, values, marked=marked, in_use=in_use, made=made)

    def end(self, link: Interface, netns: str | None, snapshot: Snapshot) -> EndState:
        """One end, as it was seen."""
        view = snapshot.view(netns)
        impairment = view.impairment(link)
        return EndState(
            netns=netns,
            ifname=link.ifname,
            mtu=link.mtu,
            up=link.up,
            addresses=view.addresses(link),
            bridge=view.master(link),
            settings=settings.seen(link, impaired=impairment is not None),
            impair=impairment.words if impairment else "",
            mac=link.mac,
            offload=view.offload(link) if self.offloads else None,
        )

    def in_use(self, link: Interface, netns: str | None, snapshot: Snapshot) -> str:
        """Who uses the interface and would be cut off; empty if nobody is known to."""
        return ""

    def ailment(self, node: Node, snapshot: Snapshot) -> str:
        """Why an interface that is whole does not carry frames, empty where it does."""
        for end in node.ends:
            if snapshot.at(end.key) is None:
                return f"{end.ifname} is gone"
            if not end.up:
                return f"{end.ifname} is down"
            if end.settings:
                return f"{end.ifname} has {', '.join(end.settings)}"
        return ""

    def counters(self, node: Node, snapshot: Snapshot) -> Mapping[str, int]:
        """What it counts beyond its interface."""
        return {}

    def owner(self, values: Attributes) -> int | None:
        """The user that it belongs to, by number; None where it is nobody's."""
        return None

    # what is there already

    def unfit(self, there: Interface) -> str:
        """Why somebody else's interface will not do as one of this kind, empty where it will."""
        return "" if there.kind == self.kernel_name else f"is {_noun(there)}, and no {self.name}"

    # how it is made

    def make(self, node: Node, scene: Scene) -> Iterable[Op]:
        """Make the interface, marked from the first moment."""
        raise TypeError(f"{self.name} has no way to be made")

    def notes(self, values: Attributes) -> dict[str, str]:
        """Values that cannot be read back: the alias notes them."""
        return {}

    def late(self, node: Node, settings: Settings) -> Settings:
        """With what `make` cannot set, and what follows with the alias."""
        return self.with_own(node.values, settings)

    def with_own(self, values: Attributes, settings: Settings) -> Settings:
        """With the kind's own values that a running interface can be given."""
        return settings

    def autoconf(self, values: Attributes) -> bool:
        """Whether IPv6 gives the first end an address of its own."""
        return True

    def settle(self, node: Node, scene: Scene) -> Iterator[Op]:
        """What a new interface lacks: alias, offloads, up, bridge, addresses."""
        for end in node.ends:
            peer = is_peer(node, end)
            place = scene.place(end.netns)
            if peer or not self.autoconf(node.values):
                yield from _keep_ipv6_off(scene, node, end, self.turn)
            given = Settings() if self.marked else Settings(alias=scene.alias(node, end, self.notes(node.values)))
            given = given if peer else self.late(node, given)
            if given != Settings():
                message = rtnl.set_link(end.ifname, given)
                yield Op(Stage.SETTLE, node, place, "mark it", message, turn=self.turn)
            if end.offload is False:
                yield _set_offload(scene, node, end, self.turn)
            if end.impair:
                yield _set_impairment(scene, node, end, "", self.turn)
            if end.up or end.bridge:
                yield _set_up(scene, node, end, self.turn, bridge=end.bridge is not None)
            yield from _set_addresses(scene, node, end, (), self.turn)

    def change(self, before: Node, after: Node, scene: Scene) -> Iterator[Op]:
        """Bring an interface to what it shall be, all of which can be changed in place. Its mark says what that is."""
        remark = not before.marked or before.link != after.link or before.made != made_of(after)
        for end, was in zip(after.ends, before.ends, strict=True):
            peer = is_peer(after, end)
            differs = differing(was, end)
            given = Settings(
                mtu=end.mtu if "mtu" in differs else None,
                mac=end.mac if "mac" in differs else None,
                group=None if before.marked else scene.group(end.netns),
                alias=scene.alias(after, end, self.notes(after.values)) if remark else None,
            )
            if not peer and differing(before.values, after.values):
                given = self.with_own(after.values, given)
            if given.said:
                what, message = f"set its {', '.join(given.said)}", rtnl.set_link(end.ifname, given)
                yield Op(self.set_at, after, scene.place(end.netns), what, message, turn=self.turn)
            if "mtu" in differs and (peer or not self.autoconf(after.values)):  # one of 1280 and more brings IPv6 back
                yield from _keep_ipv6_off(scene, after, end, self.turn)
            if "offload" in differs:
                yield _set_offload(scene, after, end, self.turn)
            if "impair" in differs:
                yield _set_impairment(scene, after, end, was.impair, self.turn)
            if "up" in differs or "bridge" in differs:
                yield _set_up(scene, after, end, self.turn, bridge="bridge" in differs)
            yield from _set_addresses(scene, after, end, was.addresses, self.turn)
            for what, mended in settings.set_back(end.ifname, was.settings):
                do = mended if isinstance(mended, bytes) else ToIndex(end.ifname, mended)
                yield Op(Stage.SETTLE, after, scene.place(end.netns), what, do, turn=self.turn)

    def remove(self, nodes: Sequence[Node], scene: Scene) -> Iterable[Op]:
        """Remove some that lie in one namespace."""
        return delete(scene, nodes)

    # what it forbids

    def lacking(self, netns: str | None, snapshot: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        """The modules that this kernel lacks and that `nodes` need; none where it may not be asked."""
        return self.modules if lacks_kind(snapshot.place(netns), self.kernel_name) else ()

    def outer(self, node: Node) -> tuple[str, str] | None:
        """A tunnel's own address and the other end's."""
        return None

    def clashes(self, intent: Intent) -> Iterator[HostError]:
        """What an interface of this kind needs for itself alone, and somebody else has; or it takes from a guest."""
        return iter(())


def _noun(there: Interface) -> str:
    return f"an interface of the kind {there.kind}" if there.kind else "an interface without a kind"


def new_link(kind: InterfaceKind, node: Node, scene: Scene, data: Sequence[tuple[str, object]] = ()) -> Op:
    """Make an interface by rtnetlink, marked by its group; `data` are its kind's own attributes."""
    (end,) = node.ends
    given = Settings(mtu=end.mtu, mac=end.mac, group=scene.group(end.netns))
    message = rtnl.new_link(end.ifname, kind.kernel_name, given, data)
    return Op(Stage.MAKE, node, scene.place(end.netns), "make it", message, turn=kind.turn)


def _set_up(scene: Scene, node: Node, end: EndState, turn: int, *, bridge: bool) -> Op:
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


def _keep_ipv6_off(scene: Scene, node: Node, end: EndState, turn: int) -> Iterator[Op]:
    place, what, none = scene.place(end.netns), "keep IPv6 off it", frozenset({errno.EAFNOSUPPORT})
    yield Op(Stage.SETTLE, node, place, what, rtnl.keep_ipv6_addresses_off(end.ifname), turn=turn, forgive=none)
    yield Op(Stage.SETTLE, node, place, what, KeepIpv6Off(end.ifname), Way.CALL, turn)


def _set_offload(scene: Scene, node: Node, end: EndState, turn: int) -> Op:
    message = ethtool.set_features(
        scene.snapshot.family("ethtool"), end.ifname, ethtool.CHECKSUMS, on=end.offload is True
    )
    place = scene.place(end.netns)
    return Op(Stage.SETTLE, node, place, "switch its checksum offload", message, Way.GENERIC, turn)


def _set_impairment(scene: Scene, node: Node, end: EndState, before: str, turn: int) -> Op:
    if end.impair:
        what, message = (
            "impair it",
            netem.set_to(as_netem.values(ImpairmentText().parse(end.impair)), there=bool(before)),
        )
    else:
        what, message = "end its impairment", netem.remove()
    return Op(Stage.SETTLE, node, scene.place(end.netns), what, ToIndex(end.ifname, message), turn=turn)


def _set_addresses(scene: Scene, node: Node, end: EndState, before: Sequence[str], turn: int) -> Iterator[Op]:
    place = scene.place(end.netns)
    for add, texts, others in ((False, before, end.addresses), (True, end.addresses, before)):
        for text in dict.fromkeys(text for text in texts if text not in others):
            what = f"give it the address {text}" if add else f"take the address {text} from it"
            message = ToIndex(end.ifname, rtnl.address(text, add=add))
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
