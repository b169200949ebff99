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
| joined.py, stack.py, agent.py, icmp.py | real IP stacks at both ends |
| diagnose.py, sniff.py | why packets do not come |
| verdict.py | the results, as data |
| captures.py | the packets of what failed |
| report.py | … as a table, JSON, JUnit XML, Markdown |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from vecnet.errors import HostError, PortError
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback.verdict import Failed, LinkReport, Outcome, Result, Untested, Verdict, Verdicts, lacks
from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from vecnet.loopback.bridge import Bridge
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.subject import Subject
    from vecnet.loopback.wire import Wire
    from vecnet.topology import Topology

__all__ = ["LinkReport", "Result", "Verdict", "Verdicts", "probes_of", "prove"]

_TURN = 3600.0  # seconds to wait for another run
Found = tuple[str, Mapping[str, float]]  # a probe's sentence and its figures


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
    progress: Progress = quiet,
) -> Verdicts:
    """Try the probes (all, unless some are named) on every subject, one after another.

    `topology` is where the subjects come from, where they do: a diagnosis compares it with the host. `progress` is told
    how many probes are done, of how many. The interfaces must be up: prove makes none, but for simulated guests in
    network namespaces of their own. The packets of what fails are kept in the folder `captures`. A wire that somebody
    uses is not tested, unless `live`: a running guest would be sent our frames. Two runs in one network namespace take
    turns. Raises HostError.
    """
    from vecnet.host.lock import locked
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.loopback import bridge
    from vecnet.loopback.diagnose import Host
    from vecnet.loopback.probes import FILTER, PROBES
    from vecnet.loopback.stack import Stacks

    filters = not probes or FILTER in probes
    chosen = [probe for probe in PROBES if not probes or probe in probes]
    total = len(subjects) * (len(chosen) + 1)
    reports = []
    host = Host(topology)
    with Namespaces() as namespaces, locked([namespaces.home], _TURN, what="loopback"), Stacks.started() as stacks:
        for number, subject in enumerate(subjects):

            def done(count: int, before: int = number * (len(chosen) + 1)) -> None:
                progress(before + count, total)

            if subject.is_outside:
                results = _prove_outside(subject, probes, stacks, captures)
            else:
                results = _prove_one(subject, chosen, filters, stacks, host, captures, live, done)
            note = (subject.far.note or subject.near.note) if results[0].verdict is Verdict.PASS else ""
            played = results[0].verdict is Verdict.PASS or not subject.far.twin
            far_end = subject.far.words if played else subject.far.name
            reports.append(LinkReport(subject.name, subject.transport, tuple(results), far_end, note))
        for one in bridge.of_subjects(subjects) if not probes or bridge.PROBE in probes else ():
            result = _attempt(bridge.PROBE, partial(_cross, one, host, live), lambda: host.filters)
            reports.append(LinkReport(one.name, "bridge", (result,), "the guests of its members"))
    progress(total, total)
    return Verdicts(name, tuple(reports))


def _prove_one(
    subject: Subject,
    chosen: Sequence[str],
    filters: bool,
    stacks: Stacks,
    host: Host,
    captures: Path | None,
    live: bool,
    done: Callable[[int], None],
) -> list[Result]:
    from vecnet.loopback.captures import recorded
    from vecnet.loopback.diagnose import diagnosis
    from vecnet.loopback.probes import FILTER, PROBES
    from vecnet.loopback.probes.filtered import filtered
    from vecnet.loopback.wire import opened, refuse_in_use

    with ExitStack() as stack:
        wire: Wire | None = None

        def attempt(name: str, probe: Callable[[], Found]) -> Result:
            return _attempt(name, probe, lambda: diagnosis(subject, wire, name, host))

        def open_both() -> Found:
            nonlocal wire
            if not live:
                refuse_in_use(subject, host.users)
            wire = stack.enter_context(opened(subject))
            return "both ends open", {}

        results = [attempt("open", open_both)]
        basis = results[0]  # where it, then a frame, then a ping fails, what comes after cannot be found out
        every = {**PROBES, FILTER: filtered}
        for count, name in enumerate([*chosen, *([FILTER] if subject.filters and filters else [])]):
            done(min(count, len(chosen) - 1) + 1)
            if wire is None or basis.verdict is Verdict.FAIL:
                reason = f"not tried, since {basis.probe} came to: {basis.verdict}"
                results.append(Result(name, Verdict.UNTESTED, reason, tried=False))
            elif hindered := _hindered(wire, name):
                results.append(Result(name, Verdict.ABSENT, f"not tried, since {hindered}", tried=False))
            else:
                ports = {subject.near.name: wire.near, subject.far.name: wire.far}
                tried = partial(attempt, name, partial(every[name], wire, stacks))
                results.append(recorded(captures, subject.name, ports, name, tried))
            if name in ("frames", "ping") and basis.verdict is not Verdict.FAIL:
                basis = results[-1]
        return results


