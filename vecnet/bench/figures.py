"""Figures, as plain data. A ratio is above 1 where vecnet is faster than the reference."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How much is done for a figure. `runs`: turns that each side has; `rounds`: batches timed together."""

    runs: int = 15
    rounds: int = 50
    echoes: int = 2000  # round trips of one frame, for percentiles
    slow_runs: int = 3  # turns of what takes seconds: guests, TCP streams, making wires
    seconds: float = 1.0  # of a TCP stream; half of it to count a guest's packets
    links: tuple[int, ...] = (64, 1024, 4096)  # that are made at once


OUT, IN, PACKETS = "TCP out", "TCP in", "packets"  # what a real guest carries
ECHOES = ("echo p50", "echo p99")  # percentiles of a round: times, where all others are of a packet
QUICK = Effort(runs=1, rounds=3, echoes=50, slow_runs=1, seconds=0.2, links=(8,))


@dataclass(frozen=True)
class Cost:
    """Nanoseconds, of all packets, of one, or of a round: on the clock, and of processor time where it was measured."""

    wall: float
    processor: float | None = None

    def __add__(self, other: Cost) -> Cost:
        known = self.processor is not None and other.processor is not None
        return Cost(self.wall + other.wall, (self.processor or 0) + (other.processor or 0) if known else None)

    def each(self, count: int) -> Cost:
        """Its part for one of `count`."""
        return Cost(self.wall / count, None if self.processor is None else self.processor / count)


class Paired(ABC):
    """What was measured next to a reference, in turns: the machine's other work disturbs both of a turn alike."""

    @property
    @abstractmethod
    def ratios(self) -> tuple[float, ...]:
        """Of each turn."""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios."""
        if len(self.ratios) < 2:
            return self.ratios[0], self.ratios[0]
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    def _ratio_as_json(self) -> dict[str, object]:
        return {
            "ratio": round(self.ratio, 3),
            "ratio_quartiles": [round(one, 3) for one in self.spread],
            "runs": len(self.ratios),
        }


@dataclass(frozen=True)
class Figure(Paired):
    """One thing measured next to a reference, in turns. `length` is bytes of a frame; a pair of costs is a run."""

    transport: str
    what: str  # transmit, receive, forward, echo p50, …
    reference: str
    length: int
    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]

    @property
    def nanoseconds(self) -> float:
        """The median of our runs."""
        return statistics.median(cost.wall for cost in self.ours)

    @property
    def reference_nanoseconds(self) -> float:
        return statistics.median(cost.wall for cost in self.theirs)

    @property
    def processor_nanoseconds(self) -> float | None:
        """Processor time, the median of our runs; None where it was not measured."""
        return _median(cost.processor for cost in self.ours)

    @property
    def reference_processor_nanoseconds(self) -> float | None:
        return _median(cost.processor for cost in self.theirs)

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(there.wall / here.wall for here, there in zip(self.ours, self.theirs, strict=True))

    @property
    def is_latency(self) -> bool:
        return self.what in ECHOES

    @property
    def packets_per_second(self) -> float:
        return 1e9 / self.nanoseconds

    @property
    def bits_per_second(self) -> float:
        return self.packets_per_second * self.length * 8

    def as_json(self) -> dict[str, object]:
        latency = self.is_latency
        return {
            "transport": self.transport,
            "what": self.what,
            "reference": self.reference,
            "length_bytes": self.length,
            "ns": round(self.nanoseconds, 1),
            "reference_ns": round(self.reference_nanoseconds, 1),
            "processor_ns": _rounded(self.processor_nanoseconds),
            "reference_processor_ns": _rounded(self.reference_processor_nanoseconds),
            "packets_per_s": None if latency else round(self.packets_per_second),
            "bits_per_s": None if latency else round(self.bits_per_second),
            **self._ratio_as_json(),
        }


@dataclass(frozen=True)
class Case:
    """What is measured: a transport's sample by its name, frames of `length` bytes, `batch` of them at once."""

    name: str
    length: int
    effort: Effort
    batch: int

    def figure(self, what: str, reference: str, ours: Iterable[Cost], theirs: Iterable[Cost]) -> Figure:
        return Figure(self.name, what, reference, self.length, tuple(ours), tuple(theirs))

    def paired(self, what: str, reference: str, measured: Callable[[bool], Cost]) -> Figure:
        """`measured` tells our cost, or with True the reference's; they take turns, and neither is always the first."""
        ours, theirs = [], []
        measured(False), measured(True)  # caches warm up
        for run in range(self.effort.runs):
            if run % 2:
                ours.append(measured(False))
                theirs.append(measured(True))
            else:
                theirs.append(measured(True))
                ours.append(measured(False))
        return self.figure(what, reference, ours, theirs)


