"""The bench's door to the compiled module: what a batch costs in C, see _native/bench/bench.h."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from vecnet._native import ffi, lib
from vecnet.bench.figures import Cost
from vecnet.datapath.native import Handle
from vecnet.datapath.native_switch import SwitchHandle
from vecnet.errors import PortError

End = tuple[Handle, bool]  # a port, and whether it is to be a bare loop on that port's descriptors


class Load:
    """What is moved: `count` times a frame, and that `rounds` times."""

    def __init__(self, frame: bytes, count: int, rounds: int) -> None:
        self._frame = ffi.new("uint8_t[]", frame)
        self.load: Any = ffi.new("struct vn_bench_load *", [self._frame, len(frame), count, rounds])
        self.rounds = rounds


def one_way(source: End, sink: End, load: Load) -> tuple[Cost, Cost]:
    """What sending costs in all rounds, and receiving. Raises PortError."""
    spent = ffi.new("struct vn_bench_cost[2]")
    _check(lib.vn_bench_one_way(_end(source), _end(sink), load.load, spent, spent + 1))
    return Cost(spent[0].wall, spent[0].processor), Cost(spent[1].wall, spent[1].processor)


def forward(wires: Sequence[Handle], bare: bool, load: Load) -> Cost:
    """What forwarding costs: `wires` are the feeder, the port to receive at, the one to send at, the sink.

    Raises PortError.
    """
    spent = ffi.new("struct vn_bench_cost *")
    _check(lib.vn_bench_forward(*(handle.port for handle in wires), bare, load.load, spent))
    return Cost(spent.wall, spent.processor)


def echo(here: End, there: End, load: Load) -> list[int]:
    """Nanoseconds of each round: a frame out, in, back out, in. Raises PortError."""
    times = ffi.new("int64_t[]", load.rounds)
    _check(lib.vn_bench_echo(_end(here), _end(there), load.load, times))
    return list(times)


Between = SwitchHandle | Sequence[Handle]  # a switch, or the two ports that `forward` joins


def through(between: Between, ends: Sequence[Handle], frames: Sequence[bytes], load: Load) -> Cost:
    """What is between costs, while each of the ends in turn sends its frames, `load.count` in one piece.

    Raises PortError, also where a frame is lost.
    """
    parts = (
        [between.switch, [ffi.NULL] * 2]
        if isinstance(between, SwitchHandle)
        else [ffi.NULL, [one.port for one in between]]
    )
    middle = ffi.new("struct vn_bench_middle *", parts)
    held = [ffi.from_buffer("uint8_t[]", one) for one in frames]
    spent = ffi.new("struct vn_bench_cost *")
    pointers = ffi.new("struct vn_port *[]", [end.port for end in ends])
    _check(lib.vn_bench_switch(middle, pointers, held, len(ends), 1, load.load, spent))
    return Cost(spent.wall, spent.processor)


def _end(end: End) -> Any:
    handle, bare = end
    return ffi.new("struct vn_bench_end *", [handle.port, bare])[0]


def _check(result: int) -> None:
    if result < 0:
        raise PortError(f"the measurement broke off: {os.strerror(-result)}")
