"""The search for the highest load that a wire carries, by a function that tells what a load loses: no time, no wire.

Source: RFC 2544, section 26.1; what a failed trial let through is the next guess, as in the IETF's draft on MLRsearch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

Loss = Callable[[float], float]  # the share of a load that does not come; a load is frames a second, or frames

RESOLUTION = 0.01  # of the load: how near the lowest that is known to fail must be
MOST_TRIALS = 40  # of one search
DOUBT = 0.2  # the share up to which what does not come may be the tester's own fault, and is looked at once more
_STEP = 2  # times as far as the step before, while only one side is known
_FURTHEST = 1 / 256  # of a load that failed: what is let through under far too much may be next to nothing


@dataclass(frozen=True)
class Found:
    """The highest load that passed, 0 where none did; and how many trials it took."""

    load: float
    trials: int


def highest(loss: Loss, most: float, *, allowed: float = 0.0, least: float = 1.0, start: float | None = None) -> Found:
    """The highest load, up to `most` and not below `least`, of which at most the share `allowed` does not come.

    Each load that is named has passed a trial itself. What fails by little is tried once more: loss verification, as
    RFC 9004 has it. `start` is where to look first, `most` if left out.
    """
    low, high, step = 0.0, float("inf"), RESOLUTION
    load = min(max(start or most, least), most)
    trials = 0
    while trials < MOST_TRIALS:
        trials += 1
        lost = loss(load)
        if allowed < lost <= DOUBT:
            trials += 1
            lost = min(lost, loss(load))
        if lost <= allowed:
            low = max(low, load)
            if low >= most:
                break
            further = low * (1 + step)
            load = min(most, further) if high > most else min(further, (low + high) / 2)
        else:
            high = min(high, load)
            if high <= least:
                break
            let_through = load * (1 - min(lost, 1.0))
            nearer = min(let_through, load * (1 - step))
            load = (low + high) / 2 if low else max(nearer, high * _FURTHEST, least)
        step *= _STEP
        if low and high - low <= RESOLUTION * high < float("inf"):
            break
    return Found(low, trials)


# ---- again and again ----

FEWEST, MOST_TIMES = 2, 5  # times that something is measured
SPREAD = 0.05  # of the median: what lies no further apart is measured often enough


@dataclass(frozen=True)
class Repeated:
    """What was measured several times: its median, and the extremes."""

    median: float
    low: float
    high: float
    times: int

    @property
    def is_steady(self) -> bool:
        """Whether all of them lie near each other."""
        return self.high - self.low <= SPREAD * self.median


def repeated(measure: Callable[[float | None], float]) -> Repeated:
    """Measure until the spread is small, or often enough; `measure` is given what it came to the last time."""
    values: list[float] = []
    while True:
        values.append(measure(values[-1] if values else None))
        found = Repeated(statistics.median(values), min(values), max(values), len(values))
        if len(values) >= MOST_TIMES or (len(values) >= FEWEST and found.is_steady):
            return found
