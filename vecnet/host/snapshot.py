"""The host's namespaces as they were seen at one moment, and which of their interfaces are a topology's."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vecnet.errors import HostError
from vecnet.host import mark
from vecnet.host.plan import Key, Node
from vecnet.kernel import ethtool
from vecnet.kernel.l2tp import Session, Tunnel, read_tunnels
from vecnet.kernel.namespaces import Namespace, Namespaces
from vecnet.kernel.rtnl import Interface, read_addresses, read_links, read_packet_sockets

if TYPE_CHECKING:
    from vecnet.host.kinds import End

Place = tuple[str, str]  # a namespace's name ("" at home) and an interface's


@contextmanager
def many_objects() -> Iterator[None]:
    """The garbage collector rests: it would walk, over and over, thousands of objects that all stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass
class View:
    """All that is known of a namespace; what is dear is read when it is first asked for."""

    place: Namespace
    links: list[Interface] = field(default_factory=list)
    link_local: bool = False  # whether IPv6's link-local addresses count

    @classmethod
    def read(cls, place: Namespace, counters: bool = False) -> View:
        with many_objects():
            return cls(place, list(read_links(place, counters)))

    @cached_property
    def by_name(self) -> dict[str, Interface]:
        return {link.ifname: link for link in self.links}

    @cached_property
    def by_index(self) -> dict[int, Interface]:
        return {link.index: link for link in self.links}

    @cached_property
    def _marks(self) -> dict[int, mark.Mark | None]:
        return {link.index: mark.read(link.alias) for link in self.links if link.alias}

    def mark(self, link: Interface) -> mark.Mark | None:
        """What an interface's alias says, where it is vecnet's."""
        return self._marks.get(link.index)

    @cached_property
    def _addresses(self) -> dict[int, list[str]]:
        return read_addresses(self.place, self.link_local)

    def addresses(self, link: Interface) -> list[str]:
        """An interface's addresses, with their prefix lengths."""
        return self._addresses.get(link.index, [])

    @cached_property
    def every_address(self) -> set[str]:
        """All local addresses, without prefix lengths."""
        return {str(ipaddress.ip_interface(text).ip) for texts in self._addresses.values() for text in texts}

    @cached_property
    def tunnels(self) -> list[Tunnel]:
        return read_tunnels(self.place)

    @cached_property
    def sessions(self) -> dict[str, Session]:
        """The L2TP sessions, by their interfaces' names."""
        return {session.ifname: session for tunnel in self.tunnels for session in tunnel.sessions}

    @cached_property
    def _packet_sockets(self) -> frozenset[int]:
        with self.place.entered():
            return read_packet_sockets()

    def bound(self, link: Interface) -> bool:
        """Whether a packet socket is bound to the interface, as a guest's raw transport does."""
        return link.index in self._packet_sockets

    @cached_property
    def _checksums(self) -> dict[int, bool]:
        return ethtool.read_checksum_offload(self.place)

    def offload(self, link: Interface) -> bool | None:
        """Whether the interface wants to be handed checksums that are still to be filled; None where it cannot."""
        return self._checksums.get(link.index)

    def master(self, link: Interface) -> str | None:
        """The name of the bridge that the interface is a member of."""
        above = self.by_index.get(link.master) if link.master else None
        return above.ifname if above else None


