"""The same wires driven from Python: whole batches through a Port, next to C, a plain socket loop and Scapy."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar

from vecnet.bench import loads, measure
from vecnet.bench.figures import Case, Cost, Figure
from vecnet.datapath.port import Port
from vecnet.errors import HostError
from vecnet.loopback.wire import Wire

T = TypeVar("T")
_ALL = 0x0003  # ETH_P_ALL, packet(7)
_QUEUE = 8 << 20  # bytes, so that a batch fits
_LOST = "a frame was lost while it was measured"
_FORCED = 33  # SO_RCVBUFFORCE, socket(7)


def next_to_c(case: Case, wire: Wire) -> Iterator[Figure]:
    """`send` and `recv` of whole batches, next to C on the same sockets: loops over the ports, and bare loops."""
    frames, rounds = _frames(case), case.effort.rounds
    for reference, bare in (("loop in C", False), (measure.FLOOR, True)):

        def sent(in_c: bool, bare: bool = bare) -> Cost:
            return measure.transmitted(case, wire, bare) if in_c else _sent(wire, frames, rounds)

        def received(in_c: bool, bare: bool = bare) -> Cost:
            return measure.received(case, wire, bare) if in_c else _received(wire, frames, rounds)

        yield case.paired("Port.send", reference, sent)
        yield case.paired("Port.recv", reference, received)

    def awaited(by_recv: bool) -> Cost:
        return _received(wire, frames, rounds, copy=True) if by_recv else asyncio.run(_awaited(wire, frames, rounds))

    yield case.paired("async for", "Port.recv", awaited)


def next_to_python(case: Case, wire: Wire, ifname: str) -> Iterator[Figure]:
    """Next to a plain loop of socket.send and socket.recv on the interface that the port binds, and to Scapy."""
    frames = _frames(case)
    with _packet_socket(ifname, 0) as plain:
        yield _sends(case, "Python socket loop", wire, frames, _each(plain.send, frames))
    with _packet_socket(ifname, _ALL) as plain:
        loop = _each(plain.recv, [2048] * case.batch)
        yield _receives(case, "Python socket loop", wire, frames, plain, loop)
    if importlib.util.find_spec("scapy") is None:
        return
    logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns of what this network lacks
    from scapy.arch.linux import L2Socket
    from scapy.layers.l2 import Ether

    scapy = L2Socket(iface=ifname)
    _enlarge(scapy.ins)
    try:
        yield _sends(case, "Scapy", wire, frames, _each(scapy.send, [Ether(frame) for frame in frames]))
        yield _receives(case, "Scapy", wire, frames, scapy.ins, _each(scapy.recv, [2048] * case.batch))
    finally:
        scapy.close()


def _frames(case: Case) -> list[bytes]:
    return [loads.small(case.length)] * case.batch


def _each(call: Callable[[T], object], values: Sequence[T]) -> Callable[[], None]:
    """A call for each value."""

    def loop() -> None:
        for value in values:
            call(value)

    return loop


def _sends(case: Case, reference: str, wire: Wire, frames: Sequence[bytes], loop: Callable[[], None]) -> Figure:
    """A loop that sends the frames, next to Port.send of all."""

    def sent(by_reference: bool) -> Cost:
        if not by_reference:
            return _sent(wire, frames, 1)
        cost = _timed(loop, len(frames))
        _take(wire.far, len(frames))
        return cost

    return case.paired("Port.send", reference, sent)


def _receives(
    case: Case,
    reference: str,
    wire: Wire,
    frames: Sequence[bytes],
    queue: socket.socket,
    loop: Callable[[], None],
) -> Figure:
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

    return case.paired("Port.recv", reference, received)


def _sent(wire: Wire, frames: Sequence[bytes], rounds: int) -> Cost:
    costs = []
    for _ in range(rounds):
        costs.append(_timed(lambda: wire.near.send(frames), len(frames)))
        _take(wire.far, len(frames))
    return sum(costs[1:], costs[0]).each(len(costs))


def _received(wire: Wire, frames: Sequence[bytes], rounds: int, *, copy: bool = False) -> Cost:
    costs = []
    for _ in range(rounds):
        wire.far.send(frames)
        costs.append(_timed(lambda: _take(wire.near, len(frames), copy=copy), len(frames)))
    return sum(costs[1:], costs[0]).each(len(costs))


async def _awaited(wire: Wire, frames: Sequence[bytes], rounds: int) -> Cost:
    """The same by `async for`, whose loop and iteration go on from round to round."""
    costs = []
    try:
        async with asyncio.timeout(10 + rounds), aclosing(aiter(wire.near)) as batches:
            for _ in range(rounds):
                wire.far.send(frames)
                processor, started, left = time.thread_time_ns(), time.perf_counter_ns(), len(frames)
                while left > 0:
                    left -= len(await anext(batches))
                wall = time.perf_counter_ns() - started
                costs.append(Cost(wall, time.thread_time_ns() - processor).each(len(frames)))
    except TimeoutError:
        raise HostError(_LOST) from None
    return sum(costs[1:], costs[0]).each(len(costs))


def _timed(act: Callable[[], object], packets: int) -> Cost:
    processor, started = time.thread_time_ns(), time.perf_counter_ns()
    act()
    wall = time.perf_counter_ns() - started
    return Cost(wall, time.thread_time_ns() - processor).each(packets)


def _take(port: Port, count: int, *, copy: bool = False) -> None:
    while count > 0:
        got = len(port.recv(timeout=1.0) if copy else port.recv(timeout=1.0, copy=False))
        if not got:
            raise HostError(_LOST)
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
