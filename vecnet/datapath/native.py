"""The one door to the compiled module: what C answers becomes Python values, its -errno becomes our exceptions.

`Handle` is one opened port of C without any locking; `vecnet.datapath.port` is what people use.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Never, Protocol

from vecnet.errors import PortClosed, PortError, ResourceMissing

try:
    from vecnet._native import ffi, lib
except ImportError as error:  # pragma: no cover - a tree that was never built
    raise PortError(
        f"vecnet's compiled module cannot be loaded ({error}); build it with: pip install -e . (it needs a C compiler)"
    ) from error

from vecnet.datapath import failures

SWITCH: int = lib.VN_SWITCH
STRICT_SOURCE: int = lib.VN_STRICT_SOURCE
KEEP_TRUNCATED: int = lib.VN_KEEP_TRUNCATED
VLAN_AS_GUEST: int = lib.VN_VLAN_AS_GUEST
RAW_OFFLOAD: int = lib.VN_RAW_OFFLOAD
UNOPENED: int = lib.VN_UNOPENED

LARGEST_FRAME: int = lib.VN_LARGE  # bytes: the largest IP packet in an Ethernet frame
_SAID = 1000  # bytes that are told of what a program says
NUMBERED_HEADER: int = lib.VN_NUMBERED_HEADER  # bytes before a numbered frame's content


def text(chars: Any) -> str:
    text: str = ffi.string(chars).decode(errors="replace")
    return text


COUNTERS: tuple[str, ...] = tuple(text(lib.vn_counter_name(index)) for index in range(lib.VN_COUNTERS))
LOOP_COUNTERS: tuple[str, ...] = tuple(text(lib.vn_loop_counter_name(index)) for index in range(lib.VN_LOOP_COUNTERS))
TRANSPORTS: tuple[str, ...] = tuple(text(lib.vn_transport_name(index)) for index in range(lib.vn_transport_count()))


def counter_meanings() -> dict[str, str]:
    """What each of a port's counters counts, in words: "packets with another key"."""
    return {name: text(lib.vn_counter_meaning(index)) for index, name in enumerate(COUNTERS)}


_HELD: weakref.WeakSet[Forkable] = weakref.WeakSet()


class Forkable(Protocol):
    """What shares descriptors with a fork's copy of it."""

    def forked(self) -> None:
        """In the fork: stopping and closing shall no longer concern the parent's."""


def keep(one: Forkable) -> None:
    """Tell this one, for as long as it is there, of every fork."""
    _HELD.add(one)


def _forked() -> None:
    for one in list(_HELD):
        one.forked()


os.register_at_fork(after_in_child=_forked)


