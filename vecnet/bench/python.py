"""The same wires driven from Python: whole batches through a Port, next to C, a plain socket loop and Scapy."""

from __future__ import annotations

import importlib.util
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from vecnet.bench import loads, measure
from vecnet.bench.result import Cost, Effort, Result
from vecnet.datapath.port import Port
from vecnet.errors import HostError
from vecnet.loopback.wire import Wire
from vecnet.transports.raw import Raw

T = TypeVar("T")
_ALL = 0x0003  # ETH_P_ALL, packet(7)
_QUEUE = 8 << 20  # bytes, so that a batch fits
_FORCED = 33  # SO_RCVBUFFORCE, socket(7)


def from_python(name: str, wire: Wire, length: int, effort: Effort, batch: int) -> Iterator[Result]:
    """`send` and `recv` of whole batches, next to C on the same sockets: loops over the ports, and bare loops."""
    frames = [loads.small(length)] * batch
    for reference, bare in (("loop in C", False), (measure.FLOOR, True)):

        def sent(in_c: bool, bare: bool = bare) -> Cost:
            return (
                measure.transmitted(wire, length, effort, batch, bare) if in_c else _sent(wire, frames, effort.rounds)
            )

        def received(in_c: bool, bare: bool = bare) -> Cost:
            return (
                measure.received(wire, length, effort, batch, bare) if in_c else _received(wire, frames, effort.rounds)
            )

        yield measure.paired(name, "Port.send", reference, length, effort.runs, sent)
        yield measure.paired(name, "Port.recv", reference, length, effort.runs, received)


def next_to_python(name: str, wire: Wire, length: int, effort: Effort, batch: int) -> Iterator[Result]:
    """A raw Port next to a plain loop of socket.send and socket.recv on the same interface, and to Scapy's socket."""
    assert isinstance(wire.near.device.transport, Raw)
    ifname = wire.near.device.transport.ifname
    frames = [loads.small(length)] * batch
    with _packet_socket(ifname, 0) as plain:
        yield _sends(name, "Python socket loop", wire, frames, _each(plain.send, frames), effort)
    with _packet_socket(ifname, _ALL) as plain:
        loop = _each(plain.recv, [2048] * batch)
        yield _receives(name, "Python socket loop", wire, frames, plain, loop, effort)
    if importlib.util.find_spec("scapy") is None:
        return
    logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns of what this network lacks
    from scapy.arch.linux import L2Socket
    from scapy.layers.l2 import Ether

    scapy = L2Socket(iface=ifname)
    _enlarge(scapy.ins)
    try:
        yield _sends(name, "Scapy", wire, frames, _each(scapy.send, [Ether(frame) for frame in frames]), effort)
        yield _receives(name, "Scapy", wire, frames, scapy.ins, _each(scapy.recv, [2048] * batch), effort)
    finally:
        scapy.close()


def _each(call: Callable[[T], object], values: Sequence[T]) -> Callable[[], None]:
    """A call for each value."""

    def loop() -> None:
        for value in values:
            call(value)

    return loop


def _sends(
    name: str, reference: str, wire: Wire, frames: Sequence[bytes], loop: Callable[[], None], effort: Effort
) -> Result:
    """A loop that sends the frames, next to Port.send of all."""

    def sent(by_reference: bool) -> Cost:
        if not by_reference:
            return _sent(wire, frames, 1)
        cost = _timed(loop, len(frames))
        _take(wire.far, len(frames))
        return cost

    return measure.paired(name, "Port.send", reference, len(frames[0]), effort.runs, sent)


def _receives(
    name: str,
    reference: str,
    wire: Wire,
    frames: Sequence[bytes],
    queue: socket.socket,
    loop: Callable[[], None],
    effort: Effort,
) -> Result:
    """A loop that receives the frames, next to Port.recv of all. Both get each frame; the other one is emptied."""

    def received(by_reference: bool) -> Cost:
        if not by_reference:
            cost = _received(wire, frames, 1)
        else:
            _empty(queue)
            wire.far.send(frames)
            cost = _timed(loop, len(frames))
            _take(wire.near, len(frames))
        _empty(queue)
        return cost

    return measure.paired(name, "Port.recv", reference, len(frames[0]), effort.runs, received)


def _sent(wire: Wire, frames: Sequence[bytes], rounds: int) -> Cost:
    costs = []
    for _ in range(rounds):
        costs.append(_timed(lambda: wire.near.send(frames), len(frames)))
        _take(wire.far, len(frames))
    return _mean(costs)


def _received(wire: Wire, frames: Sequence[bytes], rounds: int) -> Cost:
    costs = []
    for _ in range(rounds):
        wire.far.send(frames)
        costs.append(_timed(lambda: _take(wire.near, len(frames)), len(frames)))
    return _mean(costs)


def _timed(act: Callable[[], object], packets: int) -> Cost:
    processor, started = time.thread_time_ns(), time.perf_counter_ns()
    act()
    wall = time.perf_counter_ns() - started
    return Cost(wall / packets, (time.thread_time_ns() - processor) / packets)


def _mean(costs: Sequence[Cost]) -> Cost:
    processor = sum(cost.processor or 0 for cost in costs)
    return Cost(sum(cost.wall for cost in costs) / len(costs), processor / len(costs))


def _take(port: Port, count: int) -> None:
    while count > 0:
        got = len(port.recv(timeout=1.0, copy=False))
        if not got:
            raise HostError("a frame was lost while it was measured")
        count -= got


def _packet_socket(ifname: str, protocol: int) -> socket.socket:
    plain = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    _enlarge(plain)
    plain.bind((ifname, protocol))
    return plain


def _enlarge(queue: socket.socket) -> None:
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        queue.setsockopt(socket.SOL_SOCKET, option, _QUEUE)
    with suppress(PermissionError):  # as much as the kernel allows
        queue.setsockopt(socket.SOL_SOCKET, _FORCED, _QUEUE)


def _empty(queue: socket.socket) -> None:
    with suppress(BlockingIOError):
        while queue.recv(2048, socket.MSG_DONTWAIT):
            pass