@dataclass(frozen=True)
class Stream(Paired):
    """What a TCP stream carries, in bits a second, run by run, next to a reference."""

    transport: str
    what: str
    reference: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def bits_per_second(self) -> float:
        return statistics.median(self.ours)

    @property
    def reference_bits_per_second(self) -> float:
        return statistics.median(self.theirs)

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(here / there for here, there in zip(self.ours, self.theirs, strict=True))

    def as_json(self) -> dict[str, object]:
        return {
            "transport": self.transport,
            "what": self.what,
            "reference": self.reference,
            "bits_per_s": round(self.bits_per_second),
            "reference_bits_per_s": round(self.reference_bits_per_second),
            **self._ratio_as_json(),
        }


@dataclass(frozen=True)
class Spent:
    """What a command takes: time on the clock, and memory at its peak (the resident set, getrusage(2))."""

    seconds: float
    kilobytes: int


@dataclass(frozen=True)
class Task(Paired):
    """A command next to another that does the same; `links` is how many it makes, removes or reads."""

    what: str
    reference: str
    links: int
    ours: tuple[Spent, ...]
    theirs: tuple[Spent, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(spent.seconds for spent in self.ours)

    @property
    def reference_seconds(self) -> float:
        return statistics.median(spent.seconds for spent in self.theirs)

    @property
    def kilobytes(self) -> int:
        return max(spent.kilobytes for spent in self.ours)

    @property
    def reference_kilobytes(self) -> int:
        return max(spent.kilobytes for spent in self.theirs)

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(there.seconds / here.seconds for here, there in zip(self.ours, self.theirs, strict=True))

    def as_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "reference": self.reference,
            "links": self.links,
            "seconds": round(self.seconds, 4),
            "reference_seconds": round(self.reference_seconds, 4),
            "peak_kb": self.kilobytes,
            "reference_peak_kb": self.reference_kilobytes,
            **self._ratio_as_json(),
        }


@dataclass(frozen=True)
class Booted(Paired):
    """What a real guest with one setting carries, turn by turn, next to one with what the topology chooses.

    Bits a second of a TCP stream, or packets a second.
    """

    kernel: str
    transport: str
    setting: str
    what: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def rate(self) -> float:
        return statistics.median(self.ours)

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(here / there for here, there in zip(self.ours, self.theirs, strict=True))

    def as_json(self) -> dict[str, object]:
        return {
            "kernel": self.kernel,
            "transport": self.transport,
            "setting": self.setting,
            "what": self.what,
            "rate": round(self.rate),
            "reference_rate": round(statistics.median(self.theirs)),
            **self._ratio_as_json(),
        }


@dataclass(frozen=True)
class Figures:
    """All that a run measured. `depth` is packets a system call; 0 where guests have several.

    `unmeasured` says of which guests nothing can be told, and why.
    """

    machine: str
    depth: int
    results: Sequence[Figure]
    streams: Sequence[Stream] = ()
    tasks: Sequence[Task] = ()
    guests: Sequence[Booted] = ()
    unmeasured: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "depth": self.depth,
            "results": [result.as_json() for result in self.results],
            "streams": [stream.as_json() for stream in self.streams],
            "tasks": [task.as_json() for task in self.tasks],
            "guests": [guest.as_json() for guest in self.guests],
            "unmeasured": list(self.unmeasured),
        }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
