"""One subject's probes, tried one after another on the wire between its ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from vecnet.errors import HostError, PortError
from vecnet.expectation import OUTSIDE
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback import outside
from vecnet.loopback.baseline import Baseline, Before
from vecnet.loopback.bridge import Bridge
from vecnet.loopback.bridge import cross as cross_bridge
from vecnet.loopback.captures import recorded
from vecnet.loopback.codes import Code
from vecnet.loopback.diagnose import Finding, Host, diagnosis
from vecnet.loopback.probes import FILTER, IMPAIR, PROBES
from vecnet.loopback.probes.filtered import filtered
from vecnet.loopback.verdict import Absent, Failed, Outcome, Result, Untested, Verdict, lacks
from vecnet.loopback.wire import Wire, opened, refuse_in_use

if TYPE_CHECKING:
    from pathlib import Path

    from vecnet.datapath.port import Port
    from vecnet.loopback.stack import Stacks
    from vecnet.loopback.subject import Subject

Found = tuple[str, Mapping[str, float]]  # a probe's sentence and its figures
Watch = Callable[["Subject", "Mapping[str, Port]", str, Callable[[], Result]], Result]  # around an attempt at a probe
_NOTHING = Before(passed=False, figures={})
_AGAIN = 2  # times that something is measured again that seems worse than before
_BASES = ("open", "frames", "ping", outside.FIRST)


def unwatched(_subject: Subject, _ports: Mapping[str, Port], _probe: str, attempt: Callable[[], Result]) -> Result:
    """Nobody looks on while a probe is tried."""
    return attempt()


@dataclass(frozen=True)
class How:
    """How the probes of a link are tried: with up to `beside` other links at the same time.

    What fails is not looked into where it is tried `again` anyway. Only who has the `turn` has packets on the way.
    """

    beside: int = 0
    again: bool = False
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


@dataclass(frozen=True)
class Trial:
    """How probes are tried: `live` also on wires in use.

    What fails is looked into, and its packets are kept in `captures`, unless it is to be tried again anyway. A
    measurement may take a `share` of its usual time, and is held against that of a run before, the `baseline`. The
    kernel takes longer to close a wire than to open it, and may do so when another has the turn. Who has the `watch` is
    handed each attempt with its ports, and makes it.
    """

    host: Host
    live: bool = False
    captures: Path | None = None
    share: float = 1.0
    baseline: Baseline = field(default_factory=dict)
    how: How = field(default_factory=How)
    watch: Watch = unwatched

    def results(
        self, subject: Subject, probes: Sequence[str], stacks: Stacks, done: Callable[[], None]
    ) -> list[Result]:
        """Those of the named probes, after that of "open"; `done` is called after each."""
        if subject.is_outside:
            return self._outside(subject, probes, stacks, done)
        with ExitStack() as stack, self.how.turn:
            wire: Wire | None = None

            def open_both() -> Found:
                nonlocal wire
                if not self.live:
                    refuse_in_use(subject, self.host.users)
                wire = replace(stack.enter_context(opened(subject)), share=self.share)
                return "both ends open", {}

            def attempt(name: str, probe: Callable[[], Found]) -> Result:
                judged = partial(self._judged, subject, name, probe)
                return self._attempt(name, judged, lambda: diagnosis(subject, wire, name, self.host))

            def probe(name: str) -> Result:
                assert wire is not None
                if hindered := _hindered(wire, name):
                    return Result(name, Verdict.ABSENT, f"not tried, since {hindered}", tried=False)
                ports = {subject.near.name: wire.near, subject.far.name: wire.far}
                tried = partial(attempt, name, partial(filtered if name == FILTER else PROBES[name], wire, stacks))
                return self._recorded(subject, ports, name, tried)

            first = attempt("open", open_both)
            return one_after_another(first, probes, probe, done)

    def _outside(
        self, subject: Subject, probes: Sequence[str], stacks: Stacks, done: Callable[[], None]
    ) -> list[Result]:
        with ExitStack() as stack, self.how.turn:
            beyond: outside.Beyond | None = None

            def start() -> Found:
                nonlocal beyond
                beyond = stack.enter_context(outside.opened(subject))
                return f"{beyond.behind.program} is there", {}

            def probe(name: str) -> Result:
                assert beyond is not None
                probed = partial(outside.PROBES[name], beyond, stacks)
                judged = partial(self._judged, subject, name, probed)
                tried = partial(self._attempt, name, judged, lambda: ())
                return self._recorded(subject, {subject.near.name: beyond.port}, name, tried)

            first = self._attempt("open", start, lambda: ())
            return one_after_another(first, probes, probe, done)

    def across(self, bridge: Bridge) -> Result:
        """What frames between a bridge's members come to."""

        def cross() -> Found:
            for member in () if self.live else bridge.members:
                refuse_in_use(member, self.host.users)
            return cross_bridge(bridge)

        return self._attempt("cross", cross, lambda: self.host.filters)

    def _judged(self, subject: Subject, name: str, probe: Callable[[], Found]) -> Found:
        """What a probe found. Raises Failed, with the figures, where that is not as expected, or worse than before."""
        before = self.baseline.get((subject.name, name), _NOTHING)
        try:
            reason, figures = probe()
        except Absent as absent:
            if before.passed:
                raise Failed(Code.WORSE, f"it passed in the run before, and now: {absent}") from None
            raise
        known = f"{OUTSIDE} {name}" if subject.is_outside else name
        refuse_missed(subject, known, figures)
        for _ in range(_AGAIN):
            if not before.worse(figures):
                break
            reason, figures = probe()
        if worse := before.worse(figures):
            raise Failed(Code.WORSE, "; ".join(worse), figures)
        return reason, figures

    def _recorded(
        self, subject: Subject, ports: Mapping[str, Port], probe: str, attempt: Callable[[], Result]
    ) -> Result:
        captures = None if self.how.again else self.captures
        return self.watch(subject, ports, probe, lambda: recorded(captures, subject.name, ports, probe, attempt))

    def _attempt(self, name: str, probe: Callable[[], Found], diagnosed: Callable[[], Sequence[Finding]]) -> Result:
        more = (lambda: ()) if self.how.again else diagnosed
        return replace(attempted(name, partial(outcome_of, probe), more), beside=self.how.beside)


