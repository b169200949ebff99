"""Judging numbered frames: each fault is seen, and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vecnet.datapath.native import Numbering
from vecnet.loopback.numbered import SMALLEST, Run

TO, SOURCE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
Frames = list[bytes]


def run_of(count: int = 10, length: int = 100) -> tuple[Run, Frames]:
    run = Run(TO, SOURCE)
    return run, [run.build(length) for _ in range(count)]


def test_frames_have_the_length_asked_for_and_contents_of_their_own() -> None:
    run = Run(TO, SOURCE)
    frames = [run.build(length) for length in (SMALLEST, 1514, 65535)]
    assert [len(frame) for frame in frames] == [SMALLEST, 1514, 65535]
    assert run.take(frames) == 3
    assert run.faults() == []


def bit_flipped(frame: bytes) -> bytes:
    return frame[:50] + bytes([frame[50] ^ 1]) + frame[51:]


FAULTS: dict[str, tuple[Callable[[Frames], Frames], str]] = {
    "none came": (lambda _: [], "no frame came (100 bytes)"),
    "lost": (lambda frames: frames[:3] + frames[5:], "2 of 10 were lost (100 bytes)"),
    "doubled": (lambda frames: [*frames[:4], frames[3], *frames[4:]], "1 came more than once"),
    "reordered": (lambda frames: [frames[1], frames[0], *frames[2:]], "1 came out of order"),
    "cut": (lambda frames: [*frames[:-1], frames[-1][:-7]], "1 came cut short, by 7 bytes at the most"),
    "longer": (lambda frames: [*frames[:-1], frames[-1] + b"x"], "1 came changed: frame 9 of 100 bytes came with 101"),
    "a bit": (lambda frames: [bit_flipped(frames[0]), *frames[1:]], "1 came changed: frame 0 of 100 bytes is another"),
    "addressed otherwise": (lambda frames: [SOURCE + frames[0][6:], *frames[1:]], "frame 0 came with other addresses"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named(name: str) -> None:
    change, sentence = FAULTS[name]
    run, frames = run_of()
    run.take(change(frames))
    faults = run.faults()
    assert len(faults) == 1
    assert sentence in faults[0].words


def test_what_is_not_of_the_run_is_not_looked_at() -> None:
    run, frames = run_of()
    other, strangers = run_of()
    assert run.take([b"", b"short", *strangers, bytes(60), *frames]) == 10
    assert run.faults() == []
    run.take([Numbering(TO, SOURCE, run.run).make(99, 74)])
    assert "number 99" in run.faults()[0].words
    assert other.lost == list(range(10))
