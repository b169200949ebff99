"""throughput: frames of the full MTU as fast as they go, each way: what arrives in a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from vecnet.loopback.exchange import PATIENCE, drain
from vecnet.loopback.frames import Run
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire

_SECONDS = 0.15  # each way
_ETHERNET = 14
_BATCH = 64


def throughput(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Megabits a second that arrive. What a sender that never waits loses is no failure of the wire."""
    rates = []
    for words, sender, receiver, to, source in wire.directions:
        run = Run(to, source)
        length = wire.subject.mtu + _ETHERNET
        frames = [run.build(length) for _ in range(_BATCH)]
        drain(receiver)
        stop = threading.Event()

        def flood(port=sender, batch=frames, until=stop) -> None:  # type: ignore[no-untyped-def]
            while not until.is_set():
                port.send(batch, timeout=0.01)

        thread = threading.Thread(target=flood, daemon=True)
        started = time.perf_counter()
        thread.start()
        got = 0
        while time.perf_counter() - started < _SECONDS:
            got += sum(map(len, receiver.recv(timeout=PATIENCE)))
        elapsed = time.perf_counter() - started
        stop.set()
        thread.join()
        drain(receiver)
        if not got:
            raise Failed(f"{words}: nothing arrives under load")
        rates.append(got * 8 / elapsed / 1e6)
    return f"{rates[0]:.0f} Mbit/s out, {rates[1]:.0f} Mbit/s in", {
        "mbit_per_s_out": rates[0],
        "mbit_per_s_in": rates[1],
    }
