"""An impairment in netem's numbers, and back."""

from __future__ import annotations

from vecnet.impairment import Impairment
from vecnet.kernel.netem import MOST, TICK, Values

_LIMIT = 1000  # frames that wait at the most, as tc has it


def values(impairment: Impairment) -> Values:
    """The seed is left out: netem makes choices of its own."""

    def share(probability: float) -> int:
        return round(probability * MOST)

    def ticks(seconds: float) -> int:
        return min(round(seconds / TICK), MOST)

    rate = max(1, min(round(impairment.rate / 8), MOST)) if impairment.rate else 0
    return Values(
        delay=ticks(impairment.delay),
        limit=_LIMIT,
        loss=share(impairment.loss),
        gap=1 if impairment.reorder else 0,
        duplicate=share(impairment.duplicate),
        jitter=ticks(impairment.jitter),
        reorder=share(impairment.reorder),
        corrupt=share(impairment.corrupt),
        rate=rate or (MOST if impairment.jitter and not impairment.reorder else 0),
    )


def meant(given: Values) -> Impairment:
    """What netem does with these."""
    return Impairment(
        loss=given.loss / MOST,
        duplicate=given.duplicate / MOST,
        corrupt=given.corrupt / MOST,
        delay=given.delay * TICK,
        jitter=given.jitter * TICK,
        reorder=given.reorder / MOST if given.gap else 0.0,
        rate=0.0 if given.rate == MOST else given.rate * 8.0,
    )


def rounded(impairment: Impairment) -> Impairment:
    """As netem has it, whose numbers have steps of their own."""
    return meant(values(impairment))
