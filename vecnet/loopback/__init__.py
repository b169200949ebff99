"""vecnet loopback: prove wires with packets, before a guest boots.

The datapath opens a guest's own string and plays the guest; the other end is the real one.

| file | subject |
|---|---|
| wire.py | what is proved, and both ends of it, opened |
| probes/ | one file a probe |
| frames.py, exchange.py | numbered frames, sent and judged |
| inner.py, stack.py, agent.py, pump.py | real IP stacks at both ends |
| diagnose.py, outer.py | why packets do not come |
| verdict.py | the results, as data |
| packets.py | captures of what failed |
| report.py | … as a table, JSON, JUnit XML, Markdown |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from vecnet.loopback.verdict import LinkReport, Outcome, Report, Result, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.wire import Subject, Wire
    from vecnet.topology import Topology

__all__ = ["LinkReport", "Report", "Result", "Verdict", "prove"]

Progress = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    """Progress that nobody wants to see."""


def prove(
    name: str,
    subjects: Sequence[Subject],
    *,
    topology: Topology | None = None,
    probes: Sequence[str] = (),
    captures: Path | None = None,
    progress: Progress = _quiet,
) -> Report:
    """Try the probes (all, unless some are named) on every subject, one after another.

    `topology` is where the subjects come from, where they do: a diagnosis compares it with the host. `progress` is told
    how many probes are done, of how many. The interfaces must be up: prove makes none, but for simulated guests in
    network namespaces of their own. The packets of what fails are kept in the folder `captures`. Raises HostError.
    """
    from vecnet.loopback.probes import PROBES
    from vecnet.loopback.stack import Stacks

    chosen = [probe for probe in PROBES if not probes or probe in probes]
    total = len(subjects) * (len(chosen) + 1)
    reports = []
    with Stacks.started() as stacks:
        for number, subject in enumerate(subjects):

            def done(count: int, before: int = number * (len(chosen) + 1)) -> None:
                progress(before + count, total)

            results = _prove_one(subject, chosen, stacks, topology, captures, done)
            reports.append(LinkReport(subject.name, subject.transport, tuple(results)))
    progress(total, total)
    return Report(name, tuple(reports))


def _prove_one(
    subject: Subject,
    chosen: Sequence[str],
    stacks: Stacks,
    topology: Topology | None,
    captures: Path | None,
    done: Callable[[int], None],
) -> list[Result]:
    from vecnet.loopback.diagnose import diagnosis
    from vecnet.loopback.packets import recorded
    from vecnet.loopback.probes import PROBES
    from vecnet.loopback.wire import opened

    with ExitStack() as stack:
        wire: Wire | None = None

        def attempt(name: str, probe: Callable[[], tuple[str, Mapping[str, float]]]) -> Result:
            started = time.monotonic()
            try:
                reason, figures = probe()
            except Outcome as outcome:
                failed = outcome.verdict is Verdict.FAIL
                sentences = [str(outcome), *(diagnosis(subject, wire, name, topology) if failed else ())]
                return Result(name, outcome.verdict, ". ".join(sentences), {}, time.monotonic() - started)
            return Result(name, Verdict.PASS, reason, figures, time.monotonic() - started)

        def open_both() -> tuple[str, Mapping[str, float]]:
            nonlocal wire
            wire = stack.enter_context(opened(subject))
            return "both ends open", {}

        results = [attempt("open", open_both)]
        basis = results[0]  # where it, then a frame, then a ping fails, what comes after cannot be found out
        for count, name in enumerate(chosen):
            done(count + 1)
            if wire is None or basis.verdict is Verdict.FAIL:
                reason = f"not tried, since {basis.probe} came to: {basis.verdict}"
                results.append(Result(name, Verdict.UNTESTED, reason, tried=False))
            else:
                with recorded(captures, wire, name) as keep:
                    results.append(attempt(name, partial(PROBES[name], wire, stacks)))
                    if results[-1].verdict is Verdict.FAIL:
                        keep()
            if name in ("frames", "ping") and basis.verdict is not Verdict.FAIL:
                basis = results[-1]
        return results
