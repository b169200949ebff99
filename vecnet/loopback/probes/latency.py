"""latency: the time of one frame from one end to the other, as percentiles."""

from __future__ import annotations

import time
from collections.abc import Mapping

from vecnet.loopback.exchange import PATIENCE, drain
from vecnet.loopback.numbered import SMALLEST, Run
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire

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
                    raise Failed(f"{words}: {run.faults()[0]}")
            times.append((time.perf_counter() - started) * 1e6)
    times.sort()
    middle, high = times[len(times) // 2], times[len(times) * 99 // 100]
    return f"median {middle:.0f} µs, 99 in 100 below {high:.0f} µs", {
        "p50_us": middle,
        "p99_us": high,
        "frames": 2 * count,
    }
