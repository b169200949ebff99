"""Proving the links of a topology that names hosts: an agent on each of them, and one report."""

from __future__ import annotations

from collections.abc import Sequence

from vecnet.fleet import reach
from vecnet.loopback import Verdicts, across
from vecnet.loopback.across.machine import started
from vecnet.progress import Progress, quiet
from vecnet.topology import Topology

AGENT = ("loopback", "--agent")  # the words by which vecnet there is the agent


def prove(
    topology: Topology,
    inventory: str | None,
    *,
    links: Sequence[str] = (),
    probes: Sequence[str] = (),
    live: bool = False,
    jobs: int = 1,
    progress: Progress = quiet,
) -> Verdicts:
    """Prove all hosts' links, and those between them. Raises InputError and HostError."""
    reaches = reach.by_inventory(inventory, topology) if inventory is not None else reach.by_address(topology)
    ends = {end.host for link in topology.links if not links or link.name in links for end in link.spec.ends}
    with started({host: one.command(*AGENT) for host, one in reaches.items() if host in ends}) as machines:
        return across.prove(topology, machines, links=links, probes=probes, live=live, jobs=jobs, progress=progress)