class Handle:
    """A port of C. One thread may receive and another send; `stop` may come from any. Nanoseconds; -1 is for ever.

    Freed with its last reference, memoryviews of `memory` included, so that no view outlives what it shows.
    """

    def __init__(self, transport: str, options: Mapping[str, str], flags: int) -> None:
        """Open `transport` as a guest does. Raises PortError."""
        texts = [(ffi.new("char[]", key.encode()), ffi.new("char[]", value.encode())) for key, value in options.items()]
        listed = ffi.new("struct vn_option[]", texts)
        out = ffi.new("struct vn_port **")
        failure = ffi.new("struct vn_failure *")
        result = lib.vn_port_open(transport.encode(), listed, len(texts), flags, out, failure)
        if result < 0:
            raise _opening(transport, -result, failure)
        self.port: Any = ffi.gc(out[0], lib.vn_port_free)
        self.recorder: RecorderHandle | None = None  # kept, for C points to it
        if (result := lib.vn_port_ready(self.port, failure)) < 0:
            self.close()
            raise _opening(transport, -result, failure)
        self.depth: int = lib.vn_port_depth(self.port)
        size = lib.vn_port_memory_size(self.port)
        kept = self.port
        start = ffi.gc(lib.vn_port_memory(self.port), lambda _: kept and None)  # a view keeps the port alive
        self._buffer: Any = ffi.buffer(start, size)  # its slices are bytes, and a third faster than copies of views
        self.memory = memoryview(self._buffer)
        self._frames = ffi.new("struct vn_frame[]", max(self.depth, 64))
        self._pairs = ffi.cast("uint32_t *", self._frames)  # … as numbers, which are read all at once
        self._most = max(self.depth, 64)

    def receive(self, most: int, timeout: int, copy: bool) -> list[bytes] | list[memoryview] | None:
        """Up to `most` frames, or views that the next call overwrites; [] after the timeout, None after a signal."""
        got = lib.vn_recv(self.port, self._frames, min(most, self._most), timeout)
        if got < 0:
            if got == -errno.EINTR:
                return None
            raise failures.moving(-got, self.said())
        pairs, memory = ffi.unpack(self._pairs, 2 * got), self._buffer if copy else self.memory
        return [memory[at : at + length] for at, length in zip(pairs[::2], pairs[1::2], strict=True)]

    def send(self, data: bytearray, lengths: Sequence[int], timeout: int) -> int | None:
        """Send the frames that lie one after another in `data`, which may be written to.

        How many were taken; None after a signal before any.
        """
        sent: int = lib.vn_send(self.port, ffi.from_buffer(data), ffi.new("uint32_t[]", lengths), len(lengths), timeout)
        if sent < 0:
            if sent == -errno.EINTR:
                return None
            raise failures.moving(-sent, self.said())
        return sent

    def withdraw(self) -> None:
        lib.vn_port_withdraw(self.port)

    def said(self) -> str:
        """What a program at the other end has said so far."""
        said = bytearray(_SAID)
        size: int = lib.vn_port_said(self.port, ffi.from_buffer("uint8_t[]", said), len(said))
        return said[:size].decode(errors="replace")

    def fileno(self) -> int:
        descriptor: int = lib.vn_port_fileno(self.port)
        return descriptor

    def counters(self) -> dict[str, int]:
        return {name: lib.vn_port_counter(self.port, index) for index, name in enumerate(COUNTERS)}

    def stop(self) -> None:
        """Calls in progress, and all later ones, raise PortClosed."""
        lib.vn_port_stop(self.port)

    def close(self) -> None:
        """Close the descriptors; no call may be in progress."""
        lib.vn_port_close(self.port)

    def forked(self) -> None:
        lib.vn_port_forked(self.port)


class Surrendered(Handle):
    """What a port has left of its handle once a switch has taken it over: whatever is asked of it, it is closed."""

    def __init__(self) -> None:
        pass

    def __getattr__(self, name: str) -> Never:
        raise PortClosed("the port belongs to a switch now")


