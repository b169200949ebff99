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

from vecnet.datapath.capture import COOKED, ETHERNET, Captured, Unread, link_type_name, read_packets
from vecnet.datapath.native import RecorderHandle
from vecnet.datapath.port import Port
from vecnet.errors import CaptureIncomplete, InputError, Problem
from vecnet.transports.base import VNET_HEADER

OUTER = " outer"  # ends the name of the interface that has a recorded port's packets on the wire


class Recorder:
    """A recording in progress. A context manager, which closes it. It may be closed before its ports or after them."""

    def __init__(self, path: str | PathLike[str] | int) -> None:
        """Begin a new file, or write to a descriptor, which is closed at the end. Raises OSError.

        Nobody waits for who reads from a descriptor: packets that it has no room for are lost, and counted. Its outer
        interface has no copies of frames that have no outer header.
        """
        self._open = True
        if isinstance(path, int):
            os.set_blocking(path, False)
            self.handle = RecorderHandle(path)
            self.handle.live()
        else:
            self.handle = RecorderHandle(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))

    @property
    def lost(self) -> int:
        """Frames that a descriptor had no room for."""
        return self.handle.lost(outer=False)

    @property
    def outer_lost(self) -> int:
        """Outer packets that it had no room for; of each, the frame may be there."""
        return self.handle.lost(outer=True)

    def add(self, port: Port, name: str = "") -> None:
        """Record this port, too, under `name`: the string's vecN where none is given.

        Raises PortError while a loop or another thread moves the port's frames.
        """
        with port.quiet("begin to record before that"):
            self.handle.add(port.handle, name or port.device.ifname, str(port.device))

    def flush(self) -> None:
        """Write what is not written yet, for a reader of the unfinished file. Raises OSError."""
        self.handle.flush()

    @property
    def is_open(self) -> bool:
        return self._open

    def close(self) -> None:
        """Write the rest, with each port's counters. Raises OSError where anything could not be written, ever."""
        self._open = False
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
    """Send the Ethernet frames of a pcap or pcapng file; return how many left.

    - `interface`: those of this one alone, by number or name; None is the file's first one with Ethernet
      frames, and of a recording of a port the inner one. Of captures that were joined it is each one's.
    - `direction`: "in" or "out" sends only those that the file says went that way.
    - `speed`: 1 keeps the pace of the capture, 2 doubles it; None is as fast as they are taken.

    How many left is what the kernel took: a frame that it refuses (too long, say) is not among them, and is counted
    under its cause in the port's `stats`. Frames that were dropped when they were recorded are not sent. With
    offload="raw" each frame gets an empty virtio-net header.

    Raises CaptureIncomplete after all has been sent that is whole, where a capture cut frames short or is damaged;
    InputError where there are no such frames, the file is no capture, or an argument makes no sense; PortError; and
    OSError where the file cannot be read.
    """
    if speed is not None and not speed > 0:
        raise InputError(f"speed={speed!r}", "1 keeps the pace, 2 doubles it, None is as fast as possible")
    if direction not in ("", "in", "out"):
        raise InputError(f"direction={direction!r} is neither 'in' nor 'out', nor '' for both")
    chosen = _Chosen(path, interface, direction)
    header = bytes(VNET_HEADER) if port.offload == "raw" else b""
    sent = 0
    batch: list[bytes] = []
    began: tuple[int, float] | None = None

    def flush() -> None:
        nonlocal sent
        with port.sending:  # what others send meanwhile is not ours
            before = port.stats["tx_frames"]
            port.send(batch)
            sent += port.stats["tx_frames"] - before
        batch.clear()

    for packet in chosen.packets():
        if speed is not None:
            if began is None or packet.time < began[0]:  # another file, joined to the first
                began = packet.time, time.monotonic()
            due = began[1] + (packet.time - began[0]) / 1e9 / speed
            if due > time.monotonic():
                flush()
                time.sleep(max(0, due - time.monotonic()))
        batch.append(header + packet.data)
        if len(batch) >= port.depth:
            flush()
    flush()
    chosen.check(sent)
    return sent


class _Chosen:
    """The frames of a capture that are to be sent, and what was met beside them."""

    def __init__(self, path: str | PathLike[str], interface: int | str | None, direction: str) -> None:
        self._path, self._interface, self._direction = path, interface, direction
        self._taken = 0
        self._cut = 0  # frames that were captured in part
        self._left_out: list[Problem] = []
        self._interfaces: dict[int, tuple[str, int]] = {}  # number: name and link type of what is in the file
        self._firsts: dict[int, int] = {}  # of each section the interface that is sent, unless one was asked for

    def packets(self) -> Iterator[Captured]:
        try:
            for packet in read_packets(self._path):
                if isinstance(packet, Unread):
                    self._left_out.append(Problem(f"{self._path}: {packet.reason}"))
                elif self._fits(packet):
                    self._cut += not packet.whole
                    if packet.whole:
                        self._taken += 1
                        yield packet
        except InputError as error:
            if not self._interfaces:
                raise
            self._left_out += error.problems

    def _fits(self, packet: Captured) -> bool:
        number, name = packet.interface, packet.interface_name
        self._interfaces[number] = name, packet.link_type
        if packet.link_type != ETHERNET or packet.comment.startswith("dropped: "):
            return False
        if self._direction not in ("", packet.direction):
            return False
        if self._interface is not None:
            return self._interface in (number, name)
        return not name.endswith(OUTER) and self._firsts.setdefault(packet.section, number) == number

    def check(self, sent: int) -> None:
        """Raise what is to be said once all is sent."""
        problems = [*self._left_out]
        if self._cut:
            problems.insert(
                0,
                Problem(
                    f"{self._path}: {self._cut} frames were cut short when they were captured, and are left out",
                    "capture whole ones: tcpdump -s 0",
                ),
            )
        if problems:
            count = f"{sent} frames were sent, all that are whole" if self._taken else "no frame was sent"
            raise CaptureIncomplete([*problems, Problem(f"{self._path}: {count}")], sent)
        if not self._taken:
            raise InputError(*self._nothing())

    def _nothing(self) -> tuple[str, str]:
        message = f"{self._path}: no such Ethernet frames are in it"
        others = {link for _, link in self._interfaces.values()}
        if not others:
            return f"{message}: it has no packets at all", ""
        if ETHERNET not in others:
            what = ", ".join(f"its packets are {link_type_name(link)}" for link in sorted(others))
            instead = "capture on one interface: tcpdump -i eth0" if others & set(COOKED) else "capture Ethernet frames"
            return f"{message}: {what}", instead
        there = ", ".join(f"{number} {name!r}" for number, (name, _) in sorted(self._interfaces.items()))
        return message, f"choose among its interfaces ({there}) and directions"