def attempted(name: str, probe: Callable[[], Found], diagnosed: Callable[[], Sequence[Finding]]) -> Result:
    """What a probe came to; `diagnosed` tells more of a failure."""
    started = time.monotonic()
    try:
        reason, figures = probe()
    except Outcome as outcome:
        more = diagnosed() if outcome.verdict is Verdict.FAIL else ()
        return Result(
            name,
            outcome.verdict,
            ". ".join([str(outcome), *(found.sentence for found in more)]),
            outcome.figures,
            time.monotonic() - started,
            where=outcome.where,
            codes=tuple(dict.fromkeys([*outcome.codes, *(found.code for found in more)])),
        )
    return Result(name, Verdict.PASS, reason, figures, time.monotonic() - started)


def refuse_missed(subject: Subject, name: str, figures: Mapping[str, float]) -> None:
    """Raise Failed where a probe's figures are not as expected."""
    missed = [(sentence, one.where) for one in subject.expected if (sentence := one.missed(name, figures))]
    if missed:
        raise Failed(Code.NOT_EXPECTED, "; ".join(sentence for sentence, _ in missed), figures, missed[0][1])


def _hindered(wire: Wire, probe: str) -> str:
    """Why a probe would not find what it looks for, though the wire is as it should be; empty where it would."""
    if wire.impaired and probe != IMPAIR:
        return f"{wire.subject.interfaces[0].ifname} impairs: {wire.impaired.words}"
    if wire.subject.filters and probe != FILTER:
        ends = " and ".join(one.endpoint for one in wire.subject.filters)
        return f"{ends} filter what they receive" if " and " in ends else f"{ends} filters what it receives"
    return ""


def one_after_another(
    first: Result, probes: Sequence[str], probe: Callable[[str], Result], done: Callable[[], None]
) -> list[Result]:
    """The results of the probes after the `first` one's."""
    results = [first]
    done()
    for name in probes:
        results.append(untried(results, name) or probe(name))
        done()
    return results


def untried(results: Sequence[Result], name: str) -> Result | None:
    """The result of a probe that is not tried, for what came of those before it; None where it is to be tried.

    Nothing is without open ends, nor once one of those has failed that tell whether anything passes at all.
    """
    bases = [result for result in results if result.probe in _BASES]
    basis = next((result for result in bases if result.verdict is Verdict.FAIL), bases[-1])
    if bases[0].verdict is Verdict.PASS and basis.verdict is not Verdict.FAIL:
        return None
    return Result(name, Verdict.UNTESTED, f"not tried, since {basis.probe} came to: {basis.verdict}", tried=False)


def outcome_of(probe: Callable[[], Found]) -> Found:
    """What a probe found. Whatever ends it early becomes an Outcome: it is one probe's verdict, never the run's end."""
    try:
        return probe()
    except (PortError, HostError) as error:
        raise Untested(str(error)) if lacks(error) else Failed(Code.WIRE_GONE, str(error)) from None
    except TimeoutError as error:
        raise Untested(f"it took too long: {error}" if str(error) else "it took too long") from None
    except OSError as error:
        raise Untested(f"it could not be tried: {in_words(error)}") from None
