"""What must not grow while probes are tried over and over: memory, descriptors, drops and errors; and whether it has.

The first round is warm-up. What has grown is what every one of the last rounds has more of than any of the first. Of
many rounds some are kept, or this would grow itself.

Source: proc(5).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import Result, Verdict

FEWEST = 3  # rounds that tell something, the first one's warm-up included
ROOM = 8 << 20  # bytes that memory may grow by after it
KEPT = 256  # rounds whose figures are kept
_PART = 4  # the part of the rounds that are the first, and the last
_SOME = 3  # sentences that are told of many
_MIB = 1 << 20


def used(pid: int) -> tuple[int, int] | None:
    """What a process uses: bytes of memory that are its own, and open descriptors; None where that cannot be told."""
    if pid == os.getpid():
        gc.collect()  # what nobody has any more may lie about for long
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(lines["RssAnon"].split()[0]) << 10, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (OSError, KeyError, ValueError):
        return None


def grown(values: Sequence[int], room: int = 0) -> int:
    """By how much something has grown, if it is more than the `room` that it has for it; 0 where it has not."""
    after = values[1:]
    part = max(1, len(after) // _PART)
    growth = min(after[-part:]) - max(after[:part])
    return growth if growth > room else 0


class Series:
    """A figure, round after round: all of them, or every second, every fourth, …, and always the first."""

    def __init__(self) -> None:
        self._values: list[int] = []
        self._count, self._stride, self._last = 0, 1, 0

    def add(self, value: int) -> None:
        if self._count % self._stride == 0:
            self._values.append(value)
        if len(self._values) > KEPT:
            del self._values[1::2]
            self._stride *= 2
        self._count += 1
        self._last = value

    @property
    def values(self) -> Sequence[int]:
        """Those that are kept, and the last one."""
        return [*self._values, *([self._last] if (self._count - 1) % self._stride else [])]


class Process:
    """What a process uses after each round."""

    def __init__(self, who: str, pid: int) -> None:
        self._who, self._pid = who, pid
        self._rounds = 0
        self._gone = 0  # the round after which it could not be looked at
        self._memory, self._descriptors = Series(), Series()

    def look(self) -> None:
        self._rounds += 1
        found = used(self._pid)
        if found is None:
            self._gone = self._gone or self._rounds
            return
        self._memory.add(found[0])
        self._descriptors.add(found[1])

    def results(self) -> list[Result]:
        """Of its memory and of its descriptors."""
        names = (f"memory of {self._who}", f"descriptors of {self._who}")
        if self._gone:
            why = f"after round {self._gone} {self._who} was not there, or not to be looked at"
            return [Result(name, Verdict.UNTESTED, why) for name in names]
        if self._rounds < FEWEST:
            return [Result(name, Verdict.UNTESTED, _too_few(self._rounds)) for name in names]
        memory, descriptors = self._memory.values, self._descriptors.values
        mib = [value / _MIB for value in memory]
        told = f"{mib[1]:.1f} MiB at first, {mib[-1]:.1f} MiB at last; it may grow by {ROOM / _MIB:g} MiB"
        figures = {"first_mib": mib[1], "last_mib": mib[-1], "most_mib": max(mib)}
        counts = {"first": descriptors[1], "last": descriptors[-1], "most": max(descriptors)}
        words = f"{descriptors[1]} at first, {descriptors[-1]} at last"
        return [
            _result(names[0], grown(memory, ROOM), told, Code.MEMORY_GROWS, figures),
            _result(names[1], grown(descriptors), words, Code.DESCRIPTORS_GROW, counts),
        ]


class Counts:
    """What counters have counted, round by round: no round may add more to one than the first did."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rounds = self._most = self._last = self._grown = 0
        self._first: Mapping[str, int] = {}
        self._told: list[str] = []

    def add(self, counted: Mapping[str, int]) -> None:
        """What a round added to each counter."""
        self._rounds += 1
        self._last = sum(counted.values())
        self._most = max(self._most, self._last)
        if self._rounds == 1:
            self._first = dict(counted)
        for counter, count in counted.items():
            if count > (before := self._first.get(counter, 0)):
                self._grown += 1
                if len(self._told) < _SOME:
                    self._told.append(f"{counter}: {count} in round {self._rounds}, {before} in the first")

    def result(self) -> Result:
        if self._rounds < FEWEST:
            return Result(self._name, Verdict.UNTESTED, _too_few(self._rounds))
        first = sum(self._first.values())
        more = [f"and {self._grown - _SOME} more"] if self._grown > _SOME else []
        told = "; ".join([*self._told, *more]) or f"{first} in the first round, {self._last} in the last"
        figures = {"first": first, "last": self._last, "most": self._most}
        return _result(self._name, self._grown, told, Code.DROPS_GROW, figures)


def _result(name: str, bad: int, reason: str, code: Code, figures: Mapping[str, float]) -> Result:
    if bad:
        return Result(name, Verdict.FAIL, reason, figures, codes=(code,))
    return Result(name, Verdict.PASS, reason, figures)


def _too_few(rounds: int) -> str:
    return f"of {rounds} {'round' if rounds == 1 else 'rounds'} it cannot be told: it takes {FEWEST}"
