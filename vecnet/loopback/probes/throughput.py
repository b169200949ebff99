"""throughput: frames of the full MTU as fast as they go, each way: what arrives in a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from vecnet.datapath.loops import Loop, drain, generate
from vecnet.loopback.codes import Code
from vecnet.loopback.numbered import runs
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import HIGH, LOW, Failed
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

_PIECES = 5
_SECONDS, _SHORTEST = 0.15, 0.006  # each way; of many links
_LAST, _FIRST = 0.002, 0.2  # seconds without a frame, after which no more will come; before any has


def throughput(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Megabits a second that arrive. What a sender that never waits loses is no failure of the wire; a change is."""
    figures: dict[str, float] = {}
    seconds = max(_SHORTEST, _SECONDS * wire.share)
    for way, (words, sender, receiver, to, source) in zip(("out", "in"), wire.directions, strict=True):
        stream, length = next(runs), wire.subject.mtu + ETHERNET_HEADER
        target, origin = to.hex(":"), source.hex(":")
        rates = []
        with (
            drain(receiver, stream=stream) as seen,
            generate(sender, seconds=seconds, size=length, stream=stream, target=target, source=origin) as sent,
        ):
            for _ in range(_PIECES):
                before, began = seen.stats["bytes"], time.monotonic()
                with suppress(TimeoutError):
                    sent.wait(seconds / _PIECES)
                if (took := time.monotonic() - began) > seconds / _PIECES / 2:  # and not what is left of the last one
                    rates.append(_megabits(seen.stats["bytes"] - before, took))
            sent.wait()
            _wait_for_the_last(seen)
        if not seen.stats["frames"]:
            raise Failed(Code.NO_FRAME, f"{words}: nothing arrives under load")
        if changed := seen.stats["changed"]:
            raise Failed(Code.CHANGED, f"{words}: under load {changed} frames came changed")
        name = f"mbit_per_s_{way}"
        figures[name] = _megabits(seen.stats["bytes"], seconds)
        figures[name + LOW], figures[name + HIGH] = min(rates, default=0.0), max(rates, default=0.0)
    text = f"{figures['mbit_per_s_out']:.0f} Mbit/s out, {figures['mbit_per_s_in']:.0f} Mbit/s in"
    return text, {**figures, "seconds_each_way": seconds}


def _megabits(size: int, seconds: float) -> float:
    return size * 8 / seconds / 1e6


def _wait_for_the_last(seen: Loop) -> None:
    count, since = 0, time.monotonic()
    while time.monotonic() < since + (_LAST if count else _FIRST):
        time.sleep(_LAST / 4)
        if (now := seen.stats["frames"]) != count:
            count, since = now, time.monotonic()
