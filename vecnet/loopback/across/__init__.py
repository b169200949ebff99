"""vecnet loopback across hosts: an agent on each, and one report.

    the controller ═╦═ ssh ═ agent on alpha: alpha's own links, and the near end ─┐
                    ╚═ ssh ═ agent on beta:  beta's own links, and the far end ───┘ the wire under test

| file | subject |
|---|---|
| channel.py, answers.py | messages between controller and agent; what the agent's hold |
| agent.py | the agent, which is started on a host |
| machine.py | the controller's side of it |
| crossing.py | a link between two hosts, opened |
| probes.py | the probes of such a link |
| causes.py | why packets do not come, by both hosts |
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vecnet.expectation import MEASURES
from vecnet.loopback.across.answers import Proved
from vecnet.loopback.across.channel import Message
from vecnet.loopback.across.machine import PATIENCE, Machine, living
from vecnet.loopback.verdict import BRIDGE, LinkReport, Outcome, Result, Untested, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from vecnet.loopback.across.crossing import Opened
    from vecnet.loopback.diagnose import Finding
    from vecnet.loopback.subject import Subject
    from vecnet.topology import ResolvedLink, Topology

_EACH = 120.0  # seconds that the probes of one link may take on a host

Found = tuple[str, Mapping[str, float]]


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

    The agents are started already, one a host, and are met here. A host whose agent cannot be
    used leaves its links untested, and nobody else's.
    """
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
        done = len(reports)
        progress(done, done + len(crossing))
        for count, link in enumerate(crossing, start=1):
            reports.append(between(link, parts, machines, probes, live))
            progress(done + count, done + len(crossing))
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
            machines[host].begin("prove", links=every, probes=list(probes), live=live, jobs=jobs)
            asked.append((host, own))
        except Outcome as outcome:
            reports += (_not_tested(link, (host,), outcome) for link in own)
    for host, own in asked:
        try:
            reports += _told(machines[host], machines[host].finish(PATIENCE + _EACH * len(own)), own)
        except Outcome as outcome:
            reports += (_not_tested(link, (host,), outcome) for link in own)
    return reports


def _not_tested(link: ResolvedLink, hosts: tuple[str, ...], outcome: Outcome) -> LinkReport:
    return LinkReport(link.name, link.transport, (Result("open", Verdict.UNTESTED, str(outcome)),), hosts=hosts)


def _told(machine: Machine, answer: Message, own: Sequence[ResolvedLink]) -> list[LinkReport]:
    """The reports of an agent, one of each of its links, and of its bridges. Raises Untested where it has others."""
    found = machine.made(Proved, answer).links
    names = sorted(report.link for report in found if report.transport != BRIDGE)
    if names != (wanted := sorted(link.name for link in own)):
        raise Untested(f"{machine.name} was asked for {', '.join(wanted)}, and tells of {', '.join(names) or 'none'}")
    return [replace(report, hosts=(machine.name,)) for report in found]


def between(
    link: ResolvedLink,
    parts: Mapping[str, Topology],
    machines: Mapping[str, Machine],
    probes: Sequence[str],
    live: bool,
) -> LinkReport:
    """A link between two hosts."""
    from vecnet.loopback.across.causes import diagnosed
    from vecnet.loopback.across.crossing import of_link, opened
    from vecnet.loopback.across.probes import PROBES
    from vecnet.loopback.trial import attempted, untried

    crossing = of_link(link, parts)
    wire: Opened | None = None
    with ExitStack() as stack:

        def open_both() -> Found:
            nonlocal wire
            wire = stack.enter_context(opened(crossing, machines, live))
            return "both ends open", {}

        def causes(probe: str) -> list[Finding]:
            return diagnosed(wire, probe) if wire is not None else []

        results = [attempted("open", open_both, partial(causes, "open"))]
        for name, probe in PROBES.items():
            if probes and name not in probes:
                continue
            if (left := untried(results, name)) is not None or wire is None:
                results += [left] if left is not None else []
                continue
            judged = partial(_judged, crossing.subject, name, partial(probe, wire))
            results.append(attempted(name, judged, partial(causes, name)))
    return LinkReport(link.name, link.transport, tuple(results), crossing.far_end, "", link.position, crossing.hosts)


def _judged(subject: Subject, name: str, probe: Callable[[], Found]) -> Found:
    """What a probe found. Raises Failed where that is not as expected, and Untested where no host can tell."""
    from vecnet.loopback.trial import refuse_missed

    reason, figures = probe()
    for one in subject.expected:
        if not set(MEASURES[one.key].figures.get(name, ())) <= figures.keys():
            raise Untested(f"{reason}; but {one.key} {one.text} is expected, for which there is no common clock")
    refuse_missed(subject, name, figures)
    return reason, figures
