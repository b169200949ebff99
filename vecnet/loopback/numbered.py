"""The frames that probes send: numbered, each with its own content, so that what arrives tells what happened to it.

The format is that of the loops in C, see _native/numbered.c.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from vecnet.datapath.native import NUMBERED_HEADER, Numbering
from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import Failed

SMALLEST = 60  # bytes of the smallest Ethernet frame, without its checksum
MARK_AT = 12  # bytes before the mark, by which a run's frame is found within a packet
_NUMBER_AT = 20
_BEFORE_NUMBER = NUMBERED_HEADER - 14  # bytes that are the same in all frames of a run
runs = itertools.count(1)  # numbers that no other run of this process has


class Fault(NamedTuple):
    """What is wrong with the frames that came, in words."""

    code: Code
    words: str


def failed(faults: Sequence[Fault], before: str = "") -> Failed:
    """What a probe fails with that has found faults."""
    return Failed((fault.code for fault in faults), before + "; ".join(fault.words for fault in faults))


def mark_of(run: int) -> bytes:
    """What all frames of a run have after their addresses."""
    return Numbering(bytes(6), bytes(6), run).make(0, NUMBERED_HEADER)[MARK_AT:_NUMBER_AT]


@dataclass
class Run:
    """Frames of one direction: `build` makes them, `take` judges what came."""

    to: bytes
    source: bytes
    run: int = field(default_factory=lambda: next(runs) & 0xFFFFFFFF)
    sent: dict[int, int] = field(default_factory=dict)  # number: length in bytes
    seen: Counter[int] = field(default_factory=Counter)
    last: int = -1
    reordered: int = 0
    changed: list[str] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._frames = Numbering(self.to, self.source, self.run)

    def build(self, length: int) -> bytes:
        """The next frame, of `length` bytes."""
        number = len(self.sent)
        self.sent[number] = length
        return self._frames.make(number, length)

    def take(self, frames: Iterable[bytes]) -> int:
        """Judge what came; what is not of this run is not looked at. Returns how many were."""
        ours = 0
        for frame in frames:
            if (found := self._frames.judge(frame)) is not None:
                ours += 1
                self._judge(*found, frame)
        return ours

    def _judge(self, number: int, whole: bool, frame: bytes) -> None:
        length = self.sent.get(number)
        self.seen[number] += 1
        if not whole or len(frame) != length:
            self._tell_change(number, length, frame)
        if number < self.last:
            self.reordered += 1
        self.last = max(self.last, number)

    def _tell_change(self, number: int, length: int | None, frame: bytes) -> None:
        if length is None:
            self.changed.append(f"a frame with the number {number} came, which was not sent")
        elif len(frame) < length:
            self.cut.append(length - len(frame))
        elif len(frame) > length:
            self.changed.append(f"frame {number} of {length} bytes came with {len(frame)}")
        elif frame[:MARK_AT] != self.to + self.source:
            self.changed.append(f"frame {number} came with other addresses")
        else:
            sent = self._frames.make(number, length)
            at = next(index for index in range(length) if frame[index] != sent[index])
            self.changed.append(f"frame {number} of {length} bytes is another from byte {at} on")

    def number_of(self, frame: bytes) -> int | None:
        """The number of one of this run's frames, if it is one, unchanged."""
        number, whole = self._frames.judge(frame) or (None, False)
        return number if whole else None

    def resembles(self, frame: bytes) -> bool:
        """Whether it is one of this run's frames but for a few bits: most of its header is as it was."""
        wanted = self._frames.make(0, NUMBERED_HEADER)[:_BEFORE_NUMBER]
        return sum(here != there for here, there in zip(frame, wanted, strict=False)) <= 1

    @property
    def lost(self) -> list[int]:
        """The numbers that never came."""
        return [number for number in self.sent if not self.seen[number]]

    @property
    def doubled(self) -> int:
        return sum(count - 1 for count in self.seen.values() if count > 1)

    def faults(self, *, losses: bool = True) -> list[Fault]:
        """What is wrong, or what is besides `losses`; empty where all came whole, once and in order."""
        found = []
        if losses and (lost := self.lost):
            lengths = [self.sent[number] for number in lost]
            sizes = f"{min(lengths)} to {max(lengths)} bytes" if min(lengths) < max(lengths) else f"{lengths[0]} bytes"
            none = len(lost) == len(self.sent)
            what = "no frame came" if none else f"{len(lost)} of {len(self.sent)} were lost"
            words = f"{what} ({sizes})" if len(self.sent) > 1 else f"a frame of {sizes} did not come"
            found.append(Fault(Code.NO_FRAME if none else Code.LOST, words))
        if self.cut:
            found.append(Fault(Code.CUT, f"{len(self.cut)} came cut short, by {max(self.cut)} bytes at the most"))
        if self.changed:
            found.append(Fault(Code.CHANGED, f"{len(self.changed)} came changed: {self.changed[0]}"))
        if self.doubled:
            found.append(Fault(Code.DOUBLED, f"{self.doubled} came more than once"))
        if self.reordered:
            found.append(Fault(Code.REORDERED, f"{self.reordered} came out of order"))
        return found
