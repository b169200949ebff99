"""Sending a run of frames at one end of a wire and judging what comes out at the other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vecnet.loopback.numbered import Run

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

PATIENCE = 0.5  # seconds without a frame, after which what did not come is lost
_PATIENCE_AFTER_LOSS = 0.05  # … once it is known that the wire loses some


def drain(port: Port) -> None:
    """Take away what is waiting: frames of earlier probes, and what a host's stack says by itself."""
    while port.recv(timeout=0):
        pass


def send_and_judge(
    sender: Port,
    receiver: Port,
    to: bytes,
    source: bytes,
    lengths: Iterable[int],
    batch: int,
    *,
    patience: float = PATIENCE,
) -> Run:
    """Send a frame of each length, `batch` at a time, and wait for each batch before the next.

    What a full queue does not take waits until the receiver has made room, as it would in a guest.
    """
    run = Run(to, source)
    drain(receiver)
    lengths = iter(lengths)
    while chunk := list(itertools.islice(lengths, batch)):
        missing = len(chunk) - _send_all(sender, receiver, run, [run.build(length) for length in chunk])
        due = time.monotonic() + patience
        while missing > 0:
            left = due - time.monotonic()
            got = run.take(receiver.recv(timeout=left))
            missing -= got
            if got:
                due = time.monotonic() + patience
            elif left <= 0:  # it was looked for after the time was over: a busy machine may have kept us from it before
                break
        if missing == len(chunk) > 0:
            break  # nothing comes through: more of the same would only take longer
        if missing > 0:
            patience = min(patience, _PATIENCE_AFTER_LOSS)
    run.take(receiver.recv(timeout=0))  # doubles come late
    return run


def _send_all(sender: Port, receiver: Port, run: Run, frames: list[bytes]) -> int:
    """Send every frame, and receive whenever the sender's queue is full. Returns how many came meanwhile."""
    came = 0
    end = time.monotonic() + PATIENCE
    while frames := frames[sender.send(frames, timeout=0) :]:
        came += (got := run.take(receiver.recv(timeout=0.01)))
        if got:
            end = time.monotonic() + PATIENCE
        elif time.monotonic() > end:
            break
    return came