class Snapshot:
    """Everything in home and in the named namespaces that matter. Read once; a new look is a new Snapshot."""

    def __init__(self, namespaces: Namespaces, names: set[str], counters: bool = False) -> None:
        """Look at home, at the namespaces `names`, and at every other that can be entered. Raises HostError."""
        self._namespaces = namespaces
        self.home_cookie = namespaces.home.cookie
        self._views: dict[str | None, View] = {None: View.read(namespaces.home, counters)}
        for name in sorted(names):
            self._views[name] = View.read(namespaces[name], counters)
        for place in namespaces.others():
            if place.name not in self._views:
                with suppress(OSError, HostError):
                    self._views[place.name] = View.read(place, counters)

    def place(self, netns: str | None) -> Namespace:
        return self._namespaces[netns]

    def view(self, netns: str | None) -> View:
        return self._views[netns]

    def views(self) -> Iterator[tuple[str | None, View]]:
        return iter(self._views.items())

    def group(self, topology: str, netns: str | None) -> int:
        return mark.group(topology, None if netns is None else self.home_cookie)

    def topologies(self) -> list[str]:
        """The names of all topologies that have something here."""
        names = {
            found.topology
            for netns, view in self.views()
            for found in map(view.mark, view.links)
            if found and self._is_home(found, netns)
        }
        return sorted(names)

    def _is_home(self, found: mark.Mark, netns: str | None) -> bool:
        return found.home is None if netns is None else found.home == self.home_cookie

    def interfaces(self, node: Node, netns: str | None) -> list[str]:
        """The names of a node's interfaces in a namespace."""
        from vecnet.host.kinds import KINDS

        if node.kind not in KINDS:
            return [node.ifname] if node.netns == netns else []
        return [end.ifname for end in KINDS[node.kind].ends(node) if end.netns == netns]

    def nodes(self, topology: str, keep: frozenset[str] = frozenset()) -> dict[Key, Node]:
        """A topology's interfaces. `keep` are the link-local addresses that count, since IPv6 gives others itself."""
        from vecnet.host.kinds import BY_KERNEL_NAME, KINDS

        for _, view in self.views():
            view.link_local = any(text.startswith("fe80:") for text in keep)
        nodes: dict[Key, Node] = {}
        rest: list[tuple[str | None, Interface]] = []
        owned: set[Place] = set()
        for kind in KINDS.values():
            for node in kind.found(topology, self, keep):
                nodes[node.key] = node
                owned.update((end.netns or "", end.ifname) for end in kind.ends(node))
        for netns, view in self.views():
            group = self.group(topology, netns)
            for link in view.links:
                if ((netns or ""), link.ifname) in owned:
                    continue
                said = view.mark(link)
                if said is not None:
                    if said.topology != topology or not self._is_home(said, netns):
                        continue
                elif link.alias or mark.undoomed(link.group) != group:
                    continue
                handler = BY_KERNEL_NAME.get(link.kind)
                own = None
                if handler and said and not said.peer:
                    own = handler.seen(link, netns, self)
                if handler is None or said is None or own is None:
                    rest.append((netns, link))
                    continue
                node = self.node(handler.name, netns, link, own, keep)
                nodes[node.key] = node
                owned.update((end.netns or "", end.ifname) for end in handler.ends(node))
        for netns, link in rest:
            if (netns or "", link.ifname) not in owned:
                name = BY_KERNEL_NAME[link.kind].name if link.kind in BY_KERNEL_NAME else link.kind
                said = self.view(netns).mark(link)
                if said and "l2spec_type" in said.notes:
                    name = "l2tp"  # its tunnel has been deleted, and takes it along presently
                half = Node(netns, link.ifname, name, said.link if said else "", whole=False)
                nodes[half.key] = half
        return nodes

    def node(self, kind: str, netns: str | None, link: Interface, own: dict[str, Any], keep: frozenset[str]) -> Node:
        """The node of an interface that carries its mark; `own` are its kind's values."""
        from vecnet.host.kinds import KINDS

        said = self.view(netns).mark(link)
        assert said is not None
        handler = KINDS[kind]
        values = {**self.common(handler.offloads, netns, link, keep), **own}
        node = Node(netns, link.ifname, kind, said.link, values, in_use=handler.in_use(link, netns, self))
        if handler.kernel_name and any(self._ungrouped(said.topology, end) for end in handler.ends(node)):
            values["mark"] = "its group is not the topology's"
        return node

    def _ungrouped(self, topology: str, end: End) -> bool:
        """Whether an interface has lost its group: it was to be deleted when a run ended, or somebody changed it."""
        link = self.view(end.netns).by_name.get(end.ifname)
        return link is not None and link.group != self.group(topology, end.netns)

    def common(self, offloads: bool, netns: str | None, link: Interface, keep: frozenset[str]) -> dict[str, Any]:
        """The values that interfaces of every kind have."""
        view = self.view(netns)
        values: dict[str, Any] = {
            "mtu": link.mtu,
            "mac": link.mac,
            "up": link.up,
            "addresses": [text for text in view.addresses(link) if text in keep or not text.startswith("fe80:")],
            "bridge": view.master(link),
        }
        if offloads:
            values["offload"] = view.offload(link)
        return values
