"""throughput: frames of the full MTU as fast as they go, each way: what arrives in a second."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vecnet.datapath.loops import drain, generate
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

_SECONDS = 0.15  # each way
_LAST = 0.02  # seconds for the last frames to arrive


def throughput(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Megabits a second that arrive. What a sender that never waits loses is no failure of the wire; a change is."""
    rates = []
    for stream, (words, sender, receiver, to, source) in enumerate(wire.directions, start=1):
        length = wire.subject.mtu + ETHERNET_HEADER
        target, origin = to.hex(":"), source.hex(":")
        with drain(receiver, stream=stream) as seen:
            generate(sender, seconds=_SECONDS, size=length, stream=stream, target=target, source=origin).wait()
            time.sleep(_LAST)
        if not seen.stats["frames"]:
            raise Failed(f"{words}: nothing arrives under load")
        if changed := seen.stats["changed"]:
            raise Failed(f"{words}: under load {changed} frames came changed")
        rates.append(seen.stats["bytes"] * 8 / _SECONDS / 1e6)
    out, back = rates
    return f"{out:.0f} Mbit/s out, {back:.0f} Mbit/s in", {"mbit_per_s_out": out, "mbit_per_s_in": back}
