"""The switch's door to the compiled module; `vecnet.datapath.switch` is what people use."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vecnet._native import ffi, lib
from vecnet.datapath.native import COUNTERS, Handle, RecorderHandle, keep, text
from vecnet.errors import PortClosed, PortError, ResourceMissing
from vecnet.impairment import Impairment

MOST_PORTS: int = lib.VN_SWITCH_PORTS
# The meaning of each of a switch's own counters, by its name.
MEANINGS: dict[str, str] = {
    text(lib.vn_switch_counter_name(index)): text(lib.vn_switch_counter_meaning(index))
    for index in range(lib.VN_SWITCH_COUNTERS)
}


@dataclass(frozen=True)
class Settings:
    """What is asked of a port: see struct vn_switch_settings."""

    isolated: bool
    addresses: int
    storm: int
    guests: int


@dataclass(frozen=True)
class State:
    """A port as it is now: see struct vn_switch_port."""

    number: int
    listener: int
    name: str
    addresses: int
    error: int
    connected: bool
    listens: bool
    monitor: bool


class SwitchHandle:
    """A switch of C. Everything may be called from any thread while it runs. Ports are known by numbers."""

    def __init__(self, age: int, addresses: int) -> None:
        """`age` is in milliseconds. Raises PortError."""
        switch = lib.vn_switch_new(age, addresses)
        if not switch:
            if ffi.errno == errno.ENOMEM:
                raise MemoryError("a switch")
            raise ResourceMissing("no descriptor is left for a switch", "raise the limit with: ulimit -n")
        self.switch: Any = ffi.gc(switch, lib.vn_switch_free)
        self._recorders: list[RecorderHandle] = []  # kept, for C points to them
        keep(self)

    def forked(self) -> None:
        lib.vn_switch_forked(self.switch)

    def run(self, duration: int) -> None:
        """Move frames for so many nanoseconds, -1 without end; less after a signal. Raises PortError."""
        result = lib.vn_switch_run(self.switch, duration)
        if result == -errno.ECANCELED:
            raise PortClosed("the switch belongs to the process that was forked")
        if result < 0 and result != -errno.EINTR:
            raise PortError(f"the switch cannot run: {os.strerror(-result)}")

    def stop(self) -> None:
        lib.vn_switch_stop(self.switch)

    def add(self, port: Handle, name: str, settings: Settings) -> int:
        """The port's number. It must outlive the switch, or be removed. Raises PortError."""
        wanted = ffi.new(
            "struct vn_switch_settings *",
            (settings.isolated, settings.addresses, settings.storm, settings.guests),
        )
        number: int = lib.vn_switch_add(self.switch, port.port, name.encode(), wanted)
        if number == -errno.EEXIST:
            raise PortError(f"the switch has a port {name} already", "give this one another name")
        if number == -errno.EMFILE:
            raise PortError(f"the switch has no room for {name}", f"one has {MOST_PORTS} ports at the most")
        if number < 0:
            raise PortError(f"{name} cannot be a port of the switch: {os.strerror(-number)}")
        return number

    def remove(self, number: int) -> None:
        lib.vn_switch_remove(self.switch, number)

    def mirror(self, monitor: int, numbers: Sequence[int]) -> bool:
        """Whether all of these ports are there."""
        result: int = lib.vn_switch_mirror(self.switch, monitor, ffi.new("uint32_t[]", numbers), len(numbers))
        return result == 0

    def impair(self, number: int, impairment: Impairment | None) -> None:
        """Raises PortError where there is no such port."""
        plan = ffi.NULL
        if impairment is not None:
            plan = ffi.new("struct vn_impairment *")
            for share in ("loss", "duplicate", "corrupt", "reorder", "rate"):
                setattr(plan, share, getattr(impairment, share))
            plan.delay, plan.jitter = round(impairment.delay * 1e9), round(impairment.jitter * 1e9)
            plan.seed = impairment.seed
        result = lib.vn_switch_impair(self.switch, number, plan)
        if result < 0:
            raise PortError(f"the port cannot be impaired: {os.strerror(-result)}")

    def record(self, number: int, recorder: RecorderHandle) -> None:
        """Record a port, 0 for all. Raises PortError."""
        self._recorders.append(recorder)
        recorder.check_added(lib.vn_switch_record(self.switch, number, recorder.recorder))

    def end_record(self, recorder: RecorderHandle) -> None:
        lib.vn_switch_end_record(self.switch, recorder.recorder)
        self._recorders = [one for one in self._recorders if one is not recorder]

    def ports(self) -> list[State]:
        listed = ffi.new("struct vn_switch_port[]", MOST_PORTS)
        count = lib.vn_switch_list(self.switch, listed, MOST_PORTS)
        return [
            State(
                one.number,
                one.listener,
                text(one.name),
                one.addresses,
                one.error,
                bool(one.connected),
                bool(one.listens),
                bool(one.monitor),
            )
            for one in listed[0:count]
        ]

    def table(self, room: int) -> list[tuple[bytes, int, int]]:
        """Addresses, each with the number of its port, and the milliseconds since it sent last."""
        listed = ffi.new("struct vn_switch_address[]", room)
        count = min(room, lib.vn_switch_table(self.switch, listed, room))
        return [(bytes(one.address), one.number, one.idle) for one in listed[0:count]]

    def counters(self, number: int) -> dict[str, int]:
        """Nothing where the port is gone."""
        own = ffi.new("uint64_t[]", lib.VN_SWITCH_COUNTERS)
        ports = ffi.new("uint64_t[]", lib.VN_COUNTERS)
        if lib.vn_switch_counters(self.switch, number, own, ports):
            return {}
        return dict(zip(MEANINGS, own, strict=True)) | dict(zip(COUNTERS, ports, strict=True))
