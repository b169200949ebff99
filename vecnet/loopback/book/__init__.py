"""vecnet loopback --rfc2544: what a wire carries, measured by the book.

| file | subject |
|---|---|
| search.py | the highest load that passes, by a function of loss alone; and how often is often enough |
| trial.py | frames at a rate, and what came of them |
| figures.py | throughput, latency, loss and bursts of one direction at one size |
| standards.py | what the RFCs ask for, and what is done instead |
| through.py | a guest that runs as what is measured, between two of its links |
| spoiled.py | a wire whose impairment nobody else makes |
| table.py, chart.py | the report for people |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from vecnet.loopback.verdict import LinkReport, Result, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from vecnet.loopback.book.standards import Criteria
    from vecnet.loopback.book.trial import Way
    from vecnet.loopback.diagnose import Finding, Host
    from vecnet.loopback.subject import Subject
    from vecnet.loopback.wire import Wire
    from vecnet.topology import Topology

_TURN = 3600.0  # seconds to wait for another run
_TESTS = 6  # of each direction and size, as `Measuring.figures` tells of them
KEYS = ("out", "in")  # of figures: from the near end, and to it


def measure(
    name: str,
    subjects: Sequence[Subject],
    criteria: Criteria,
    *,
    topology: Topology | None = None,
    live: bool = False,
    through: str = "",
    progress: Progress = quiet,
) -> Verdicts:
    """Measure every subject, one alone after another. A probe of the report is a size of frames.

    `through` is the guest between their ends, where there is one: then the ends are not of one link. An interrupt ends
    it, and the report has what is whole by then. Raises HostError.
    """
    from vecnet.host.lock import locked
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.loopback.diagnose import Host

    reports: list[LinkReport] = []
    interrupted = False
    count = _Count(progress, sum(2 * _TESTS * len(_sizes(subject, criteria)[0]) for subject in subjects))
    with Namespaces() as namespaces, locked([namespaces.home], _TURN, what="loopback"):
        host = Host(topology)
        for subject in subjects:
            results: list[Result] = []
            try:
                for result in _of_subject(subject, criteria, host, live, through, count.one):
                    results.append(result)  # one by one: what has come before an interrupt is kept
            except KeyboardInterrupt:
                interrupted = True
            if results:
                reports.append(_report(subject, results))
            if interrupted:
                break
    return Verdicts(name, tuple(reports), criteria.words, interrupted)


class _Count:
    """How far it is."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def one(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)


def _sizes(subject: Subject, criteria: Criteria) -> tuple[list[int], list[int]]:
    """Those that fit the link, and those that do not."""
    from vecnet.loopback.book.standards import fits, standard_of

    sizes = criteria.of(standard_of(subject))
    return [size for size in sizes if fits(subject, size)], [size for size in sizes if not fits(subject, size)]


def _of_subject(
    subject: Subject, criteria: Criteria, host: Host, live: bool, through: str, done: Callable[[], None]
) -> Iterator[Result]:
    """The result of opening it, and of each size."""
    from vecnet.loopback.book.spoiled import apart, spoiled
    from vecnet.loopback.codes import Code
    from vecnet.loopback.diagnose import Finding, diagnosis
    from vecnet.loopback.trial import attempted, outcome_of
    from vecnet.loopback.verdict import Untested
    from vecnet.loopback.wire import opened, refuse_in_use

    ways: list[Way] = []
    wire: Wire | None = None
    with ExitStack() as stack:

        def open_both() -> tuple[str, dict[str, float]]:
            nonlocal wire
            if subject.is_outside:
                raise Untested(f"{subject.far.name} is a program with an IP stack of its own: no frame comes out again")
            if not live:
                refuse_in_use(subject, host.users)
            wire = stack.enter_context(spoiled(apart(stack.enter_context(opened(subject)))))
            ways.extend(_ways(wire))
            return "both ends open", {}

        def looked() -> Sequence[Finding]:
            if through:
                return [Finding(Code.NO_FRAME, f"{through} has to run, and to bridge its ends of the two links")]
            return diagnosis(subject, wire, "frames", host)

        first = attempted("open", partial(outcome_of, open_both), looked)
        yield first
        if first.verdict is not Verdict.PASS:
            return
        fitting, larger = _sizes(subject, criteria)
        for size in fitting:
            measured = partial(_of_size, ways, size, criteria, done)
            yield attempted(str(size), partial(outcome_of, measured), looked)
        for size in larger:
            why = f"a frame of {size} bytes is more than the link's MTU of {subject.mtu} has room for"
            yield Result(str(size), Verdict.ABSENT, why)


def _ways(wire: Wire) -> list[Way]:
    """Both directions, once a frame has passed each way. Raises Failed."""
    from vecnet.loopback.book.trial import Way, learn

    ways = [Way(way[0], key, *way[1:]) for key, way in zip(KEYS, wire.directions, strict=True)]
    for way in ways:
        learn(way)
    return ways


def _of_size(
    ways: Sequence[Way], size: int, criteria: Criteria, done: Callable[[], None]
) -> tuple[str, dict[str, float]]:
    from vecnet.loopback.book.figures import Measuring

    figures: dict[str, float] = {"frame_bytes": size, "trial_s": criteria.trial}
    for way in ways:
        figures |= Measuring(way, size, criteria).figures(done)
    rates = [f"{way.words} {figures[f'{way.key}_ndr_frames_per_s']:.0f} frames/s" for way in ways]
    return f"without loss {', '.join(rates)}", figures


def _report(subject: Subject, results: Sequence[Result]) -> LinkReport:
    from vecnet.loopback.book.standards import standard_of

    out = f"out is {subject.near.name} to {subject.far.name}"
    notes = [f"by {standard_of(subject).name}; {out}", subject.far.note or subject.near.note]
    return LinkReport(
        subject.name,
        subject.transport,
        tuple(results),
        subject.far.words,
        ". ".join(filter(None, notes)),
        subject.where,
    )
