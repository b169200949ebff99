"""burst: how many frames at once the wire takes before it loses some; at least one whole queue of the guest's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from vecnet.datapath import loops
from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import PATIENCE, drain
from vecnet.loopback.numbered import Fault, failed, runs
from vecnet.loopback.stack import Stacks
from vecnet.loopback.wire import Wire

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

_LENGTH = 512  # bytes of a frame
_MOST = 2048  # frames: a burst that a guest never sends
_DEPTHS = 4  # the same, in depths, of many links
_TURN = 0.02  # seconds that a sender has before somebody receives
_PATIENCE = PATIENCE / 2
_FAULTS = (
    ("changed", Code.CHANGED, "changed"),
    ("doubled", Code.DOUBLED, "more than once"),
    ("reordered", Code.REORDERED, "out of order"),
)


def burst(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Bursts of depth, then twice as many, and so on until some are lost."""
    device = wire.subject.near.device
    depth = device.transport.depth if device else 1
    most = min(_MOST, max(_DEPTHS * depth, int(_MOST * wire.share)))
    largest = []
    for words, sender, receiver, to, source in wire.directions:
        size, passed = depth, 0
        faults: list[Fault] = []
        while size <= most and not (faults := _faults(sender, receiver, to, source, size)):
            passed, size = size, size * 2
        if passed < depth:
            raise failed(faults, f"{words}: of a burst of {depth} frames, the depth, ")
        largest.append(passed)
    text = " and ".join(f"{size}{' or more' if size * 2 > most else ''}" for size in dict.fromkeys(largest))
    return f"{text} frames at once, where depth is {depth}", {
        "frames_out": largest[0],
        "frames_in": largest[1],
    }


def _faults(sender: Port, receiver: Port, to: bytes, source: bytes, size: int) -> list[Fault]:
    """What is wrong with what comes of a burst; empty where all came whole, once and in order.

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
    faults = [Fault(code, f"{found[what]} came {words}") for what, code, words in _FAULTS if found[what]]
    if missing := size - found["frames"]:
        lost = Fault(Code.SHORT_BURST, f"{missing} of {size} were lost")
        faults.insert(0, lost if missing < size else Fault(Code.NO_FRAME, "no frame came"))
    return faults
