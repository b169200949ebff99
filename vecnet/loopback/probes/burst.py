"""burst: how many frames at once the wire takes before it loses some; at least one whole queue of the guest's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from vecnet.datapath import loops
from vecnet.loopback.exchange import PATIENCE, drain
from vecnet.loopback.numbered import runs
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

_LENGTH = 512  # bytes of a frame
_MOST = 2048  # frames: a burst that a guest never sends
_TURN = 0.02  # seconds that a sender has before somebody receives
_PATIENCE = PATIENCE / 2
_FAULTS = {"changed": "changed", "doubled": "more than once", "reordered": "out of order"}


def burst(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Bursts of depth, then twice as many, and so on until some are lost."""
    device = wire.subject.near.device
    depth = device.transport.depth if device else 1
    largest = []
    for words, sender, receiver, to, source in wire.directions:
        size, passed, faults = depth, 0, ""
        while size <= _MOST and not (faults := _faults(sender, receiver, to, source, size)):
            passed, size = size, size * 2
        if passed < depth:
            raise Failed(f"{words}: of a burst of {depth} frames, the depth, {faults}")
        largest.append(passed)
    text = " and ".join(f"{size}{' or more' if size * 2 > _MOST else ''}" for size in dict.fromkeys(largest))
    return f"{text} frames at once, where depth is {depth}", {
        "frames_out": largest[0],
        "frames_in": largest[1],
    }


def _faults(sender: Port, receiver: Port, to: bytes, source: bytes, size: int) -> str:
    """What is wrong with what comes of a burst, in words; empty where all came whole, once and in order.

    What a full queue does not take waits until the receiver has made room, as it would in a guest.
    """
    drain(receiver)
    stream, target, origin = next(runs), to.hex(":"), source.hex(":")
    with loops.generate(sender, count=size, size=_LENGTH, stream=stream, target=target, source=origin) as sent:
        with suppress(TimeoutError):
            sent.wait(_TURN)
        with loops.drain(receiver, count=size, stream=stream) as seen:
            before = -1
            while seen.running and before != (before := seen.stats["frames"]):
                with suppress(TimeoutError):
                    seen.wait(_PATIENCE)
            found = seen.stats
    faults = [f"{found[what]} came {words}" for what, words in _FAULTS.items() if found[what]]
    if missing := size - found["frames"]:
        faults.insert(0, "no frame came" if missing == size else f"{missing} of {size} were lost")
    return "; ".join(faults)
