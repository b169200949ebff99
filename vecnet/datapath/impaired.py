"""A port whose outgoing frames suffer: lost, doubled, corrupted, late, overtaken, slowed down, as an Impairment says.

Frames wait in a heap until they are due; a thread sends them. Choices follow from the seed alone, frame by frame, so a
run can be repeated.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from vecnet.errors import PortError

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.impairment import Impairment

_QUEUE = 1000  # frames that wait at the most, as netem's limit; more are lost


class Impaired:
    """Sends to `port` what the impairment leaves of the frames. Receiving is the port's own."""

    def __init__(self, port: Port, impairment: Impairment) -> None:
        self.port, self.impairment = port, impairment
        self.lost = self.doubled = self.corrupted = self.overtaking = 0
        self._random = random.Random(impairment.seed)  # noqa: S311 - to be repeated, not to be secret
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._free_at = 0.0  # when the wire has sent all that was accepted, where it has a rate
        self._last_due = 0.0
        self._wake = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; what still waits is not sent. The port stays open."""
        with self._wake:
            self._open = False
            self._wake.notify()
        self._thread.join()

    def send(self, frames: Sequence[bytes], timeout: float | None = None) -> int:
        """Take frames; all of them, for what is lost is lost on the wire."""
        now = time.monotonic()
        with self._wake:
            for frame in frames:
                self._accept(frame, now)
            self._wake.notify()
        return len(frames)

    def _accept(self, frame: bytes, now: float) -> None:
        plan, chance = self.impairment, self._random.random
        # every frame makes the same number of choices, so that one impairment does not move another's
        lost, doubled, corrupted, overtakes, shift, bit = (chance() for _ in range(6))
        if lost < plan.loss or len(self._waiting) >= _QUEUE:
            self.lost += 1
            return
        if corrupted < plan.corrupt and frame:
            self.corrupted += 1
            at = int(bit * len(frame) * 8)
            changed = bytearray(frame)
            changed[at // 8] ^= 1 << at % 8
            frame = bytes(changed)
        copies = 1 + (doubled < plan.duplicate)
        self.doubled += copies - 1
        for _ in range(copies):
            due = now
            if plan.rate:
                self._free_at = max(self._free_at, now) + len(frame) * 8 / plan.rate
                due = self._free_at
            if overtakes < plan.reorder:
                self.overtaking += 1
            else:
                due += plan.delay + plan.jitter * (2 * shift - 1)
                due = self._last_due = max(due, self._last_due)
            self._count += 1
            heapq.heappush(self._waiting, (due, self._count, frame))

    def _run(self) -> None:
        with self._wake:
            while self._open:
                now = time.monotonic()
                due = []
                while self._waiting and self._waiting[0][0] <= now:
                    due.append(heapq.heappop(self._waiting)[2])
                if not due:
                    self._wake.wait(self._waiting[0][0] - now if self._waiting else None)
                    continue
                self._wake.release()
                try:
                    while due:
                        due = due[self.port.send(due, timeout=0.1) :]
                except PortError:
                    return
                finally:
                    self._wake.acquire()
