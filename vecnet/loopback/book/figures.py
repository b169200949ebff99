"""What is measured of one direction at one size: each test of the RFCs, by trials, as figures."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from vecnet.loopback.book.search import Repeated, highest, repeated
from vecnet.loopback.book.standards import Criteria
from vecnet.loopback.book.trial import LONGEST, QUIET, Trial, Way, learn, tried
from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import HIGH, LOW, Failed

_FIRST = 2000  # frames that tell about how fast a sender is
_FEWEST = 20  # frames of a trial, however slow
_STEPS = tuple(range(100, 0, -10))  # percent of the load, RFC 2544 section 26.3
_SMALLER, _SMALLEST = 2, 0.05  # below them: each a half of the one before, in percent
MISSING = "missing_at_"  # begins the name of a figure of the loss curve, whose percent follow
_CLEAN = 2  # trials in a row without loss, that end the curve


@dataclass(frozen=True)
class Measuring:
    """One direction of a wire at one size of frames."""

    way: Way
    size: int
    criteria: Criteria

    def figures(self, done: Callable[[], None]) -> dict[str, float]:
        """All of them; `done` is told of each test. Raises Failed, PortError."""
        way = replace(self.way, quiet=min(LONGEST, max(QUIET, 3 * learn(self.way, self.size))))
        return replace(self, way=way)._figures(done)

    def _figures(self, done: Callable[[], None]) -> dict[str, float]:
        most = self._fastest()
        done()
        ndr = repeated(lambda before: self._rate(most, 0.0, before))
        done()
        pdr = repeated(lambda before: self._rate(most, self.criteria.pdr, before or ndr.median or None))
        pdr = Repeated(max(pdr.median, ndr.median), max(pdr.low, ndr.low), max(pdr.high, ndr.high), pdr.times)
        done()
        found = {"sender_frames_per_s": most}
        for name, one in (("ndr", ndr), ("pdr", pdr)):
            found |= _spread(f"{name}_frames_per_s", one)
            found |= _spread(f"{name}_mbit_per_s", one, self.size * 8 / 1e6)
        found |= self._latency(ndr.median or pdr.median)
        done()
        found |= self._loss_curve(most)
        done()
        found |= self._bursts(most, ndr.median)
        done()
        return {f"{self.way.key}_{name}": value for name, value in found.items()}

    def _at(self, rate: float) -> Trial:
        return tried(self.way, self.size, max(_FEWEST, round(rate * self.criteria.trial)), rate=rate)

    def _fastest(self) -> float:
        """Frames a second of a sender that never waits but for the wire. Raises Failed where none comes."""
        seconds, patient = self.criteria.trial, replace(self.way, quiet=LONGEST)
        first = tried(self.way, self.size, _FIRST, seconds=2 * seconds)
        if not first.received and not tried(patient, self.size, _FIRST, seconds=2 * seconds).received:
            raise Failed(Code.NO_FRAME, f"{self.way.words}: nothing of {self.size} bytes arrives under load")
        rate = max(first.offered, _FEWEST / seconds)
        return max(rate, tried(self.way, self.size, max(_FIRST, round(rate * seconds)), seconds=2 * seconds).offered)

    def _rate(self, most: float, allowed: float, start: float | None) -> float:
        """Throughput, RFC 2544 section 26.1."""
        least = min(most, 1 / self.criteria.trial)
        return highest(lambda rate: self._at(rate).missing, most, allowed=allowed, least=least, start=start).load

    def _latency(self, rate: float) -> dict[str, float]:
        """At the throughput, RFC 2544 section 26.2; what is told of it, RFC 8219 sections 7.2 and 7.3.1."""
        if not rate:
            return {}
        trials: list[Trial] = []

        def median(_: object) -> float:
            trials.append(self._at(rate))
            return statistics.median(trials[-1].latencies or [0.0]) * 1e6

        found = repeated(median)
        times = [sorted(1e6 * one for one in trial.latencies) for trial in trials]
        every = sorted(one for those in times for one in those)
        if not every:
            return {}
        worst = [_percentile(those, 0.999) for those in times if those]
        return {
            **_spread("latency_p50_us", found),
            "latency_p999_us": (p999 := _percentile(every, 0.999)),
            "latency_p999_us" + LOW: min(worst),
            "latency_p999_us" + HIGH: max(worst),
            "latency_min_us": every[0],
            "latency_max_us": every[-1],
            "pdv_us": p999 - every[0],
            "latency_frames": len(every),
            "reordered": sum(trial.reordered for trial in trials),
            "doubled": sum(trial.doubled for trial in trials),
        }

    def _loss_curve(self, most: float) -> dict[str, float]:
        """Frame loss rate, RFC 2544 section 26.3: less and less, until two trials in a row lose nothing."""
        found: dict[str, float] = {}
        clean = 0
        for percent in _loads():
            if percent * most / 100 * self.criteria.trial < 1:
                break
            lost = self._at(most * percent / 100).missing
            found[f"{MISSING}{percent:g}"] = lost
            clean = clean + 1 if not lost else 0
            if clean == _CLEAN:
                break
        return found

    def _bursts(self, most: float, ndr: float) -> dict[str, float]:
        """Back-to-back frames, RFC 9004: not of a wire that is as fast as its sender, section 5.1."""
        longest = most * self.criteria.trial
        if ndr >= most:
            return {}

        def lost(count: float) -> float:
            return tried(self.way, self.size, max(1, round(count)), seconds=2 * self.criteria.trial).missing

        found = repeated(lambda before: round(highest(lost, longest, start=before).load))
        if found.low >= round(longest):
            return {"burst_frames_at_least": found.median}
        buffer = found.median * (1 - ndr / most)  # RFC 9004, section 5.4, in frames: what passed meanwhile is not held
        return {**_spread("burst_frames", found), "buffer_frames": buffer, "buffer_ms": 1e3 * buffer / most}


def _loads() -> Iterator[float]:
    """Percent, from 100 down."""
    yield from _STEPS
    percent = float(_STEPS[-1])
    while percent > _SMALLEST:
        percent /= _SMALLER
        yield percent


def _spread(name: str, found: Repeated, unit: float = 1.0) -> dict[str, float]:
    return {name: found.median * unit, name + LOW: found.low * unit, name + HIGH: found.high * unit}


def _percentile(ordered: list[float], share: float) -> float:
    """By the nearest rank: a value that was measured."""
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1e6) * len(ordered) // 10**6) - 1))]
