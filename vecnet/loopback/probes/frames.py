"""frames: numbered frames of all sizes and several patterns, both ways: loss, order, doubles, content."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.exchange import send_and_judge
from vecnet.loopback.numbered import SMALLEST, failed
from vecnet.loopback.stack import Stacks
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

_COUNT = 400  # frames each way: every length class with every pattern
_BATCH = 16  # sent before they are looked for: less than any queue holds


def frames(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """400 frames each way, from the smallest to the largest that the MTU allows."""
    largest = wire.subject.mtu + ETHERNET_HEADER
    edges = [SMALLEST, 61, 63, 64, 65, 127, 128, 129, 255, 256, 511, 512, 513, 1023, 1024, largest - 1, largest]
    step = max((largest - SMALLEST) // 37, 1)
    lengths = sorted({length for length in [*edges, *range(SMALLEST, largest, step)] if length <= largest})
    faults, lost = [], 0.0
    for words, sender, receiver, to, source in wire.directions:
        run = send_and_judge(
            sender, receiver, to, source, (lengths[number % len(lengths)] for number in range(_COUNT)), _BATCH
        )
        lost = max(lost, len(run.lost) / len(run.sent))
        given_up = len(run.sent) < _COUNT
        faults += [
            fault._replace(words=f"{words}: {fault.words}")
            for fault in run.faults(losses=given_up or not wire.subject.expects_loss)
        ]
    if faults:
        raise failed(faults)
    return f"{_COUNT} each way, {SMALLEST} to {largest} bytes", {"frames": 2 * _COUNT, "loss_share": lost}
