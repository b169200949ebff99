"""A port next to the floor: a bare loop of sendmmsg and recvmmsg on the same sockets, with the same batch.

Both take turns, many times, so that what else the machine does disturbs them alike; each pair gives a ratio, and the
median of the ratios counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vecnet.bench.result import Result
from vecnet.datapath.native import Handle, bench_echo, bench_forward, bench_one_way
from vecnet.datapath.port import Port
from vecnet.loopback.wire import Wire

FLOOR = "bare loop"
_ECHOES = 2000  # rounds of one frame, for percentiles
_SLICES = 100  # batches timed together, some milliseconds


def transport(name: str, first: Wire, second: Wire, length: int, runs: int, batch: int) -> Iterator[Result]:
    """Transmit, receive, forward, and the echo's percentiles, of one transport at one length."""
    near, far = _handle(first.near), _handle(first.far)
    wires = (far, near, _handle(second.near), _handle(second.far))
    packets = batch * _SLICES

    def sent(bare: bool) -> float:
        return bench_one_way((near, bare), (far, False), length, batch, _SLICES)[0] / packets

    def received(bare: bool) -> float:
        return bench_one_way((far, True), (near, bare), length, batch, _SLICES)[1] / packets

    def forwarded(bare: bool) -> float:
        return bench_forward(wires, bare, length, batch, _SLICES) / packets

    for what, measured in (("transmit", sent), ("receive", received), ("forward", forwarded)):
        yield _paired(name, what, length, runs, measured)
    yield from _echoes(name, near, far, length, runs)


def port_to_port(name: str, wire: Wire, length: int, runs: int, batch: int) -> Result:
    """Both halves, a port at either end, next to both halves bare."""
    near, far = _handle(wire.near), _handle(wire.far)

    def moved(bare: bool) -> float:
        return sum(bench_one_way((near, bare), (far, bare), length, batch, _SLICES)) / (batch * _SLICES)

    return _paired(name, "port to port", length, runs, moved)


def _paired(name: str, what: str, length: int, runs: int, measured: Callable[[bool], float]) -> Result:
    ours, theirs = [], []
    measured(False), measured(True)  # caches warm up
    for run in range(runs):
        if run % 2:  # neither is always the first
            ours.append(measured(False))
            theirs.append(measured(True))
        else:
            theirs.append(measured(True))
            ours.append(measured(False))
    return Result(name, what, FLOOR, length, tuple(ours), tuple(theirs))


def _echoes(name: str, near: Handle, far: Handle, length: int, runs: int) -> Iterator[Result]:
    middle: dict[bool, list[float]] = {False: [], True: []}
    high: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(runs):
        for bare in (False, True):
            times = sorted(bench_echo((near, bare), (far, bare), length, _ECHOES))
            middle[bare].append(float(times[len(times) // 2]))
            high[bare].append(float(times[len(times) * 99 // 100]))
    for what, figures in (("echo p50", middle), ("echo p99", high)):
        yield Result(name, what, FLOOR, length, tuple(figures[False]), tuple(figures[True]))


def _handle(port: Port) -> Handle:
    return port.handle
