"""What is there of a topology: each interface with its health and the kernel's counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from vecnet.host.kinds import KINDS
from vecnet.host.nodes import found_nodes
from vecnet.host.plan import Action, Key, Node, Step, changed, drifted
from vecnet.host.reopen import to_reopen
from vecnet.host.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """One interface. Counters are packets and bytes as the host counts them; `why` is empty where it is healthy."""

    topology: str
    link: str
    ifname: str
    kind: str
    netns: str | None
    healthy: bool
    why: str
    in_use: str
    mtu: int
    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    errors: int = 0
    drops: int = 0
    impairment: str = ""  # what frames suffer that it sends
    owner: int | None = None  # the user who may open it, by number
    tunnel: Mapping[str, int] = field(default_factory=dict)  # l2tp's own counters, of its session

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def reports(name: str | None, snapshot: Snapshot, wanted: Sequence[Node] | None = None) -> list[Report]:
    """The interfaces of a topology, or of all topologies where `name` is None, in the order of their names.

    Where it is known what the topology wants, each is held against that, and what is missing is told; else against what
    its mark says of what `up` made.
    """
    names = snapshot.topologies() if name is None else [name]
    found = {topology: found_nodes(topology, snapshot) for topology in names}
    stale = to_reopen((node for nodes in found.values() for node in nodes.values()), snapshot)
    every = [
        _report(topology, node, _why(node, snapshot, wanted) or stale.get(node.key, ""), snapshot)
        for topology in names
        for _, node in sorted(found[topology].items())
    ]
    if name is not None and wanted is not None and every:
        every += [
            _report(name, node, why, snapshot, there=False) for node, why in _missing(wanted, found[name], snapshot)
        ]
    return every


def _missing(wanted: Sequence[Node], found: Mapping[Key, Node], snapshot: Snapshot) -> Iterator[tuple[Node, str]]:
    """What is wanted and not there, and why."""
    links = {node.link for node in found.values()}
    for goal in wanted:
        if goal.key not in found and goal.link not in links:
            yield goal, "is gone" if snapshot.at(goal.key) is None else "is gone; what has its name is not vecnet's"


def _report(topology: str, node: Node, why: str, snapshot: Snapshot, *, there: bool = True) -> Report:
    link = snapshot.at(node.key) if there else None
    counters = link.counters if link and link.counters else (0,) * 8
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped = counters
    return Report(
        topology=topology,
        link=node.link,
        ifname=node.ifname,
        kind=node.kind,
        netns=node.netns,
        healthy=not why,
        why=why,
        in_use=node.in_use,
        mtu=link.mtu if link else 0,
        rx_packets=rx_packets,
        tx_packets=tx_packets,
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        errors=rx_errors + tx_errors,
        drops=rx_dropped + tx_dropped,
        impairment=node.ends[0].impair if node.ends else "",
        owner=KINDS[node.kind].owner(node.values) if there and node.kind in KINDS else None,
        tunnel=KINDS[node.kind].counters(node, snapshot) if there and node.kind in KINDS else {},
    )


def _why(node: Node, snapshot: Snapshot, wanted: Sequence[Node] | None) -> str:
    """Why an interface is not healthy, empty where it is."""
    if not node.whole:
        return "half made or half removed; `vecnet up` or `vecnet down` heals it"
    ailment = KINDS[node.kind].ailment(node, snapshot)
    if wanted is None:
        changes = drifted(node)
        said = f"somebody changed its {', '.join(changes)} since `vecnet up`" if changes else ""
        return said if {"name", "netns"} & set(changes) else ailment or said
    goal = next((one for one in wanted if one.key == node.key), None)
    if goal is None:
        was = next((one for one in wanted if one.link == node.link), None)
        return f"somebody renamed or moved it: it should be {was}" if was else "it is not in the topology"
    step = Step(Action.CHANGE, node, goal, changed(node, goal))
    return (
        "; ".join(f"{name} is {before}, and should be {after}" for name, before, after in step.differences) or ailment
    )
