"""The frames that probes send: numbered, each with its own content, so that what arrives tells what happened to it.

::

    0        6        12     14       18       22       26
    | to     | from   | 88b5 | "vnlp" | run    | number | content that follows from the number …

88b5 is the EtherType for local experiments (IEEE 802, "Local Experimental Ethertype 1"): no host's stack takes it.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

ETHERTYPE = 0x88B5
HEADER = struct.Struct("!6s6sH4sII")
SMALLEST = 60  # bytes of the smallest Ethernet frame, without its checksum
_MAGIC = b"vnlp"

_RAMP = bytes(range(256)) * 258  # longer than any frame
_IP_HEADER = bytes.fromhex("45000054000040004001 0000 0a000001 0a000002 08000000")
_runs = itertools.count(1)


def pattern(number: int, length: int) -> bytes:
    """The content of a frame: by turns a ramp, zeros, ones, alternating bits, and what looks like an IP header."""
    start = (number * 7) % 256
    whole = (
        _RAMP[start:],
        b"\0" * length,
        b"\xff" * length,
        b"\xaa\x55" * (length // 2 + 1),
        _IP_HEADER + _RAMP[start:],
    )[number % 5]
    return whole[:length]


@dataclass
class Run:
    """Frames of one direction: `build` makes them, `take` judges what came."""

    to: bytes
    source: bytes
    run: int = field(default_factory=lambda: next(_runs) & 0xFFFFFFFF)
    sent: dict[int, int] = field(default_factory=dict)  # number: length in bytes
    seen: Counter[int] = field(default_factory=Counter)
    last: int = -1
    reordered: int = 0
    changed: list[str] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    def build(self, length: int) -> bytes:
        """The next frame, of `length` bytes."""
        number = len(self.sent)
        self.sent[number] = length
        header = HEADER.pack(self.to, self.source, ETHERTYPE, _MAGIC, self.run, number)
        return header + pattern(number, length - HEADER.size)

    def take(self, frames: Iterable[bytes]) -> int:
        """Judge what came; what is not of this run is not looked at. Returns how many were."""
        ours = 0
        for frame in frames:
            if len(frame) < HEADER.size:
                continue
            to, source, ethertype, magic, run, number = HEADER.unpack_from(frame)
            if (ethertype, magic, run) != (ETHERTYPE, _MAGIC, self.run):
                continue
            ours += 1
            self._judge(number, to, source, frame)
        return ours

    def _judge(self, number: int, to: bytes, source: bytes, frame: bytes) -> None:
        length = self.sent.get(number)
        self.seen[number] += 1
        if length is None:
            self.changed.append(f"a frame with the number {number} came, which was not sent")
        elif len(frame) < length:
            self.cut.append(length - len(frame))
        elif len(frame) > length:
            self.changed.append(f"frame {number} of {length} bytes came with {len(frame)}")
        elif (to, source) != (self.to, self.source):
            self.changed.append(f"frame {number} came with other addresses")
        elif frame[HEADER.size :] != (content := pattern(number, length - HEADER.size)):
            here, there = frame[HEADER.size :], content
            at = next(index for index in range(len(there)) if here[index] != there[index])
            self.changed.append(f"frame {number} of {length} bytes is another from byte {at + HEADER.size} on")
        if number < self.last:
            self.reordered += 1
        self.last = max(self.last, number)

    def is_whole(self, frame: bytes) -> bool:
        """Whether it is one of this run's frames, unchanged."""
        to, source, ethertype, magic, run, number = HEADER.unpack_from(frame)
        if (to, source, ethertype, magic, run) != (self.to, self.source, ETHERTYPE, _MAGIC, self.run):
            return False
        return frame[HEADER.size :] == pattern(number, len(frame) - HEADER.size)

    def resembles(self, frame: bytes) -> bool:
        """Whether it is one of this run's frames but for a few bits: most of its header is as it was."""
        wanted = HEADER.pack(self.to, self.source, ETHERTYPE, _MAGIC, self.run, 0)[:-4]
        return sum(here != there for here, there in zip(frame, wanted, strict=False)) <= 1

    @property
    def lost(self) -> list[int]:
        """The numbers that never came."""
        return [number for number in self.sent if not self.seen[number]]

    @property
    def doubled(self) -> int:
        return sum(count - 1 for count in self.seen.values() if count > 1)

    def faults(self) -> list[str]:
        """What is wrong, in words; empty where all came whole, once and in order."""
        found = []
        if lost := self.lost:
            lengths = [self.sent[number] for number in lost]
            sizes = f"{min(lengths)} to {max(lengths)} bytes" if min(lengths) < max(lengths) else f"{lengths[0]} bytes"
            what = "no frame came" if len(lost) == len(self.sent) else f"{len(lost)} of {len(self.sent)} were lost"
            found.append(f"{what} ({sizes})" if len(self.sent) > 1 else f"a frame of {sizes} did not come")
        if self.cut:
            found.append(f"{len(self.cut)} came cut short, by {max(self.cut)} bytes at the most")
        if self.changed:
            found.append(f"{len(self.changed)} came changed: {self.changed[0]}")
        if self.doubled:
            found.append(f"{self.doubled} came more than once")
        if self.reordered:
            found.append(f"{self.reordered} came out of order")
        return found
