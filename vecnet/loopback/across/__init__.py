"""vecnet loopback across hosts: an agent on each, and one report.

    the controller ═╦═ ssh ═ agent on alpha: alpha's own links, and the near ends ─┐
                    ╚═ ssh ═ agent on beta:  beta's own links, and the far ends ───┘ the wires under test

| file | subject |
|---|---|
| channel.py, answers.py | messages between controller and agent; what the agent's hold |
| agent.py, end.py | the agent, which is started on a host; one end there |
| machine.py, line.py, far.py | the controller's side of it: its process, a conversation, the end there |
| between.py | links between hosts, side by side |
| crossing.py | … one, opened |
| probes.py | the probes of one |
| causes.py | why packets do not come, by both hosts |
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vecnet.loopback.across.answers import Proved
from vecnet.loopback.across.channel import Message
from vecnet.loopback.across.line import PATIENCE
from vecnet.loopback.across.machine import Machine, living
from vecnet.loopback.verdict import BRIDGE, LinkReport, Outcome, Result, Untested, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from vecnet.topology import ResolvedLink, Topology

_EACH = 120.0  # seconds that the probes of one link may take on a host


def prove(
    topology: Topology,
    machines: Mapping[str, Machine],
    *,
    links: Sequence[str] = (),
    probes: Sequence[str] = (),
    live: bool = False,
    jobs: int = 1,
    progress: Progress = quiet,
) -> Verdicts:
    """Try the probes (all, unless some are named) on the topology's links (likewise), on and between its hosts.

    The agents are started already, one a host, and are met here. A host whose agent cannot be used leaves its links
    untested, and nobody else's. Up to `jobs` links are proved side by side, on each host and then between the hosts, as
    those of one machine are: see rounds.py. Two runs on one host take turns.
    """
    from vecnet.loopback.across.between import between
    from vecnet.loopback.across.crossing import crosses

    chosen = [link for link in topology.links if not links or link.name in links]
    crossing = [link for link in chosen if crosses(link, topology)]
    within = {link.name for link in chosen if not crosses(link, topology)}
    parts = {host: topology.on(host) for host in topology.hosts}
    with living(machines.values()):
        for machine in machines.values():  # each waits for its own host alone: they have begun all at once
            machine.meet(topology.text, topology.path if topology.path == "-" else os.path.abspath(topology.path))  # noqa: PTH100
        for machine in machines.values():
            machine.read()
        reports = _within(parts, within, machines, probes, live, jobs)
        reports += between(crossing, parts, machines, probes=probes, live=live, jobs=jobs, progress=progress)
    order = {link.name: number for number, link in enumerate(topology.links)}
    reports.sort(key=lambda report: order.get(report.link, len(order)))
    return Verdicts(topology.name, tuple(reports))


def _within(
    parts: Mapping[str, Topology],
    names: set[str],
    machines: Mapping[str, Machine],
    probes: Sequence[str],
    live: bool,
    jobs: int,
) -> list[LinkReport]:
    """The links that lie within a host, on all hosts at the same time."""
    reports: list[LinkReport] = []
    asked: list[tuple[str, list[ResolvedLink]]] = []
    for host, part in parts.items():
        own = [link for link in part.links if link.name in names]
        if not own:
            continue
        try:
            every = [link.name for link in own]
            machines[host].own.begin("prove", links=every, probes=list(probes), live=live, jobs=jobs)
            asked.append((host, own))
        except Outcome as outcome:
            reports += (_not_tested(link, (host,), outcome) for link in own)
    for host, own in asked:
        try:
            reports += _told(machines[host], machines[host].own.finish(PATIENCE + _EACH * len(own)), own)
        except Outcome as outcome:
            reports += (_not_tested(link, (host,), outcome) for link in own)
    return reports


def _not_tested(link: ResolvedLink, hosts: tuple[str, ...], outcome: Outcome) -> LinkReport:
    return LinkReport(link.name, link.transport, (Result("open", Verdict.UNTESTED, str(outcome)),), hosts=hosts)


def _told(machine: Machine, answer: Message, own: Sequence[ResolvedLink]) -> list[LinkReport]:
    """The reports of an agent, one of each of its links, and of its bridges. Raises Untested where it has others."""
    found = machine.own.made(Proved, answer).links
    names = sorted(report.link for report in found if report.transport != BRIDGE)
    if names != (wanted := sorted(link.name for link in own)):
        raise Untested(f"{machine.name} was asked for {', '.join(wanted)}, and tells of {', '.join(names) or 'none'}")
    return [replace(report, hosts=(machine.name,)) for report in found]
