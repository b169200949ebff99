"""The same wires driven from Python: whole batches through a Port, next to C, a plain socket loop and Scapy."""

from __future__ import annotations

import importlib.util
import socket
import time
from collections.abc import Callable, Iterator

from vecnet.bench.result import Result
from vecnet.datapath.native import bench_one_way
from vecnet.datapath.port import Port
from vecnet.loopback.wire import Wire

_SLICES = 40  # batches timed together


def from_python(name: str, wire: Wire, length: int, runs: int, batch: int) -> Iterator[Result]:
    """`send` and `recv` of whole batches, next to the loop in C on the same port."""
    near, far = wire.near, wire.far
    frames = [_frame(length)] * batch
    packets = batch * _SLICES

    def sent() -> float:
        spent = 0
        for _ in range(_SLICES):
            started = time.perf_counter_ns()
            near.send(frames)
            spent += time.perf_counter_ns() - started
            _take(far, batch)
        return spent / packets

    def received() -> float:
        spent = 0
        for _ in range(_SLICES):
            far.send(frames)
            started = time.perf_counter_ns()
            _take(near, batch)
            spent += time.perf_counter_ns() - started
        return spent / packets

    def c_sent() -> float:
        return bench_one_way((near.handle, False), (far.handle, False), length, batch, _SLICES)[0] / packets

    def c_received() -> float:
        return bench_one_way((far.handle, True), (near.handle, False), length, batch, _SLICES)[1] / packets

    yield _turns(name, "Port.send", "loop in C", length, runs, sent, c_sent)
    yield _turns(name, "Port.recv", "loop in C", length, runs, received, c_received)


def next_to_python(name: str, wire: Wire, ifname: str, length: int, runs: int, batch: int) -> Iterator[Result]:
    """Sending on an interface: a Port, next to a plain loop of socket.send, and to Scapy's socket."""
    frames = [_frame(length)] * batch
    port = wire.near

    def sent() -> float:
        return _timed(lambda: port.send(frames)) / batch

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as plain:
        plain.bind((ifname, 0))

        def looped() -> float:
            def loop() -> None:
                for frame in frames:
                    plain.send(frame)

            return _timed(loop) / batch

        yield _turns(name, "Port.send", "Python socket loop", length, runs, sent, looped)
    if importlib.util.find_spec("scapy") is None:
        return
    from scapy.arch.linux import L2Socket
    from scapy.layers.l2 import Ether

    scapy = L2Socket(iface=ifname)
    packets = [Ether(frame) for frame in frames]

    def scapied() -> float:
        def loop() -> None:
            for packet in packets:
                scapy.send(packet)

        return _timed(loop) / batch

    try:
        yield _turns(name, "Port.send", "Scapy", length, runs, sent, scapied)
    finally:
        scapy.close()


def _turns(
    name: str, what: str, reference: str, length: int, runs: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> Result:
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return Result(name, what, reference, length, tuple(one for one, _ in pairs), tuple(other for _, other in pairs))


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    act()
    return float(time.perf_counter_ns() - started)


def _take(port: Port, count: int) -> None:
    while count > 0:
        got = len(port.recv(timeout=1.0, copy=False))
        if not got:
            raise TimeoutError("a frame was lost while it was measured")
        count -= got


def _frame(length: int) -> bytes:
    return (b"\2" * 12 + b"\x88\xb5").ljust(length, b"\0")
