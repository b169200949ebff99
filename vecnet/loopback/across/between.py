"""Links between hosts, side by side: each thread has a line of its own to every host that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from vecnet.expectation import MEASURES
from vecnet.loopback.across.agent import TURN
from vecnet.loopback.across.causes import diagnosed
from vecnet.loopback.across.crossing import Crossing, Opened, of_link, opened
from vecnet.loopback.across.line import PATIENCE, Line
from vecnet.loopback.across.machine import Machine
from vecnet.loopback.across.probes import PROBES
from vecnet.loopback.diagnose import Finding
from vecnet.loopback.probes import TIMED
from vecnet.loopback.rounds import Count, Try, in_rounds, told_again
from vecnet.loopback.subject import Subject
from vecnet.loopback.trial import How, attempted, one_after_another, refuse_missed
from vecnet.loopback.verdict import LinkReport, Outcome, Result, Untested
from vecnet.progress import Progress, quiet
from vecnet.topology import ResolvedLink, Topology

Found = tuple[str, Mapping[str, float]]


def between(
    links: Sequence[ResolvedLink],
    parts: Mapping[str, Topology],
    machines: Mapping[str, Machine],
    *,
    probes: Sequence[str] = (),
    live: bool = False,
    jobs: int = 1,
    progress: Progress = quiet,
) -> list[LinkReport]:
    """Links between hosts, whose parts of the topology are `parts`."""
    if not links:
        return []
    crossings = [of_link(link, parts) for link in links]
    chosen = [name for name in PROBES if not probes or name in probes]
    count = Count(len(crossings) * (1 + len(chosen)), progress)

    @contextmanager
    def worker() -> Iterator[Try]:
        lines = _Lines(machines)
        yield lambda number, names, how: _Attempt(crossings[number], lines, live, how, count.done).results(names)

    hosts = {host for crossing in crossings for host in crossing.hosts}
    with _held([machines[host] for host in sorted(hosts)]):
        claims = [crossing.claims for crossing in crossings]
        results = in_rounds(claims, [chosen] * len(crossings), TIMED, jobs, worker)
    count.end()
    return [
        LinkReport(link.name, link.transport, tuple(found), one.far_end, told_again(found), link.position, one.hosts)
        for link, one, found in zip(links, crossings, results, strict=True)
    ]


@contextmanager
def _held(machines: Sequence[Machine]) -> Iterator[None]:
    """No other run is on these machines within the block: two controllers that take them in one order do not wait for
    each other. One that is not free in time is lost for this run."""
    with ExitStack() as stack:
        for machine in machines:
            stack.callback(_release, machine)
            try:
                machine.own.ask("hold", timeout=TURN + PATIENCE)
            except Outcome as outcome:
                machine.connection.lose(str(outcome))
        yield


def _release(machine: Machine) -> None:
    with suppress(Outcome):
        machine.own.ask("release")


class _Lines:
    """A thread's line to each host, kept from link to link."""

    def __init__(self, machines: Mapping[str, Machine]) -> None:
        self._machines = machines
        self._lines: dict[str, Line] = {}

    def __getitem__(self, host: str) -> Line:
        """The line; a new one where an answer of the last never came."""
        if host not in self._lines or not self._lines[host].usable:
            self._lines[host] = self._machines[host].connection.line()
        return self._lines[host]


@dataclass
class _Attempt:
    """A link between two hosts, tried."""

    crossing: Crossing
    lines: _Lines
    live: bool
    how: How
    done: Callable[[], None]
    wire: Opened | None = None

    def results(self, probes: Sequence[str]) -> list[Result]:
        """Those of the named probes, after that of "open"."""
        with ExitStack() as stack, self.how.turn:

            def open_both() -> Found:
                lines = {host: self.lines[host] for host in self.crossing.hosts}
                self.wire = stack.enter_context(opened(self.crossing, lines, self.live))
                return "both ends open", {}

            return one_after_another(self._attempted("open", open_both), probes, self._probe, self.done)

    def _probe(self, name: str) -> Result:
        assert self.wire is not None
        return self._attempted(name, partial(_judged, self.crossing.subject, name, partial(PROBES[name], self.wire)))

    def _attempted(self, name: str, probe: Callable[[], Found]) -> Result:
        return replace(attempted(name, probe, partial(self._causes, name)), beside=self.how.beside)

    def _causes(self, probe: str) -> list[Finding]:
        return diagnosed(self.wire, probe) if self.wire is not None and not self.how.again else []


def _judged(subject: Subject, name: str, probe: Callable[[], Found]) -> Found:
    """What a probe found. Raises Failed where that is not as expected, and Untested where no host can tell."""
    reason, figures = probe()
    for one in subject.expected:
        if not set(MEASURES[one.key].figures.get(name, ())) <= figures.keys():
            raise Untested(f"{reason}; but {one.key} {one.text} is expected, for which there is no common clock")
    refuse_missed(subject, name, figures)
    return reason, figures
