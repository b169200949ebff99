"""throughput: frames of the full MTU as fast as they go, each way: what arrives in a second."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vecnet.datapath.loops import Loop, drain, generate
from vecnet.loopback.numbered import runs
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

_SECONDS, _SHORTEST = 0.15, 0.01  # each way; of many links
_LAST, _FIRST = 0.004, 0.2  # seconds without a frame, after which no more will come; before any has


def throughput(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Megabits a second that arrive. What a sender that never waits loses is no failure of the wire; a change is."""
    rates = []
    seconds = max(_SHORTEST, _SECONDS * wire.share)
    for words, sender, receiver, to, source in wire.directions:
        stream = next(runs)
        length = wire.subject.mtu + ETHERNET_HEADER
        target, origin = to.hex(":"), source.hex(":")
        with drain(receiver, stream=stream) as seen:
            generate(sender, seconds=seconds, size=length, stream=stream, target=target, source=origin).wait()
            _wait_for_the_last(seen)
        if not seen.stats["frames"]:
            raise Failed(f"{words}: nothing arrives under load")
        if changed := seen.stats["changed"]:
            raise Failed(f"{words}: under load {changed} frames came changed")
        rates.append(seen.stats["bytes"] * 8 / seconds / 1e6)
    out, back = rates
    return f"{out:.0f} Mbit/s out, {back:.0f} Mbit/s in", {
        "mbit_per_s_out": out,
        "mbit_per_s_in": back,
        "seconds_each_way": seconds,
    }


def _wait_for_the_last(seen: Loop) -> None:
    count, since = 0, time.monotonic()
    while time.monotonic() < since + (_LAST if count else _FIRST):
        time.sleep(_LAST / 4)
        if (now := seen.stats["frames"]) != count:
            count, since = now, time.monotonic()
