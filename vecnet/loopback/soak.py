"""vecnet loopback --for 1h: the probes that measure nothing, over and over, on every link; what drifts meanwhile fails.

A round is a whole run: wires are opened, proved and closed again.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from vecnet.loopback import JOBS, probes_of, prove
from vecnet.loopback.bridge import PROBE as BRIDGE_PROBE
from vecnet.loopback.drift import FEWEST, Counts, Process
from vecnet.loopback.probes import MEASURED
from vecnet.loopback.verdict import SOAK, LinkReport, Result, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.loopback.subject import Subject
    from vecnet.topology import Topology

_PROVOKE = ("mtu", "tcp")  # send what is too long, and more than a queue may hold: their drops are no drift
_SOME = 3  # notes of a link that are told
_TENTHS = 10  # of a second, in which progress is told


def soak(
    name: str,
    subjects: Sequence[Subject],
    span: float,
    *,
    topology: Topology | None = None,
    probes: Sequence[str] = (),
    live: bool = False,
    jobs: int = JOBS,
    progress: Progress = quiet,
) -> Verdicts:
    """Prove every subject until `span` seconds are over, and as often as it takes to tell a drift; a round that has
    begun is ended.

    An interrupt ends it, and the report has the whole rounds until then. Raises HostError.
    """
    chosen = [probe for probe in _functional(subjects) if not probes or probe in probes]
    watched, over_all = _Watched(_processes(topology)), _OverAll()
    started = now = time.monotonic()
    interrupted = False

    def tell(_done: int, _total: int) -> None:
        progress(min(round((time.monotonic() - started) * _TENTHS), round(span * _TENTHS)), round(span * _TENTHS))

    try:
        while over_all.rounds < FEWEST or now < started + span:
            found = prove(
                name,
                subjects,
                topology=topology,
                probes=chosen,
                live=live,
                jobs=jobs,
                progress=tell,
                watch=watched.watch,
            )
            over_all.add(found)
            watched.end_round(time.monotonic() - now)
            now = time.monotonic()
    except KeyboardInterrupt:
        interrupted = True
    links = [*over_all.links(), *([watched.report()] if over_all.rounds else [])]
    asked = f"{now - started:.1f} s, of {span:g} s that were asked for"
    return Verdicts(name, tuple(links), f"{over_all.rounds} rounds of {', '.join(chosen)} in {asked}", interrupted)


def _functional(subjects: Sequence[Subject]) -> list[str]:
    every = dict.fromkeys(probe for subject in subjects for probe in probes_of(subject))
    return [probe for probe in (*every, BRIDGE_PROBE) if probe not in MEASURED]


def _processes(topology: Topology | None) -> dict[str, int]:
    """Whose memory and descriptors are watched: this one's, and that of who serves the topology's switches."""
    from vecnet.serving.control import server

    serves = server(topology.name) if topology is not None else None
    return {"this process": os.getpid(), **({"vecnet serve": serves} if serves is not None else {})}


class _Watched:
    """What is counted and used, round by round. For any thread."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = [Process(who, pid) for who, pid in processes.items()]
        self._counts = (Counts("drops"), Counts("errors"))
        self._round: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._times: list[float] = []  # of the first round, of the last one, and of all
        self._count = 0
        self._turn = Lock()

    def watch(self, subject: Subject, ports: Mapping[str, Port], probe: str, attempt: Callable[[], Result]) -> Result:
        """Try a probe, and count what its ports dropped, and its interfaces' errors, meanwhile."""
        before = _dropped(ports), _errors(subject)
        result = attempt()
        if probe not in _PROVOKE:
            after = _dropped(ports), _errors(subject)
            with self._turn:
                for counted, then, now in zip(self._round, before, after, strict=True):
                    counted.update({name: now[name] - then.get(name, 0) for name in now})
        return result

    def end_round(self, seconds: float) -> None:
        for counts, counted in zip(self._counts, self._round, strict=True):
            counts.add({name: count for name, count in counted.items() if count})
            counted.clear()
        for process in self._processes:
            process.look()
        self._count += 1
        first, _, every = self._times or (seconds, seconds, 0.0)
        self._times = [first, seconds, every + seconds]

    def report(self) -> LinkReport:
        first, last, every = self._times
        told = f"{self._count}: the first took {first:.2f} s, the last {last:.2f} s"
        figures = {"rounds": self._count, "first_s": first, "last_s": last}
        results = [Result("rounds", Verdict.PASS, told, figures, every)]
        for process in self._processes:
            results += process.results()
        return LinkReport("drift", SOAK, (*results, *(one.result() for one in self._counts)), "round after round")


