"""A port next to the floor: a bare loop of sendmmsg and recvmmsg on the same sockets, with the same batch.

Both take turns, many times, so that what else the machine does disturbs them alike; each pair gives a ratio, and the
median of the ratios counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vecnet.bench import loads
from vecnet.bench.native import Load, Spent, echo, forward, one_way
from vecnet.bench.result import Cost, Effort, Result
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

FLOOR = "bare loop"
_LARGE_BATCH = 4  # large frames at once: what the smallest of the queues holds that a user without rights has


def transport(name: str, first: Wire, second: Wire, length: int, effort: Effort, batch: int) -> Iterator[Result]:
    """Transmit, receive, forward, and the echo's percentiles, of one transport at one length."""
    load = Load(loads.small(length), batch, effort.rounds)
    yield from _ways(name, first, second, length, effort, load, batch)
    yield from _echoes(name, first, length, effort)


def large(name: str, first: Wire, second: Wire, effort: Effort) -> Iterator[Result]:
    """Large frames, whole, between two wires whose ports keep them: offload="raw" at either end."""
    load = Load(loads.large(1500), _LARGE_BATCH, effort.rounds)
    yield from _ways(name, first, second, loads.LARGE, effort, load, _LARGE_BATCH)


def cut(name: str, wire: Wire, effort: Effort) -> Result:
    """Large frames that a port (offload="raw") cuts on sending, next to a loop that sends segments cut beforehand.

    Counted in segments.
    """
    near, far = wire.near.handle, wire.far.handle
    count = _LARGE_BATCH // 2  # segments take more room in a queue
    mtu = wire.subject.mtu
    load = Load(loads.large(mtu), count, effort.rounds)
    segments = count * loads.segments(mtu) * effort.rounds

    def sent(bare: bool) -> Cost:
        return _each(one_way((near, bare), (far, False), load)[0], segments)

    return paired(name, "cut and transmit", FLOOR, mtu + ETHERNET_HEADER, effort.runs, sent)


def port_to_port(name: str, wire: Wire, length: int, effort: Effort, batch: int) -> Result:
    """Both halves, a port at either end, next to both halves bare."""
    near, far = wire.near.handle, wire.far.handle
    load = Load(loads.small(length), batch, effort.rounds)

    def moved(bare: bool) -> Cost:
        out, back = one_way((near, bare), (far, bare), load)
        return _each((out[0] + back[0], out[1] + back[1]), batch * effort.rounds)

    return paired(name, "port to port", FLOOR, length, effort.runs, moved)


def paired(name: str, what: str, reference: str, length: int, runs: int, measured: Callable[[bool], Cost]) -> Result:
    """`measured` tells our cost, or with True the reference's."""
    ours, theirs = [], []
    measured(False), measured(True)  # caches warm up
    for run in range(runs):
        if run % 2:  # neither is always the first
            ours.append(measured(False))
            theirs.append(measured(True))
        else:
            theirs.append(measured(True))
            ours.append(measured(False))
    return Result(name, what, reference, length, tuple(ours), tuple(theirs))


def transmitted(wire: Wire, length: int, effort: Effort, batch: int, bare: bool = False) -> Cost:
    """What a packet costs that the near port sends, or the bare loop in its place."""
    load = Load(loads.small(length), batch, effort.rounds)
    out, _ = one_way((wire.near.handle, bare), (wire.far.handle, False), load)
    return _each(out, batch * effort.rounds)


def received(wire: Wire, length: int, effort: Effort, batch: int, bare: bool = False) -> Cost:
    """What a packet costs that the near port takes in from the far one, or a bare loop from a bare loop."""
    load = Load(loads.small(length), batch, effort.rounds)
    _, back = one_way((wire.far.handle, bare), (wire.near.handle, bare), load)
    return _each(back, batch * effort.rounds)


def _ways(
    name: str, first: Wire, second: Wire, length: int, effort: Effort, load: Load, batch: int
) -> Iterator[Result]:
    near, far = first.near.handle, first.far.handle
    wires = (far, near, second.near.handle, second.far.handle)
    packets = batch * effort.rounds

    def sent(bare: bool) -> Cost:
        return _each(one_way((near, bare), (far, False), load)[0], packets)

    def taken(bare: bool) -> Cost:
        return _each(one_way((far, True), (near, bare), load)[1], packets)

    def forwarded(bare: bool) -> Cost:
        return _each(forward(wires, bare, load), packets)

    for what, measured in (("transmit", sent), ("receive", taken), ("forward", forwarded)):
        yield paired(name, what, FLOOR, length, effort.runs, measured)


def _echoes(name: str, wire: Wire, length: int, effort: Effort) -> Iterator[Result]:
    near, far = wire.near.handle, wire.far.handle
    load = Load(loads.small(length), 1, effort.echoes)
    middle: dict[bool, list[Cost]] = {False: [], True: []}
    high: dict[bool, list[Cost]] = {False: [], True: []}
    for _ in range(effort.runs):
        for bare in (False, True):
            times = sorted(echo((near, bare), (far, bare), load))
            middle[bare].append(Cost(times[len(times) // 2]))
            high[bare].append(Cost(times[len(times) * 99 // 100]))
    for what, figures in (("echo p50", middle), ("echo p99", high)):
        yield Result(name, what, FLOOR, length, tuple(figures[False]), tuple(figures[True]))


def _each(spent: Spent, packets: int) -> Cost:
    wall, processor = spent
    return Cost(wall / packets, processor / packets)
