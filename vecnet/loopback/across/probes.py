"""The probes of a link between two hosts: those of one machine, but for what two clocks cannot tell.

No clock of one host says when a frame came to the other. So `latency` is that of a frame's way there and back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vecnet.loopback.across.answers import Counted, RoundTrips, Way
from vecnet.loopback.across.crossing import Opened
from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import PATIENCE, send_and_judge
from vecnet.loopback.numbered import failed, runs
from vecnet.loopback.probes.frames import frames
from vecnet.loopback.probes.mtu import mtu
from vecnet.loopback.probes.ping import between as pings
from vecnet.loopback.probes.tcp import between as transfers
from vecnet.loopback.verdict import Absent, Failed, Untested
from vecnet.transports.base import ETHERNET_HEADER

Found = tuple[str, Mapping[str, float]]
_ROUND_TRIPS = 300
_LENGTH = 512  # bytes of a frame of a burst
_MOST = 2048  # frames: a burst that a guest never sends
_SECONDS = 0.15  # of load, each way
_LAST = 0.05  # seconds for the last frames to arrive


def _mtu(wire: Opened) -> Found:
    """The same, with a word on a way that is narrower: full frames may come through it in pieces."""
    sentence, figures = mtu(wire, None)
    return "; ".join([sentence, *(told_narrow(wire, way) for way in narrow_ways(wire))]), figures


@dataclass(frozen=True)
class Narrow:
    """A way that has no room for full frames, as the kernel at its beginning has it; `size` in bytes."""

    start: str
    end: str
    size: int


def narrow_ways(wire: Opened) -> list[Narrow]:
    """Those between the two hosts."""
    crossing, found = wire.crossing, []
    for index, line in enumerate(wire.lines):
        way = line.told(Way, "way", local=crossing.outer[index], remote=crossing.outer[1 - index])
        if 0 < way.mtu < crossing.outer_size:
            found.append(Narrow(line.name, crossing.hosts[1 - index], way.mtu))
    return found


def told_narrow(wire: Opened, way: Narrow) -> str:
    what = f"full frames, {wire.crossing.outer_size} bytes with their headers, go in fragments if at all"
    return f"on {way.start} the way to {way.end} takes packets of {way.size} bytes: {what}"


def _ping(wire: Opened) -> Found:
    with wire.joined() as (ends, pairs):
        return pings(ends, pairs, wire.subject.mtu)


def _tcp(wire: Opened) -> Found:
    with wire.joined() as (ends, pairs):
        return transfers(ends, pairs, wire.ends)


def _latency(wire: Opened) -> Found:
    """Medians and 99th percentiles of a small frame's way to the other host and back, in microseconds."""
    near, far = wire.lines
    (to, source) = wire.macs[1].hex(), wire.macs[0].hex()
    far.begin("reflect", count=_ROUND_TRIPS)
    times = sorted(near.told(RoundTrips, "round_trips", count=_ROUND_TRIPS, to=to, source=source).us)
    far.finish()
    if len(times) != _ROUND_TRIPS:
        raise near.nonsense()
    middle, high = times[len(times) // 2], times[len(times) * 99 // 100]
    text = f"there and back: median {middle:.0f} µs, 99 in 100 below {high:.0f} µs"
    return f"{text}; for one way alone there is no common clock", {
        "round_trip_p50_us": middle,
        "round_trip_p99_us": high,
    }


def _burst(wire: Opened) -> Found:
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
            raise failed(run.faults(), f"{words}: of a burst of {depth} frames, the depth, ")
        largest.append(passed)
    text = " and ".join(f"{size}{' or more' if size * 2 > _MOST else ''}" for size in dict.fromkeys(largest))
    figures = {"frames_out": largest[0], "frames_in": largest[1]}
    return f"{text} frames at once, where depth is {depth}", figures


def _throughput(wire: Opened) -> Found:
    """As on one machine: the sender's clock says for how long, the receiver counts."""
    rates = []
    lines = (wire.lines, wire.lines[::-1])
    for (words, _, _, to, source), (sender, receiver) in zip(wire.directions, lines, strict=True):
        stream, length = next(runs), wire.subject.mtu + ETHERNET_HEADER
        receiver.ask("drain", stream=stream)
        target, origin = to.hex(":"), source.hex(":")
        sender.ask("generate", seconds=_SECONDS, size=length, stream=stream, to=target, source=origin)
        time.sleep(_LAST)
        seen = receiver.told(Counted, "drained").stats
        if not {"frames", "changed", "bytes"} <= seen.keys():
            raise receiver.nonsense()
        if not seen["frames"]:
            raise Failed(Code.NO_FRAME, f"{words}: nothing arrives under load")
        if changed := seen["changed"]:
            raise Failed(Code.CHANGED, f"{words}: under load {changed} frames came changed")
        rates.append(seen["bytes"] * 8 / _SECONDS / 1e6)
    out, back = rates
    return f"{out:.0f} Mbit/s out, {back:.0f} Mbit/s in", {"mbit_per_s_out": out, "mbit_per_s_in": back}


def _impair(wire: Opened) -> Found:
    if wire.subject.impairment is None:
        raise Absent("no impairment is declared")
    raise Untested("an impairment is declared, and is not measured between two hosts, whose clocks differ")


PROBES: dict[str, Callable[[Opened], Found]] = {
    "frames": lambda wire: frames(wire, None),
    "mtu": _mtu,
    "ping": _ping,
    "tcp": _tcp,
    "burst": _burst,
    "latency": _latency,
    "throughput": _throughput,
    "impair": _impair,
}
