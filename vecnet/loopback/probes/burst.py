"""burst: how many frames at once the wire takes before it loses some; at least one whole queue of the guest's."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.exchange import PATIENCE, send_and_judge
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire

_LENGTH = 512  # bytes of a frame
_MOST = 2048  # frames: a burst that a guest never sends


def burst(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Bursts of depth, then twice as many, and so on until some are lost."""
    device = wire.subject.near.device
    depth = device.transport.depth if device else 1
    largest = []
    for words, sender, receiver, to, source in wire.directions:
        size, passed = depth, 0
        while size <= _MOST:
            run = send_and_judge(sender, receiver, to, source, [_LENGTH] * size, size, patience=PATIENCE / 2)
            if run.faults():
                break
            passed, size = size, size * 2
        if passed < depth:
            raise Failed(f"{words}: of a burst of {depth} frames, the depth, {'; '.join(run.faults())}")
        largest.append(passed)
    text = " and ".join(f"{size}{' or more' if size * 2 > _MOST else ''}" for size in dict.fromkeys(largest))
    return f"{text} frames at once, where depth is {depth}", {
        "frames_out": largest[0],
        "frames_in": largest[1],
    }
