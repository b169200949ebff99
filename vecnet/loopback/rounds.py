"""Many links side by side, in three rounds.

1. All are proved side by side.
2. What failed there is proved once more, without those that keep the machine busy, and is looked into.
3. What is timed is measured, one link at a time, and once more what fails.

So nothing fails for want of processors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from threading import Lock

from vecnet.loopback.beside import Claims, side_by_side
from vecnet.loopback.trial import How, untried
from vecnet.loopback.verdict import Result, Verdict
from vecnet.progress import Progress

Try = Callable[[int, Sequence[str], How], list[Result]]  # a link's number, its probes; that of "open" comes first
Worker = Callable[[], AbstractContextManager[Try]]  # what one thread tries links with, one after another


class Count:
    """How many probes are done, of how many. For any thread."""

    def __init__(self, total: int, progress: Progress, done: int = 0) -> None:
        self._total, self._progress, self._done = total, progress, done
        self._turn = Lock()

    def done(self) -> None:
        with self._turn:
            self._done = min(self._done + 1, self._total - 1)  # what is tried again is counted again
            self._progress(self._done, self._total)

    def end(self) -> None:
        self._progress(self._total, self._total)


def in_rounds(
    claims: Sequence[Claims], probes: Sequence[Sequence[str]], timed: Sequence[str], jobs: int, worker: Worker
) -> list[list[Result]]:
    """The results of each link's probes, `jobs` links at a time; `timed` are those probes that others would spoil.

    One by one there is no need of rounds.
    """
    if min(jobs, len(claims)) <= 1:
        with worker() as tried:
            return [tried(number, chosen, How()) for number, chosen in enumerate(probes)]
    every = range(len(claims))
    results: list[list[Result]] = [[] for _ in every]
    functional, measured = (
        [[probe for probe in chosen if (probe in timed) is which] for chosen in probes] for which in (False, True)
    )

    def around(numbers: Sequence[int], threads: int, came_to: Callable[[Try, int], list[Result]]) -> None:
        def work(taken: Iterator[int]) -> None:
            with worker() as tried:
                for number in map(numbers.__getitem__, taken):
                    results[number] = came_to(tried, number)

        side_by_side([claims[number] for number in numbers], threads, work)

    def among(numbers: Sequence[int], *, again: bool) -> None:
        threads = min(jobs, len(numbers))
        how = How(beside=max(threads - 1, 0), again=again)
        around(
            numbers,
            threads,
            lambda tried, number: _again(results[number], tried(number, functional[number], how)),
        )

    among(every, again=True)
    among([number for number in every if any(one.verdict is Verdict.FAIL for one in results[number])], again=False)
    how = How(turn=Lock())
    around(
        every,
        2,  # one is measured, and the one before it is closed
        lambda tried, number: [
            *results[number],
            *_measured(lambda more: tried(number, measured[number], more), how, measured[number], results[number]),
        ],
    )
    return results


def _again(before: Sequence[Result], now: Sequence[Result]) -> list[Result]:
    """What was tried again: what passes only now tells of it."""
    failed = {one.probe: one.reason for one in before if one.verdict is Verdict.FAIL}
    return [
        replace(one, at_first=failed[one.probe]) if one.verdict is Verdict.PASS and one.probe in failed else one
        for one in now
    ]


def _measured(
    tried: Callable[[How], list[Result]], how: How, probes: Sequence[str], before: Sequence[Result]
) -> list[Result]:
    """What is timed, of a link whose other probes came to what is `before`."""
    left = [one for probe in probes if (one := untried(before, probe)) is not None]
    if left or not probes:
        return left
    opened, *found = tried(replace(how, again=True))
    if any(one.verdict is Verdict.FAIL for one in (opened, *found)):
        opened, *found = _again((opened, *found), tried(how))
    return found if opened.verdict is Verdict.PASS else [replace(opened, probe=probe) for probe in probes]


def told_again(results: Sequence[Result]) -> str:
    """A note on what passed only when it was tried again; "" where there is none."""
    again = [f"{one.probe} passed when it was tried again; at first: {one.at_first}" for one in results if one.at_first]
    return ". ".join(again)