def _dropped(ports: Mapping[str, Port]) -> dict[str, int]:
    return {
        f"{counter} of {name}": count
        for name, port in ports.items()
        for counter, count in port.stats.items()
        if "_drop_" in counter
    }


def _errors(subject: Subject) -> dict[str, int]:
    """What the host's interfaces of a link have counted as errors."""
    from vecnet.kernel import rtnl
    from vecnet.kernel.namespaces import Namespaces

    found: dict[str, int] = {}
    with Namespaces() as namespaces:
        for one in subject.interfaces:
            with suppress(OSError):  # the probe says that it is gone
                _, _, _, _, received, sent, *_ = rtnl.read_link(namespaces[one.netns], one.ifname).counters
                found |= {f"rx_errors of {one.ifname}": received, f"tx_errors of {one.ifname}": sent}
    return found


class _OverAll:
    """The links' reports, and what each probe came to in all rounds, of which as little is kept as must be."""

    def __init__(self) -> None:
        self.rounds = 0
        self._links: dict[str, LinkReport] = {}  # the last round's
        self._notes: dict[str, dict[str, None]] = {}
        self._probes: dict[tuple[str, str], _Probe] = {}

    def add(self, found: Verdicts) -> None:
        self.rounds += 1
        for link in found.links:
            self._links[link.link] = link
            notes = self._notes.setdefault(link.link, {})
            if link.note and len(notes) < _SOME:
                notes[link.note] = None
            for result in link.results:
                key = link.link, result.probe
                if key not in self._probes:
                    self._probes[key] = _Probe(result.figures)
                self._probes[key].add(result, self.rounds)

    def links(self) -> list[LinkReport]:
        return [
            replace(
                link,
                results=tuple(self._probes[name, result.probe].result() for result in link.results),
                note=". ".join(self._notes[name]),
            )
            for name, link in self._links.items()
        ]


class _Probe:
    """A probe of a link: the last result, the first bad one, and how many were."""

    def __init__(self, first: Mapping[str, float]) -> None:
        self._first = {f"{name}_first": value for name, value in first.items()}
        self._rounds, self._seconds = 0, 0.0
        self._bad: dict[Verdict, tuple[int, Result]] = {}  # how often, and the first time
        self._last: Result | None = None

    def add(self, result: Result, number: int) -> None:
        self._rounds += 1
        self._seconds += result.seconds
        self._last = result
        if result.verdict in (Verdict.FAIL, Verdict.UNTESTED):
            worded = replace(result, reason=f"first in round {number}: {result.reason}")
            count, first = self._bad.get(result.verdict, (0, worded))
            self._bad[result.verdict] = (count + 1, first)

    def result(self) -> Result:
        """The first failure of all rounds, or else the last result; beside its figures those of the first round."""
        assert self._last is not None
        figures = {**self._last.figures, **self._first}
        for verdict in (Verdict.FAIL, Verdict.UNTESTED):
            if verdict in self._bad:
                count, first = self._bad[verdict]
                reason = f"in {count} of {self._rounds} rounds, {first.reason}"
                return replace(first, reason=reason, figures=figures, seconds=self._seconds)
        return replace(self._last, figures=figures, seconds=self._seconds)
