"""Figures, as plain data. A ratio is above 1 where vecnet is faster than the reference."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """One thing measured next to a reference, in turns.

    `ours` and `theirs` are nanoseconds, a packet or a round, of each run. `length` is bytes of a frame.
    """

    transport: str
    what: str  # transmit, receive, forward, echo p50, …
    reference: str
    length: int
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def nanoseconds(self) -> float:
        """The median of our runs."""
        return statistics.median(self.ours)

    @property
    def reference_nanoseconds(self) -> float:
        return statistics.median(self.theirs)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Of each pair of runs, which the machine's other work disturbs alike."""
        return tuple(there / here for here, there in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios."""
        if len(self.ratios) < 2:
            return self.ratio, self.ratio
        low, _, high = statistics.quantiles(self.ratios, n=4)
        return low, high

    @property
    def packets_per_second(self) -> float:
        return 1e9 / self.nanoseconds

    @property
    def bits_per_second(self) -> float:
        return self.packets_per_second * self.length * 8

    def as_json(self) -> dict[str, Any]:
        return {
            "transport": self.transport,
            "what": self.what,
            "reference": self.reference,
            "length_bytes": self.length,
            "ns": round(self.nanoseconds, 1),
            "reference_ns": round(self.reference_nanoseconds, 1),
            "ratio": round(self.ratio, 3),
            "ratio_quartiles": [round(one, 3) for one in self.spread],
            "packets_per_s": round(self.packets_per_second),
            "bits_per_s": round(self.bits_per_second),
            "runs": len(self.ours),
        }


@dataclass(frozen=True)
class Stream:
    """What a TCP stream carries, in bits a second, run by run, next to a reference."""

    transport: str
    what: str
    reference: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    note: str = ""

    @property
    def bits_per_second(self) -> float:
        return statistics.median(self.ours)

    @property
    def ratio(self) -> float:
        return statistics.median(here / there for here, there in zip(self.ours, self.theirs, strict=True))

    def as_json(self) -> dict[str, Any]:
        return {
            "transport": self.transport,
            "what": self.what,
            "reference": self.reference,
            "bits_per_s": round(self.bits_per_second),
            "reference_bits_per_s": round(statistics.median(self.theirs)),
            "ratio": round(self.ratio, 3),
            "runs": len(self.ours),
            "note": self.note,
        }


@dataclass(frozen=True)
class Report:
    """All that a run measured."""

    machine: str
    results: Sequence[Result]
    streams: Sequence[Stream] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "results": [result.as_json() for result in self.results],
            "streams": [stream.as_json() for stream in self.streams],
        }
