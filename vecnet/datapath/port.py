"""A port: an opened vec string, which sends and receives Ethernet frames as the guest's NIC would.

Threads. One thread receives while another sends; a third may close at any moment: calls in progress then raise
PortClosed, and the descriptors are closed once they have returned. Several receivers, or senders, take turns.
A fork may use and close its copy of a port; the parent's stays open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self, overload

from vecnet.datapath import native
from vecnet.errors import PortClosed, PortError
from vecnet.transports import Transport
from vecnet.vecstring import VecDevice, parse

Frame = bytes | bytearray | memoryview
FOREVER = threading.TIMEOUT_MAX / 2  # seconds
_PATIENCE = 1.0  # seconds that calls in progress have to end before somebody else is let in
Role = Literal["guest", "switch"]
Offload = Literal["software", "raw"]


def open_port(
    device: VecDevice | str,
    *,
    role: Role = "guest",
    offload: Offload = "software",
    strict_source: bool = False,
    keep_truncated: bool = False,
    restore_vlan: bool = True,
) -> Port:
    """Open a vec string, or the device that was parsed from one, as a guest would.

    - `role`: "switch" plays a bess transport's other end: it listens at `dst` and serves one guest at a time.
    - `offload`: "software" hands out frames as they would be on a wire: large frames are cut, checksums filled in.
      "raw" keeps them whole, each with its virtio-net header of 10 bytes before it, on receive and send alike.
    - `strict_source`: drop what does not come from `dst`; a guest takes packets from anywhere.
    - `keep_truncated`: hand out frames that were cut short, as a guest does, instead of dropping them.
    - `restore_vlan`: put VLAN tags back that the kernel took out of a frame; a guest loses them.

    Raises VecStringError where no guest would take the string, and PortError, whose kinds say what is missing.
    Source: HOWTO, "Network configuration"; arch/um/drivers/vector_user.c.
    """
    return Port(
        parse(device) if isinstance(device, str) else device,
        role=role,
        offload=offload,
        strict_source=strict_source,
        keep_truncated=keep_truncated,
        restore_vlan=restore_vlan,
    )


class Port:
    """An opened vec string; see `open_port`. A context manager, which closes."""

    def __init__(
        self,
        device: VecDevice,
        *,
        role: Role = "guest",
        offload: Offload = "software",
        strict_source: bool = False,
        keep_truncated: bool = False,
        restore_vlan: bool = True,
    ) -> None:
        if role not in ("guest", "switch"):
            raise PortError(f"the role {role!r} is neither 'guest' nor 'switch'")
        if offload not in ("software", "raw"):
            raise PortError(f"offload={offload!r} is neither 'software' nor 'raw'")
        flags = native.SWITCH * (role == "switch") | native.RAW_OFFLOAD * (offload == "raw")
        flags |= native.STRICT_SOURCE * strict_source | native.KEEP_TRUNCATED * keep_truncated
        flags |= native.VLAN_AS_GUEST * (not restore_vlan)
        self._make_locks()
        self._last: dict[str, int] | None = None  # the counters of a closed port
        self.closers: set[Callable[[], None]] = set()  # are called, in any thread, when the port has been closed
        self.device, self.offload = device, offload
        self.handle = native.Handle(device.transport.name, texts(device.transport), flags)
        native.keep(self)

    def _make_locks(self) -> None:
        """All reentrant: a signal's handler may close."""
        self.receiving = threading.RLock()  # held while frames are received
        self.sending = threading.RLock()
        self._closing = threading.RLock()

    def forked(self) -> None:
        """In a fork, by itself: the threads that held the locks are not there, and closing is this copy's alone."""
        self._make_locks()
        if not self.closed:
            self.handle.forked()

    @property
    def depth(self) -> int:
        """Packets per system call."""
        return self.handle.depth

    @property
    def closed(self) -> bool:
        return self._last is not None

    @overload
    def recv(
        self, timeout: float | None = None, *, most: int | None = None, copy: Literal[True] = True
    ) -> list[bytes]: ...
    @overload
    def recv(
        self, timeout: float | None = None, *, most: int | None = None, copy: Literal[False]
    ) -> list[memoryview]: ...

    def recv(
        self, timeout: float | None = None, *, most: int | None = None, copy: bool = True
    ) -> list[bytes] | list[memoryview]:
        """Frames that have arrived, at most `most` (`depth`); waits `timeout` seconds for the first, None for ever.

        [] when none came in time; a negative timeout is 0. With `copy=False` frames are views of the port's memory:
        nothing is copied, and the next `recv` overwrites them. Raises PortClosed, and PortError where the wire is gone.
        """
        if most is not None and most < 1:
            raise PortError(f"most={most!r}: a call hands out one frame at the least")
        timeout, deadline = _until(timeout)
        with taken(self.receiving, timeout) as mine:
            frames: list[bytes] | list[memoryview] | None = None if mine else []
            while frames is None:
                frames = self.handle.receive(self.depth if most is None else most, _left(timeout, deadline), copy)
            return frames

    def send(self, frames: Frame | Iterable[Frame], timeout: float | None = None) -> int:
        """Send a frame, or frames; waits up to `timeout` seconds, None for ever, while the queue is full.

        How many were taken from the front. A frame that the kernel refuses (too long, say) counts as taken and is
        counted under its cause in `stats`. Raises PortClosed, and PortError where the wire is gone.
        """
        queue: Sequence[Frame] = [frames] if isinstance(frames, Frame) else list(frames)
        timeout, deadline = _until(timeout)
        done = 0
        with taken(self.sending, timeout) as mine:
            while mine and done < len(queue):
                rest = queue[done:]
                left = _left(timeout, deadline)
                sent = self.handle.send(bytearray().join(rest), _lengths(rest), left)
                done += sent or 0
                if sent is not None and deadline is not None and time.monotonic() >= deadline:
                    break
        return done

    def __aiter__(self) -> AsyncGenerator[list[bytes], None]:
        """`async for frames in port`: batches as they come, until the port is closed. Raises PortError."""
        from vecnet.datapath.awaiting import batches

        return batches(self)

    async def asend(self, frames: Frame | Iterable[Frame]) -> None:
        """`send` of all frames in asyncio, however long the queue is full. Raises PortClosed, and PortError.

        When it is cancelled, it is not known how many were sent.
        """
        from vecnet.datapath.awaiting import send

        await send(self.send, [frames] if isinstance(frames, Frame) else list(frames))

    def withdraw(self) -> None:
        """Take away the path that it is bound to, so that nobody else connects and nothing is left if this process is
        killed. What is connected stays so. Of most transports there is none. Raises PortClosed.
        """
        with self._closing:
            if self.closed:
                raise PortClosed("the port is closed")
            self.handle.withdraw()

    @contextmanager
    def quiet(self, instead: str) -> Iterator[None]:
        """Nobody moves the port's frames within the block. Raises PortError where that cannot be had in a second."""
        with taken(self.receiving, _PATIENCE) as receives, taken(self.sending, _PATIENCE) as sends:
            if not (receives and sends):
                raise PortError("a loop or another thread moves the port's frames", instead)
            yield

    def surrender(self) -> native.Handle:
        """Hand the opened port over to a switch, which is to close it: for this object it is closed.

        Raises PortClosed, and PortError while a loop or another thread moves its frames.
        """
        with self.quiet("stop that before a switch takes the port"), self._closing:
            if self._last is not None:
                raise PortClosed("the port is closed")
            self._last = self.handle.counters()
            handle, self.handle = self.handle, native.Surrendered()
            for tell in tuple(self.closers):
                tell()
        return handle

    @property
    def stats(self) -> dict[str, int]:
        """Every counter by its name; `rx_drop_…` and `tx_drop_…` are drops by their cause.

        The names that `ethtool -S` shows in a guest are there too. They stay readable after closing.
        """
        with self._closing:
            counters = self._last or self.handle.counters()
        return counters | _as_guest(counters)

    def fileno(self) -> int:
        """Readable when frames may be waiting: for select and the like; asyncio has `async for`. Raises PortClosed.

        One `recv` may take less than what has arrived, so go on with `recv(0)` until it returns [].
        """
        if self.closed:
            raise PortClosed("the port is closed")
        return self.handle.fileno()

    def close(self) -> None:
        """Stop whatever is in progress and close the descriptors. Closing again does nothing."""
        with self._closing:
            if not self.closed:  # its descriptors are not somebody else's by now
                self.handle.stop()
        with self.receiving, self.sending, self._closing:
            if self._last is None:
                self._last = self.handle.counters()
                self.handle.close()
                for tell in tuple(self.closers):
                    tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Port {self.device}{' closed' if self.closed else ''}>"


