"""vecnet loopback: prove wires with packets, before a guest boots.

The datapath opens a guest's own string and plays the guest; the other end is the real one.

| file | subject |
|---|---|
| choice.py | the names of links and probes that others give |
| subject.py | what is proved: the two ends of a link, or of a string |
| wire.py | … opened |
| switched.py | vecnet's own switch, with a port of the tester's |
| outside.py | a program outside, as its guest meets it |
| bridge.py | a bridge, from member to member |
| probes/ | one file a probe |
| numbered.py, exchange.py | numbered frames, sent and judged |
| joined.py, stack.py, nursery.py, agent.py, icmp.py | real IP stacks at both ends |
| diagnose.py, sniff.py | why packets do not come |
| trial.py | the probes of one subject |
| rounds.py, beside.py | many subjects, in three rounds, side by side |
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

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from vecnet.loopback.verdict import BRIDGE, LinkReport, Result, Verdict, Verdicts
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from vecnet.loopback.baseline import Baseline
    from vecnet.loopback.subject import Subject
    from vecnet.loopback.trial import Watch
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

    With several jobs there are three rounds: see rounds.py. What passed only when it was tried again says so,
    `Result.at_first`, and so does a figure that was not taken alone, `Result.beside`.
    """
    from vecnet.host.lock import locked
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.loopback import bridge
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.nursery import Nursery
    from vecnet.loopback.probes import TIMED
    from vecnet.loopback.rounds import Count, Try, in_rounds
    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.trial import Trial, unwatched

    share = min(1.0, _FEW / max(len(subjects), 1))
    trial = Trial(Host(topology), live, captures, share=share, baseline=baseline or {}, watch=watch or unwatched)
    chosen = [[probe for probe in probes_of(one)[1:] if not probes or probe in probes] for one in subjects]
    count = Count(sum(1 + len(one) for one in chosen), progress)
    with Namespaces() as namespaces, locked([namespaces.home], _TURN, what="loopback"), Nursery() as nursery:

        @contextmanager
        def worker() -> Iterator[Try]:
            with Stacks.started(nursery) as stacks:
                yield lambda number, names, how: replace(trial, how=how).results(
                    subjects[number], names, stacks, count.done
                )

        results = in_rounds([subject.claims for subject in subjects], chosen, TIMED, jobs, worker)
        reports = [_report(subject, found) for subject, found in zip(subjects, results, strict=True)]
        for one in bridge.of_subjects(subjects) if not probes or bridge.PROBE in probes else ():
            reports.append(LinkReport(one.name, BRIDGE, (trial.across(one),), "the guests of its members"))
    count.end()
    return Verdicts(name, tuple(reports))


def _report(subject: Subject, results: Sequence[Result]) -> LinkReport:
    from vecnet.loopback.rounds import told_again

    opened = results[0].verdict is Verdict.PASS
    notes = [(subject.far.note or subject.near.note) if opened else "", told_again(results)]
    far_end = subject.far.words if opened or not subject.far.twin else subject.far.name
    return LinkReport(
        subject.name, subject.transport, tuple(results), far_end, ". ".join(filter(None, notes)), subject.where
    )