class RecorderHandle:
    """A pcapng file that C writes to, from any thread. It keeps its ports, and each port keeps it."""

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor over."""
        recorder = lib.vn_recorder_new(descriptor)
        if not recorder:
            os.close(descriptor)
            raise MemoryError("a recorder")
        self.recorder: Any = ffi.gc(recorder, lib.vn_recorder_free)
        self._ports: list[Handle] = []
        keep(self)

    def add(self, port: Handle, name: str, description: str) -> None:
        """No call on the port may be in progress."""
        self.check_added(lib.vn_recorder_add(self.recorder, port.port, name.encode(), description.encode()))
        port.recorder = self
        self._ports.append(port)

    @staticmethod
    def check_added(result: int) -> None:
        """Raises PortError."""
        if result == -errno.EEXIST:
            raise PortError("the port is recorded there already")
        if result == -errno.EBADF:
            raise PortError("the recording is closed; begin another one")
        if result == -errno.ENOSPC:
            raise PortError("one file records 64 ports at the most; begin another one for the rest")
        if result < 0:
            raise PortError(f"the port cannot be recorded: {os.strerror(-result)}")

    def flush(self) -> None:
        """Raises OSError."""
        self._check(lib.vn_recorder_flush(self.recorder))

    def live(self) -> None:
        """Of a new one, whose descriptor does not block: packets that it does not take are lost."""
        lib.vn_recorder_live(self.recorder)

    def lost(self, outer: bool) -> int:
        count: int = lib.vn_recorder_lost(self.recorder, outer)
        return count

    def close(self) -> None:
        """Raises OSError where something could not be written, in all the time."""
        self._check(lib.vn_recorder_close(self.recorder))

    def forked(self) -> None:
        lib.vn_recorder_forked(self.recorder)

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            raise OSError(-result, os.strerror(-result))


class CaptureHandle:
    """A capture of an interface: what a packet socket hears goes to a descriptor. For one thread."""

    BATCH = 64  # packets of one `read`; fewer, and none waits

    def __init__(self, socket: int, descriptor: int, name: str, description: str) -> None:
        """Take the descriptor over, and not the socket."""
        capture = lib.vn_capture_new(socket, descriptor, name.encode(), description.encode())
        if not capture:
            os.close(descriptor)
            raise MemoryError("a capture")
        self._capture: Any = ffi.gc(capture, lib.vn_capture_free)

    def unwrap(self, ends: Sequence[Handle], every: bool, name: str) -> None:
        """Of a new one: write the frames of a tunnel whose packets the interface carries.

        And those packets, which were dropped or `every` one, as an interface of that name. `ends` are UNOPENED: the
        one that "in" and "out" are meant of, the other one, and those of other tunnels, whose packets are left out.
        """
        self._ends = ends  # kept, for C points to them
        listed = ffi.new("struct vn_port *[]", [end.port for end in ends])
        self._checked(lib.vn_capture_unwrap(self._capture, listed, len(ends), every, name.encode()))

    def drops(self) -> dict[str, int]:
        """Packets that the tunnel's ends have dropped, by the counter's name."""
        found = {name: lib.vn_capture_drops(self._capture, index) for index, name in enumerate(COUNTERS)}
        return {name: count for name, count in found.items() if count}

    @property
    def fragments(self) -> int:
        """Packets of the tunnel that came in pieces, into which nobody has looked."""
        count: int = lib.vn_capture_fragments(self._capture)
        return count

    def read(self) -> int:
        """Write what waits: how many packets. Raises OSError, of the socket or of the descriptor."""
        return self._checked(lib.vn_capture_read(self._capture))

    def flush(self) -> None:
        """Raises OSError."""
        self._checked(lib.vn_capture_flush(self._capture))

    def close(self, lost: int) -> None:
        """End it, with what the kernel lost. Raises OSError where not all could be written."""
        self._checked(lib.vn_capture_close(self._capture, lost))

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result


def whole_packets(data: memoryview, most: int) -> tuple[int, int]:
    """How many bytes of pcapng the packets' blocks have that `data` begins with, `most` at most; and how many of these
    packets are of an interface with an even number."""
    inner = ffi.new("uint64_t *")
    size: int = lib.vn_pcapng_packets(ffi.from_buffer("uint8_t[]", data), len(data), most, inner)
    return size, inner[0]


class LoopHandle:
    """One run of a loop of C; its counters may be read, and it may be stopped, from any thread meanwhile.

    The limit is a number of frames, 0 for any, and nanoseconds, -1 for ever. Each of the runs raises PortError.
    """

    def __init__(self, every: int = 0, kept: int = 0) -> None:
        """With `every`: of so many frames one has its moment kept, of `kept` frames in all."""
        loop = lib.vn_loop_new()
        if not loop:
            raise ResourceMissing("no descriptor is left for a loop", "raise the limit with: ulimit -n")
        self.loop: Any = ffi.gc(loop, lib.vn_loop_free)
        self._kept = kept if every else 0
        if self._kept and lib.vn_loop_clock(self.loop, every, kept) < 0:
            raise MemoryError("a loop's moments")
        keep(self)

    def counters(self) -> dict[str, int]:
        return {name: lib.vn_loop_counter(self.loop, index) for index, name in enumerate(LOOP_COUNTERS)}

    def moments(self) -> list[int]:
        """Nanoseconds on the monotonic clock, 0 for a frame that did not pass. Of a run that has ended."""
        return list(ffi.unpack(lib.vn_loop_moments(self.loop), self._kept)) if self._kept else []

    def stop(self) -> None:
        lib.vn_loop_stop(self.loop)

    def forked(self) -> None:
        lib.vn_loop_forked(self.loop)

    def generate(
        self, port: Handle, limit: tuple[int, int], pattern: Mapping[str, object], followed: LoopHandle | None
    ) -> None:
        _check(
            lib.vn_generate(
                self.loop,
                port.port,
                ffi.new("struct vn_limit *", limit),
                ffi.new("struct vn_pattern *", dict(pattern)),
                followed.loop if followed else ffi.NULL,
            ),
            port,
        )

    def drain(self, port: Handle, limit: tuple[int, int], stream: int) -> None:
        _check(lib.vn_drain(self.loop, port.port, ffi.new("struct vn_limit *", limit), stream), port)

    def reflect(self, port: Handle, limit: tuple[int, int]) -> None:
        _check(lib.vn_reflect(self.loop, port.port, ffi.new("struct vn_limit *", limit)), port)

    def forward(self, port: Handle, to: Handle, limit: tuple[int, int]) -> None:
        _check(lib.vn_forward(self.loop, port.port, to.port, ffi.new("struct vn_limit *", limit)), port, to)

    def pump(self, stream: int, packets: int) -> None:
        """Until it is stopped, or either end closes. Raises PortError where the stream cannot be read any more."""
        result: int = lib.vn_pump(self.loop, stream, packets)
        if result not in (0, -errno.EPIPE, -errno.ECONNRESET):
            raise PortError(f"a program's stream of frames cannot be read on: {os.strerror(-result)}")


def _check(result: int, *ports: Handle) -> None:
    if result < 0:
        raise failures.moving(-result, "".join(port.said() for port in ports))


def _opening(transport: str, number: int, failure: Any) -> PortError:
    error = failures.opening(transport, failure.step, text(failure.detail), number, TRANSPORTS)
    error.__cause__ = OSError(number, os.strerror(number))
    return error


# ---- numbered frames: the same format for loops in C and for who judges in Python, see _native/numbered.c ----


class Numbering:
    """The numbered frames of one stream between two addresses, made and judged. For one thread: it keeps C's memory."""

    def __init__(self, target: bytes, source: bytes, stream: int) -> None:
        self._addresses, self._stream = target + source, stream
        self._label = ffi.new("struct vn_label *", [target, source, stream, 0])
        self._found = ffi.new("struct vn_label *")

    def make(self, number: int, length: int) -> bytes:
        """A frame of `length` bytes: NUMBERED_HEADER to LARGEST_FRAME."""
        if not NUMBERED_HEADER <= length <= LARGEST_FRAME:
            raise PortError(f"a numbered frame has {NUMBERED_HEADER} to {LARGEST_FRAME} bytes, not {length}")
        frame = bytearray(length)
        self._label.number = number
        lib.vn_numbered_make(self._label, ffi.from_buffer(frame), length)
        return bytes(frame)

    def judge(self, frame: bytes) -> tuple[int, bool] | None:
        """A frame's number, and whether it is as it was made; None where it is none of this stream."""
        found = self._found
        verdict = lib.vn_numbered_judge(frame, len(frame), found)
        if verdict == lib.VN_NUMBERED_FOREIGN or found.stream != self._stream:
            return None
        return found.number, verdict == lib.VN_NUMBERED_WHOLE and frame.startswith(self._addresses)
