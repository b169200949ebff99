"""Signals while something runs that must not be left half done. Source: signal(7); nohup(1)."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from signal import Signals

from vecnet.kernel import libc


def unless_ignored(numbers: Iterable[Signals]) -> list[Signals]:
    """Those that this process does not ignore: what nohup(1) has asked for, stays so."""
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def handled(numbers: Iterable[Signals], handler: Callable[[int], None]) -> Iterator[None]:
    """Within the block these signals call `handler`, but for those that are ignored. The main thread's alone."""
    before = {number: signal.signal(number, lambda got, _: handler(got)) for number in unless_ignored(numbers)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def queued(numbers: Iterable[Signals]) -> Iterator[queue.SimpleQueue[int]]:
    """Within the block these signals are put into a queue, but for those that are ignored. The main thread's alone.

    A handler runs in the middle of what the main thread does. Of all that one can wait for, this queue alone lets
    itself be put to while the same thread gets: an Event would wait for its own lock for ever.
    """
    got: queue.SimpleQueue[int] = queue.SimpleQueue()
    with handled(numbers, got.put):
        yield got


@contextmanager
def held(numbers: Iterable[Signals]) -> Iterator[None]:
    """Within the block these signals wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(parent: int, number: Signals = signal.SIGKILL) -> None:
    """This process, a new child, gets the signal when its parent ends, or at once where it has ended already."""
    libc.end_with_parent(number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
