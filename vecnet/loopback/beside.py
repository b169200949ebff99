"""Many links side by side: a thread takes the next one that shares nothing with those that others are at.

Most of a probe is waiting, which costs nothing where others work meanwhile. One link that hangs holds up one thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress

Claims = frozenset[Hashable]  # what a link must have for itself
_PATIENCE = 5.0  # seconds that threads have to end after an interrupt: longer than a probe waits for a frame


def side_by_side(claims: Sequence[Claims], jobs: int, work: Callable[[Iterator[int]], None]) -> None:
    """Have `jobs` threads do all works, whose claims these are: `work` gets the numbers of those that are its own.

    What one raises ends all, once each has ended the work that it is at, and is raised here.
    """
    turns = _Turns(claims)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work(turns.taken())
        except BaseException as error:
            errors.append(error)
            turns.stop()

    threads = [threading.Thread(target=run, name=f"vecnet loopback {number}", daemon=True) for number in range(jobs)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        turns.stop()
        end = time.monotonic() + _PATIENCE
        for thread in threads:
            with suppress(RuntimeError):  # it was never started
                thread.join(max(0.0, end - time.monotonic()))
        raise
    if errors:
        raise errors[0]


class _Turns:
    """Works that wait, in their order, and what those that are done now have claimed."""

    def __init__(self, claims: Sequence[Claims]) -> None:
        self._claims = claims
        self._waiting = list(range(len(claims)))
        self._held: set[Hashable] = set()
        self._changed = threading.Condition()

    def taken(self) -> Iterator[int]:
        """The numbers of the works that one thread does; each is its own until it asks for the next."""
        while (number := self._take()) is not None:
            try:
                yield number
            finally:
                with self._changed:
                    self._held -= self._claims[number]
                    self._changed.notify_all()

    def _take(self) -> int | None:
        with self._changed:
            while self._waiting:
                free = (number for number in self._waiting if self._held.isdisjoint(self._claims[number]))
                if (number := next(free, None)) is not None:
                    self._waiting.remove(number)
                    self._held |= self._claims[number]
                    return number
                self._changed.wait()
            return None

    def stop(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