@contextmanager
def taken(lock: threading.RLock, timeout: float | None) -> Iterator[bool]:
    """Hold the lock, if it could be had in time; whether it could."""
    mine = lock.acquire(timeout=-1 if timeout is None else timeout)
    try:
        yield mine
    finally:
        if mine:
            lock.release()


def _until(timeout: float | None) -> tuple[float | None, float | None]:
    """The timeout as a clock can count it, and its end. What is longer than centuries is for ever."""
    if timeout is None or timeout >= FOREVER:
        return None, None
    if timeout != timeout:
        raise PortError("timeout=nan is no time; give seconds, or None for ever")
    timeout = max(0, timeout)
    return timeout, time.monotonic() + timeout


def _left(timeout: float | None, deadline: float | None) -> int:
    """Nanoseconds until the deadline, -1 for ever."""
    if timeout is None or deadline is None:
        return -1
    return max(0, int((deadline - time.monotonic()) * 1e9))


def _lengths(frames: Sequence[Frame]) -> list[int]:
    """Bytes of each frame. Of anything but bytes, len() may count elements."""
    if set(map(type, frames)) <= {bytes, bytearray}:
        return list(map(len, frames))
    return [memoryview(frame).nbytes for frame in frames]


def texts(transport: Transport) -> dict[str, str]:
    """The options as C reads them: numbers unsigned, flags 0 or 1, what is not given left out."""
    values = {key: getattr(transport, key) for key in transport.options()}
    return {key: str(int(v) if isinstance(v, bool) else v) for key, v in values.items() if v is not None}


def _as_guest(counters: dict[str, int]) -> dict[str, int]:
    """The names of a guest's `ethtool -S`, arch/um/drivers/vector_kern.c, as far as a port has the like."""
    encaps = ("flags", "key", "cookie", "session")
    return {
        "rx_queue_max": counters["rx_batch_max"],
        "rx_queue_running_average": counters["rx_batch_average"],
        "tx_queue_max": counters["tx_batch_max"],
        "tx_queue_running_average": counters["tx_batch_average"],
        "rx_encaps_errors": sum(counters[f"rx_drop_{cause}"] for cause in encaps),
        "tx_timeout_count": 0,
        "tx_restart_queue": counters["tx_queue_ready"],
        "tx_kicks": counters["tx_calls"],
        "tx_flow_control_xon": counters["tx_queue_ready"],
        "tx_flow_control_xoff": counters["tx_queue_full"],
        "rx_csum_offload_good": counters["rx_data_valid"] + counters["rx_checksums"],
        "rx_csum_offload_errors": counters["rx_drop_checksum"],
        "sg_ok": 0,
        "sg_linearized": 0,
    }
