"""Which of the host's interfaces are a topology's, and which it wants."""

from __future__ import annotations

from collections.abc import Sequence

from vecnet.host import mark
from vecnet.host.kinds import BY_KERNEL_NAME, KINDS
from vecnet.host.plan import Key, Node
from vecnet.host.snapshot import Snapshot
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import HostInterface


def wanted_nodes(interfaces: Sequence[HostInterface]) -> list[Node]:
    """The nodes that a topology asks vecnet to make. Raises HostError, for an owner that does not exist, say."""
    return [KINDS[interface.kind].wanted(interface) for interface in interfaces if not interface.existing]


def marks(topology: str, interface: HostInterface) -> tuple[int, str, str]:
    """A topology's group, the alias of an interface, and that of a pair's second end: with these one that others make
    in this network namespace is known as the topology's. It notes nothing of what was made, which nobody has seen yet.
    """
    first = mark.Mark(topology, interface.link, notes=KINDS[interface.kind].notes(interface.attributes))
    return mark.group(topology), str(first), str(mark.Mark(topology, interface.link, peer=True))


def found_nodes(topology: str, snapshot: Snapshot) -> dict[Key, Node]:
    """A topology's interfaces, and what a killed run left of one."""
    nodes = {node.key: node for kind in KINDS.values() for node in kind.found(topology, snapshot)}
    owned = {key for node in nodes.values() for key in node.keys}
    rest: list[tuple[str | None, Interface]] = []
    for netns, view in snapshot.views():
        group = snapshot.group(topology, netns)
        for link in view.links:
            if ((netns or ""), link.ifname) in owned:
                continue
            said = view.mark(link)
            if said is not None:
                if said.topology != topology or not snapshot.is_ours(said, netns):
                    continue
            elif mark.undoomed(link.group) != group:
                continue
            elif link.alias:  # which somebody wrote over ours
                said = mark.Mark(topology, "")
            kind = BY_KERNEL_NAME.get(link.kind)
            node = kind.node(link, netns, snapshot, said) if kind and said and not said.peer else None
            if node is None:
                rest.append((netns, link))
            else:
                nodes[node.key] = node
                owned.update(node.keys)
    for netns, link in rest:
        if (netns or "", link.ifname) not in owned:
            half = _half(link, netns, snapshot)
            nodes[half.key] = half
    return nodes


def _half(link: Interface, netns: str | None, snapshot: Snapshot) -> Node:
    """What is left of an interface, or was made of it."""
    said = snapshot.view(netns).mark(link)
    name = BY_KERNEL_NAME[link.kind].name if link.kind in BY_KERNEL_NAME else link.kind
    if said is not None:
        name = next((kind.name for kind in KINDS.values() if kind.left(said)), name)
    return Node(netns, link.ifname, name, said.link if said else "", whole=False)
