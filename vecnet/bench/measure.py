"""A port next to the floor: a bare loop of sendmmsg and recvmmsg on the same sockets, with the same batch.

Both take turns, many times, so that what else the machine does disturbs them alike; each pair gives a ratio, and the
median of the ratios counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vecnet.bench import loads, native
from vecnet.bench.figures import ECHOES, Case, Cost, Figure
from vecnet.bench.native import Load
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

FLOOR = "bare loop"
_LARGE_BATCH = 4  # large frames at once: what the smallest of the queues holds that a user without rights has


def transport(case: Case, first: Wire, second: Wire) -> Iterator[Figure]:
    """Transmit, receive, forward, and the echo's percentiles."""
    yield from _ways(case, first, second, _load(case))
    yield from _echoes(case, first)


def large(case: Case, first: Wire, second: Wire) -> Iterator[Figure]:
    """Large frames, whole, between two wires whose ports keep them: offload="raw" at either end."""
    whole = replace(case, length=loads.LARGE, batch=_LARGE_BATCH)
    yield from _ways(whole, first, second, Load(loads.large(1500), _LARGE_BATCH, case.effort.rounds))


def cut(case: Case, wire: Wire) -> Figure:
    """Large frames that a port (offload="raw") cuts on sending, next to a loop that sends segments cut beforehand.

    Counted in segments.
    """
    near, far = wire.near.handle, wire.far.handle
    count = _LARGE_BATCH // 2  # segments take more room in a queue
    mtu = wire.subject.mtu
    load = Load(loads.large(mtu), count, case.effort.rounds)
    segments = count * loads.segments(mtu) * case.effort.rounds

    def sent(bare: bool) -> Cost:
        return native.one_way((near, bare), (far, False), load)[0].each(segments)

    return replace(case, length=mtu + ETHERNET_HEADER).paired("cut and transmit", FLOOR, sent)


def port_to_port(case: Case, wire: Wire) -> Figure:
    """Both halves, a port at either end, next to both halves bare."""
    near, far, load = wire.near.handle, wire.far.handle, _load(case)

    def moved(bare: bool) -> Cost:
        out, back = native.one_way((near, bare), (far, bare), load)
        return (out + back).each(_packets(case))

    return case.paired("port to port", FLOOR, moved)


def transmitted(case: Case, wire: Wire, bare: bool = False) -> Cost:
    """What a packet costs that the near port sends, or the bare loop in its place."""
    out, _ = native.one_way((wire.near.handle, bare), (wire.far.handle, False), _load(case))
    return out.each(_packets(case))


def received(case: Case, wire: Wire, bare: bool = False) -> Cost:
    """What a packet costs that the near port takes in from the far one, or a bare loop from a bare loop."""
    _, back = native.one_way((wire.far.handle, bare), (wire.near.handle, bare), _load(case))
    return back.each(_packets(case))


def _load(case: Case) -> Load:
    return Load(loads.small(case.length), case.batch, case.effort.rounds)


def _packets(case: Case) -> int:
    return case.batch * case.effort.rounds


def _ways(case: Case, first: Wire, second: Wire, load: Load) -> Iterator[Figure]:
    near, far = first.near.handle, first.far.handle
    wires = (far, near, second.near.handle, second.far.handle)

    def sent(bare: bool) -> Cost:
        return native.one_way((near, bare), (far, False), load)[0].each(_packets(case))

    def taken(bare: bool) -> Cost:
        return native.one_way((far, True), (near, bare), load)[1].each(_packets(case))

    def forwarded(bare: bool) -> Cost:
        return native.forward(wires, bare, load).each(_packets(case))

    for what, measured in (("transmit", sent), ("receive", taken), ("forward", forwarded)):
        yield case.paired(what, FLOOR, measured)


def _echoes(case: Case, wire: Wire) -> Iterator[Figure]:
    near, far = wire.near.handle, wire.far.handle
    load = Load(loads.small(case.length), 1, case.effort.echoes)
    middle: dict[bool, list[Cost]] = {False: [], True: []}
    high: dict[bool, list[Cost]] = {False: [], True: []}
    for _ in range(case.effort.runs):
        for bare in (False, True):
            times = sorted(native.echo((near, bare), (far, bare), load))
            middle[bare].append(Cost(times[len(times) // 2]))
            high[bare].append(Cost(times[len(times) * 99 // 100]))
    for what, figures in zip(ECHOES, (middle, high), strict=True):
        yield case.figure(what, FLOOR, figures[False], figures[True])