def _hindered(wire: Wire, probe: str) -> str:
    """Why a probe would not find what it looks for, though the wire is as it should be; empty where it would."""
    from vecnet.loopback.probes import FILTER, IMPAIR

    if wire.impaired and probe != IMPAIR:
        return f"{wire.subject.interfaces[0].ifname} impairs: {wire.impaired.words}"
    if wire.subject.filters and probe != FILTER:
        ends = " and ".join(one.endpoint for one in wire.subject.filters)
        return f"{ends} filter what they receive" if " and " in ends else f"{ends} filters what it receives"
    return ""


def _prove_outside(subject: Subject, probes: Sequence[str], stacks: Stacks, captures: Path | None) -> list[Result]:
    from vecnet.loopback import outside
    from vecnet.loopback.captures import recorded

    with ExitStack() as stack:
        beyond: outside.Beyond | None = None

        def start() -> Found:
            nonlocal beyond
            beyond = stack.enter_context(outside.opened(subject))
            return f"{beyond.behind.program} is there", {}

        results = [_attempt("open", start, lambda: ())]
        basis = results[0]  # where it, then arp, fails, nothing else is found out
        for name, probe in outside.PROBES.items():
            if probes and name not in probes:
                continue
            if beyond is None or basis.verdict is Verdict.FAIL:
                reason = f"not tried, since {basis.probe} came to: {basis.verdict}"
                results.append(Result(name, Verdict.UNTESTED, reason, tried=False))
            else:
                attempt = partial(_attempt, name, partial(probe, beyond, stacks), lambda: ())
                results.append(recorded(captures, subject.name, {subject.near.name: beyond.port}, name, attempt))
            if name == outside.FIRST and basis.verdict is not Verdict.FAIL:
                basis = results[-1]
        return results


def _cross(one: Bridge, host: Host, live: bool) -> Found:
    from vecnet.loopback.bridge import cross
    from vecnet.loopback.wire import refuse_in_use

    for member in () if live else one.members:
        refuse_in_use(member, host.users)
    return cross(one)


def _attempt(name: str, probe: Callable[[], Found], diagnosed: Callable[[], Sequence[str]]) -> Result:
    """What a probe came to; `diagnosed` tells more of a failure."""
    started = time.monotonic()
    try:
        reason, figures = _outcome(probe)
    except Outcome as outcome:
        sentences = [str(outcome), *(diagnosed() if outcome.verdict is Verdict.FAIL else ())]
        return Result(name, outcome.verdict, ". ".join(sentences), {}, time.monotonic() - started)
    return Result(name, Verdict.PASS, reason, figures, time.monotonic() - started)


def _outcome(probe: Callable[[], Found]) -> Found:
    """What a probe found. Whatever ends it early becomes an Outcome: it is one probe's verdict, never the run's end."""
    try:
        return probe()
    except (PortError, HostError) as error:
        raise (Untested if lacks(error) else Failed)(str(error)) from None
    except TimeoutError as error:
        raise Untested(f"it took too long: {error}" if str(error) else "it took too long") from None
    except OSError as error:
        raise Untested(f"it could not be tried: {in_words(error)}") from None
