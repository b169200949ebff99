"""vecnet loopback: prove wires with packets, before a guest boots.

The datapath opens a guest's own string and plays the guest; the other end is the real one.

| file | subject |
|---|---|
| subject.py | what is proved: the two ends of a link, or of a string |
| wire.py | … opened |
| switched.py | vecnet's own switch, with a port of the tester's |
| outside.py | a program outside, as its guest meets it |
| bridge.py | a bridge, from member to member |
| probes/ | one file a probe |
| numbered.py, exchange.py | numbered frames, sent and judged |
| joined.py, stack.py, nursery.py, agent.py, icmp.py | real IP stacks at both ends |
| diagnose.py, sniff.py | why packets do not come |
| trial.py, beside.py | the probes of one subject; many subjects side by side |
| across/ | links between hosts, by an agent on each |
| verdict.py | the results, as data |
| codes.py, explained.py | the kinds of failure, and guests' traps, each with its code and explanation |
| captures.py | the packets of what failed |
| baseline.py | what became worse than in a run before |
| soak.py, drift.py | the probes over and over for a time; what grows meanwhile |
| book/ | what a wire carries, measured by the book |
| report.py, ci.py | … as a table, JSON, JUnit XML, Markdown; as GitHub's annotations, TAP |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from vecnet.loopback.verdict import BRIDGE, LinkReport, Result, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from vecnet.loopback.baseline import Baseline
    from vecnet.loopback.nursery import Nursery
    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.subject import Subject
    from vecnet.loopback.trial import Trial, Watch
    from vecnet.topology import Topology

__all__ = ["LinkReport", "Result", "Verdict", "Verdicts", "probes_of", "prove"]

JOBS = 16  # links side by side, where nothing else is asked for: most of a probe is waiting
_TURN = 3600.0  # seconds to wait for another run
_FEW = 10  # links whose measurements take their usual time; of more, each takes a part of it


def probes_of(subject: Subject) -> tuple[str, ...]:
    """The names of the probes that a subject has."""
    from vecnet.loopback import outside
    from vecnet.loopback.probes import FILTER, NAMES

    return ("open", *outside.PROBES) if subject.is_outside else (*NAMES, *([FILTER] if subject.filters else []))


def prove(
    name: str,
    subjects: Sequence[Subject],
    *,
    topology: Topology | None = None,
    probes: Sequence[str] = (),
    captures: Path | None = None,
    live: bool = False,
    jobs: int = 1,
    baseline: Baseline | None = None,
    progress: Progress = quiet,
    watch: Watch | None = None,
) -> Verdicts:
    """Try the probes (all, unless some are named) on every subject, up to `jobs` of them at a time.

    `topology` is where the subjects come from, where they do: a diagnosis compares it with the host. `progress` is told
    how many probes are done, of how many. The interfaces must be up: prove makes none, but for simulated guests in
    network namespaces of their own. The packets of what fails are kept in the folder `captures`. A wire that somebody
    uses is not tested, unless `live`: a running guest would be sent our frames. What is worse than in the `baseline`, a
    run before, fails. `watch` is handed each attempt, and makes it. Two runs in one network namespace take turns.
    Raises HostError.

    With several jobs there are three rounds. In the first the links are proved side by side. In the second what failed
    there is proved once more, without those that keep the machine busy, and is looked into. In the third, what is timed
    is measured, one link at a time, and once more what fails. So nothing fails for want of processors. What passed only
    then says so, `Result.at_first`, and so does a figure that was not taken alone, `Result.beside`.
    """
    from vecnet.host.lock import locked
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.loopback import bridge
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.nursery import Nursery
    from vecnet.loopback.trial import Trial, unwatched

    share = min(1.0, _FEW / max(len(subjects), 1))
    trial = Trial(Host(topology), live, captures, share=share, baseline=baseline or {}, watch=watch or unwatched)
    with Namespaces() as namespaces, locked([namespaces.home], _TURN, what="loopback"), Nursery() as nursery:
        run = _Run(subjects, probes, trial, nursery, progress)
        results = run.alone() if min(jobs, len(subjects)) <= 1 else run.side_by_side(jobs)
        reports = [_report(subject, found) for subject, found in zip(subjects, results, strict=True)]
        for one in bridge.of_subjects(subjects) if not probes or bridge.PROBE in probes else ():
            reports.append(LinkReport(one.name, BRIDGE, (trial.across(one),), "the guests of its members"))
    run.end()
    return Verdicts(name, tuple(reports))


def _report(subject: Subject, results: Sequence[Result]) -> LinkReport:
    opened = results[0].verdict is Verdict.PASS
    notes = [(subject.far.note or subject.near.note) if opened else ""]
    notes += [
        f"{one.probe} passed when it was tried again; at first: {one.at_first}" for one in results if one.at_first
    ]
    far_end = subject.far.words if opened or not subject.far.twin else subject.far.name
    return LinkReport(
        subject.name, subject.transport, tuple(results), far_end, ". ".join(filter(None, notes)), subject.where
    )


def _again(before: Sequence[Result], now: Sequence[Result]) -> list[Result]:
    """What was tried again: what passes only now tells of it."""
    failed = {one.probe: one.reason for one in before if one.verdict is Verdict.FAIL}
    return [
        replace(one, at_first=failed[one.probe]) if one.verdict is Verdict.PASS and one.probe in failed else one
        for one in now
    ]


class _Run:
    """The subjects, and how far their probes are."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        probes: Sequence[str],
        trial: Trial,
        nursery: Nursery,
        progress: Progress,
    ) -> None:
        self._subjects, self._trial, self._nursery, self._progress = subjects, trial, nursery, progress
        self._chosen = [[probe for probe in probes_of(one)[1:] if not probes or probe in probes] for one in subjects]
        self._total = sum(1 + len(chosen) for chosen in self._chosen)
        self._count, self._counting = 0, Lock()

    def _done(self) -> None:
        with self._counting:
            self._count = min(self._count + 1, self._total - 1)  # what is tried again is counted again
            self._progress(self._count, self._total)

    def end(self) -> None:
        self._progress(self._total, self._total)

    def alone(self) -> list[list[Result]]:
        """All probes of one subject after another."""
        from vecnet.loopback.stack import Stacks

        with Stacks.started(self._nursery) as stacks:
            return [
                self._trial.results(subject, chosen, stacks, self._done)
                for subject, chosen in zip(self._subjects, self._chosen, strict=True)
            ]

    def side_by_side(self, jobs: int) -> list[list[Result]]:
        """The three rounds."""
        from vecnet.loopback.beside import side_by_side
        from vecnet.loopback.probes import TIMED
        from vecnet.loopback.stack import Stacks

        every = range(len(self._subjects))
        results: list[list[Result]] = [[] for _ in every]
        functional, timed = (
            [[probe for probe in chosen if (probe in TIMED) is which] for chosen in self._chosen]
            for which in (False, True)
        )

        def around(numbers: Sequence[int], threads: int, tried: Callable[[int, Stacks], list[Result]]) -> None:
            def work(taken: Iterator[int]) -> None:
                with Stacks.started(self._nursery) as stacks:
                    for number in map(numbers.__getitem__, taken):
                        results[number] = tried(number, stacks)

            side_by_side([self._subjects[number].claims for number in numbers], threads, work)

        def among(numbers: Sequence[int], *, again: bool) -> None:
            threads = min(jobs, len(numbers))
            trial = replace(self._trial, beside=max(threads - 1, 0), again=again)
            around(
                numbers,
                threads,
                lambda number, stacks: _again(
                    results[number], trial.results(self._subjects[number], functional[number], stacks, self._done)
                ),
            )

        among(every, again=True)
        among([number for number in every if any(one.verdict is Verdict.FAIL for one in results[number])], again=False)
        alone = replace(self._trial, turn=Lock())
        around(
            every,
            2,  # one is measured, and the one before it is closed
            lambda number, stacks: [
                *results[number],
                *self._timed(alone, self._subjects[number], timed[number], results[number], stacks),
            ],
        )
        return results

    def _timed(
        self, trial: Trial, subject: Subject, probes: Sequence[str], before: Sequence[Result], stacks: Stacks
    ) -> list[Result]:
        """What is timed, of a subject whose other probes came to what is `before`."""
        from vecnet.loopback.trial import untried

        left = [one for probe in probes if (one := untried(before, probe)) is not None]
        if left or not probes:
            return left
        opened, *found = replace(trial, again=True).results(subject, probes, stacks, self._done)
        if any(one.verdict is Verdict.FAIL for one in (opened, *found)):
            opened, *found = _again((opened, *found), trial.results(subject, probes, stacks, self._done))
        return found if opened.verdict is Verdict.PASS else [replace(opened, probe=probe) for probe in probes]
