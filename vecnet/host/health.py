"""What is there of a topology: each interface with its health and the kernel's counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from vecnet.host.kinds import KINDS
from vecnet.host.nodes import found_nodes
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.kernel.namespaces import Namespaces


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
    owner: int | None = None  # the user who may open it, by number
    tunnel: Mapping[str, int] = field(default_factory=dict)  # l2tp's own counters, of its session

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def reports(name: str | None) -> list[Report]:
    """The interfaces of a topology, or of all topologies where `name` is None, in the order of their names."""
    with Namespaces() as namespaces:
        snapshot = Snapshot(namespaces, counters=True)
        names = snapshot.topologies() if name is None else [name]
        return [
            _report(topology, node, snapshot)
            for topology in names
            for _, node in sorted(found_nodes(topology, snapshot).items())
        ]


def _report(topology: str, node: Node, snapshot: Snapshot) -> Report:
    link = snapshot.at(node.key)
    counters = link.counters if link and link.counters else (0,) * 8
    why = _why(node, snapshot)
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
        owner=KINDS[node.kind].owner(node.values) if node.kind in KINDS else None,
        tunnel=KINDS[node.kind].counters(node, snapshot) if node.kind in KINDS else {},
    )


def _why(node: Node, snapshot: Snapshot) -> str:
    """Why an interface is not healthy, empty where it is."""
    if not node.whole:
        return "half made or half removed; `vecnet up` or `vecnet down` heals it"
    return KINDS[node.kind].ailment(node, snapshot)
