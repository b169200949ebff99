"""The host's namespaces as they were seen at one moment, and which of their interfaces are a topology's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vecnet.errors import HostError
from vecnet.host import mark
from vecnet.host.model import Key, Node
from vecnet.host.namespaces import Namespace, Namespaces
from vecnet.host.observe import Seen, View

if TYPE_CHECKING:
    from vecnet.host.kinds import End

Place = tuple[str, str]  # a namespace's name ("" at home) and an interface's


class World:
    """Everything in home and in the named namespaces that matter. Read once; a new look is a new World."""

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
            link.mark.topology
            for netns, view in self.views()
            for link in view.links
            if link.mark and self._is_home(link.mark, netns)
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
        rest: list[tuple[str | None, Seen]] = []
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
                if link.mark is not None:
                    if link.mark.topology != topology or not self._is_home(link.mark, netns):
                        continue
                elif link.alias or mark.undoomed(link.group) != group:
                    continue
                handler = BY_KERNEL_NAME.get(link.kind)
                own = None
                if handler and link.mark and not link.mark.peer:
                    own = handler.seen(link, netns, self)
                if handler is None or link.mark is None or own is None:
                    rest.append((netns, link))
                    continue
                node = self.node(handler.name, netns, link, own, keep)
                nodes[node.key] = node
                owned.update((end.netns or "", end.ifname) for end in handler.ends(node))
        for netns, link in rest:
            if (netns or "", link.ifname) not in owned:
                name = BY_KERNEL_NAME[link.kind].name if link.kind in BY_KERNEL_NAME else link.kind
                if link.mark and "l2spec_type" in link.mark.notes:
                    name = "l2tp"  # its tunnel has been deleted, and takes it along presently
                half = Node(netns, link.ifname, name, link.mark.link if link.mark else "", whole=False)
                nodes[half.key] = half
        return nodes

    def node(self, kind: str, netns: str | None, link: Seen, own: dict[str, Any], keep: frozenset[str]) -> Node:
        """The node of an interface that carries its mark; `own` are its kind's values."""
        from vecnet.host.kinds import KINDS

        assert link.mark is not None
        handler = KINDS[kind]
        values = {**self.common(handler.offloads, netns, link, keep), **own}
        node = Node(netns, link.ifname, kind, link.mark.link, values, in_use=handler.in_use(link, netns, self))
        if handler.kernel_name and any(self._ungrouped(link.mark.topology, end) for end in handler.ends(node)):
            values["mark"] = "its group is not the topology's"
        return node

    def _ungrouped(self, topology: str, end: End) -> bool:
        """Whether an interface has lost its group: it was to be deleted when a run ended, or somebody changed it."""
        link = self.view(end.netns).by_name.get(end.ifname)
        return link is not None and link.group != self.group(topology, end.netns)

    def common(self, offloads: bool, netns: str | None, link: Seen, keep: frozenset[str]) -> dict[str, Any]:
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
