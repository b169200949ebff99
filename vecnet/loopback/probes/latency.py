"""latency: the time of one frame from one end to the other, as percentiles."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vecnet.loopback.exchange import PATIENCE, drain
from vecnet.loopback.numbered import SMALLEST, Run, failed
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import HIGH, LOW
from vecnet.loopback.wire import Wire

_PIECES = 5
_COUNT, _FEWEST = 300, 100  # frames each way, one at a time; of many links


def latency(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Medians and 99th percentiles over both directions, in microseconds."""
    times = []
    count = max(_FEWEST, round(_COUNT * wire.share))
    for words, sender, receiver, to, source in wire.directions:
        run = Run(to, source)
        drain(receiver)
        for _ in range(count):
            frame = run.build(SMALLEST)
            started = time.perf_counter()
            sender.send([frame])
            while not run.take(receiver.recv(timeout=PATIENCE)):
                if time.perf_counter() - started > PATIENCE:
                    raise failed(run.faults()[:1], f"{words}: ")
            times.append((time.perf_counter() - started) * 1e6)
    figures: dict[str, float] = {"frames": len(times)}
    size = len(times) // _PIECES
    for name, share in (("p50_us", 0.5), ("p99_us", 0.99)):
        pieces = [_percentile(times[at : at + size], share) for at in range(0, len(times) - size + 1, size)]
        figures[name] = _percentile(times, share)
        figures[name + LOW], figures[name + HIGH] = min(pieces), max(pieces)
    return f"median {figures['p50_us']:.0f} µs, 99 in 100 below {figures['p99_us']:.0f} µs", figures


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]
