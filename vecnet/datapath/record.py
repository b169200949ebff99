"""Record what crosses ports to a pcapng file, and replay a capture into a port.

    with record("lab.pcapng", web, db):
        …                                # send, recv and loops, which all are recorded
    replay(web, "lab.pcapng")

Of each port the file has two interfaces. `vec0` has the Ethernet frames that were sent and received. `vec0 outer` has
the packets on the wire, with the tunnel's headers, and before large frames were cut. A packet that was dropped has the
counter's name as its comment: `dropped: rx_drop_key`. Times are nanoseconds; those of received packets are the kernel's
where its socket has them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from os import PathLike
from types import TracebackType
from typing import Self

from vecnet.datapath.capture import ETHERNET, Captured, read_capture
from vecnet.datapath.native import RecorderHandle
from vecnet.datapath.port import Port
from vecnet.errors import InputError


class Recorder:
    """A recording in progress. A context manager, which closes it. It may be closed before its ports or after them."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Begin a new file. Raises OSError."""
        self.handle = RecorderHandle(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))

    def add(self, port: Port, name: str = "") -> None:
        """Record this port, too, under `name`: the string's vecN where none is given.

        Raises PortError while a loop or another thread moves the port's frames.
        """
        with port.quiet("begin to record before that"):
            self.handle.add(port.handle, name or port.device.ifname, str(port.device))

    def flush(self) -> None:
        """Write what is not written yet, for a reader of the unfinished file. Raises OSError."""
        self.handle.flush()

    def close(self) -> None:
        """Write the rest, with each port's counters. Raises OSError where anything could not be written, ever."""
        self.handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def record(path: str | PathLike[str], *ports: Port) -> Recorder:
    """Begin to record these ports, to a new file. Raises OSError and PortError."""
    recorder = Recorder(path)
    for port in ports:
        recorder.add(port)
    return recorder


def replay(
    port: Port,
    path: str | PathLike[str],
    *,
    interface: int | str | None = None,
    direction: str = "",
    speed: float | None = None,
) -> int:
    """Send the Ethernet frames of a pcap or pcapng file; return how many.

    - `interface`: those of this one alone, by number or name; None is the file's first one with Ethernet frames.
    - `direction`: "in" or "out" sends only those that the file says went that way.
    - `speed`: 1 keeps the pace of the capture, 2 doubles it; None is as fast as they are taken.

    Frames that were dropped when they were recorded are left out; those that a capture cut short are sent as they are.
    Raises InputError where the file is damaged or has no such frames, or an argument makes no sense; PortError; and
    OSError where the file cannot be read.
    """
    if speed is not None and not speed > 0:
        raise InputError(f"speed={speed!r}: 1 keeps the pace, 2 doubles it, None is as fast as possible")
    if direction not in ("", "in", "out"):
        raise InputError(f"direction={direction!r} is neither 'in' nor 'out', nor '' for both")
    sent = 0
    batch: list[bytes] = []
    began: tuple[int, float] | None = None

    def flush() -> None:
        nonlocal sent
        sent += port.send(batch)
        batch.clear()

    for packet in _chosen(read_capture(path), interface, direction):
        if speed is not None:
            began = began or (packet.time, time.monotonic())
            due = began[1] + (packet.time - began[0]) / 1e9 / speed
            if due > time.monotonic():
                flush()
                time.sleep(max(0, due - time.monotonic()))
        batch.append(packet.data)
        if len(batch) >= port.depth:
            flush()
    flush()
    if not sent:
        raise InputError(f"{path}: no such Ethernet frames are in it")
    return sent


def _chosen(packets: Iterator[Captured], interface: int | str | None, direction: str) -> Iterator[Captured]:
    for packet in packets:
        if packet.link_type != ETHERNET or packet.comment.startswith("dropped: "):
            continue
        if interface is None:
            interface = packet.interface
        if interface in (packet.interface, packet.interface_name) and direction in ("", packet.direction):
            yield packet
