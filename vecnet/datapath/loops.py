"""Loops that move frames in C, each in a thread of its own, without Python's lock.

    with open_port(one) as a, open_port(other) as b:
        seen = drain(b, count=1_000_000)
        generate(a, count=1_000_000, follow=seen).wait()
        assert seen.wait()["lost"] == 0

A loop ends when it has moved `count` frames, after `seconds`, by `stop`, or with its port or its wire.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from vecnet.datapath.native import LARGEST_FRAME, NUMBERED_HEADER, LoopHandle
from vecnet.datapath.port import FOREVER, Port
from vecnet.errors import PortError

SMALLEST, LARGEST = NUMBERED_HEADER, LARGEST_FRAME  # bytes of a generated frame
_TURN = 0.05  # seconds between two looks of a loop that waits for another to leave its port
_TARGET, _SOURCE = "02:00:00:00:00:02", "02:00:00:00:00:01"  # locally administered addresses, IEEE 802


class Loop:
    """A running loop. A context manager, which stops it.

    Where another loop or a call has the port's frames, it waits for its turn.

    `stats` may be read at any moment: `frames` and `bytes` moved, and of a drain besides: `lost`, `doubled`,
    `reordered`, `changed` (not what was generated) and `foreign` (not generated, or of another stream).
    """

    def __init__(self, name: str, handle: LoopHandle, run: Callable[[], None], locks: list[threading.RLock]) -> None:
        self.handle = handle
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, args=(run, locks), name=f"vecnet {name}", daemon=True)
        self._thread.start()

    def _work(self, run: Callable[[], None], locks: list[threading.RLock]) -> None:
        try:
            with ExitStack() as held:
                for lock in locks:
                    while not lock.acquire(timeout=_TURN):
                        if self._stopped:
                            return
                    held.callback(lock.release)
                run()
        except BaseException as error:
            self._error = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stats(self) -> dict[str, int]:
        return self.handle.counters()

    @property
    def moments(self) -> list[int]:
        """When the frames passed that it was to keep the moments of, once it has ended: nanoseconds of
        `time.monotonic_ns`, 0 for one that did not. Frames of one system call have one moment."""
        if self.running:
            raise PortError("a loop that runs is still writing its moments", "wait for it first")
        return self.handle.moments()

    def stop(self) -> None:
        """End the loop soon, from any thread. `wait` tells when it has ended."""
        self._stopped = True
        self.handle.stop()

    def wait(self, timeout: float | None = None) -> dict[str, int]:
        """Wait until the loop has ended, and return its counters.

        Raises TimeoutError where it goes on after `timeout` seconds, PortClosed where its port was closed, and
        PortError where the wire is gone.
        """
        self._thread.join(timeout)
        if self.running:
            raise TimeoutError(f"the loop still runs after {timeout} seconds: {self.stats}")
        if self._error is not None:
            raise self._error
        return self.stats

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()


def generate(
    port: Port,
    *,
    count: int | None = None,
    seconds: float | None = None,
    size: int | tuple[int, int] = 60,
    rate: float | None = None,
    follow: Loop | None = None,
    window: int = 256,
    stream: int = 0,
    target: str = _TARGET,
    source: str = _SOURCE,
    moments: tuple[int, int] = (0, 0),
) -> Loop:
    """Send numbered frames that `drain` recognizes.

    - `size`: bytes of each frame without its checksum, 34 to 65550, or the smallest and the largest of mixed sizes.
    - `rate`: frames a second at the most.
    - `follow`: a drain of this process; never be more than `window` frames ahead of it, so that no queue overflows.
    - `stream`: 32 bits that tell one generator's frames from another's.
    - `target`, `source`: Ethernet addresses. The Ethertype is 0x88b5, the IEEE's for local experiments.
    - `moments`: `(every, most)` keeps when each of the frames 0, every, 2 * every, … was handed out, of so many at the
      most. With those of the `drain`, which are when it came, they tell how long it was on its way.

    Raises PortError where the numbers make no sense.
    """
    smallest, largest = (size, size) if isinstance(size, int) else size
    if not SMALLEST <= smallest <= largest <= LARGEST:
        raise PortError(f"size={size!r}: a generated frame has {SMALLEST} to {LARGEST} bytes")
    if rate is not None and not 1 <= rate < 2**63:
        raise PortError(f"rate={rate!r}: a generator sends one frame a second at the least; None is without a limit")
    if not 1 <= window < 2**64:
        raise PortError(f"window={window!r}: fewer than 1 let no frame out, and a number has 64 bits")
    pattern = {
        "label": [_mac(target), _mac(source), _stream(stream), 0],
        "smallest": smallest,
        "largest": largest,
        "rate": round(rate or 0),
        "window": window,
    }
    handle = _handle(moments)
    followed = follow.handle if follow else None
    limit = _limit(count, seconds)
    return Loop("generate", handle, lambda: handle.generate(port.handle, limit, pattern, followed), [port.sending])


def drain(
    port: Port,
    *,
    count: int | None = None,
    seconds: float | None = None,
    stream: int = 0,
    moments: tuple[int, int] = (0, 0),
) -> Loop:
    """Receive what `generate` sends elsewhere, and check order and content. Other frames do not count.

    `moments` as for `generate`. Raises PortError where the numbers make no sense, as every loop does.
    """
    handle, limit, number = _handle(moments), _limit(count, seconds), _stream(stream)
    return Loop("drain", handle, lambda: handle.drain(port.handle, limit, number), [port.receiving])


def reflect(port: Port, *, count: int | None = None, seconds: float | None = None) -> Loop:
    """Send back whatever comes, its Ethernet addresses swapped. Large frames of a virtio-net port stay whole."""
    handle, limit = LoopHandle(), _limit(count, seconds)
    return Loop("reflect", handle, lambda: handle.reflect(port.handle, limit), [port.receiving, port.sending])


def forward(port: Port, to: Port, *, count: int | None = None, seconds: float | None = None) -> Loop:
    """Send to one port what comes from another; a second loop does the way back.

    Between two virtio-net ports (tap, hybrid, raw) large frames stay whole; toward any other they are cut.
    """
    handle, limit = LoopHandle(), _limit(count, seconds)
    run = lambda: handle.forward(port.handle, to.handle, limit)  # noqa: E731
    return Loop("forward", handle, run, [port.receiving, to.sending])


def _handle(moments: tuple[int, int]) -> LoopHandle:
    every, most = moments
    if not (0 <= every < 2**63 and 0 <= most < 2**24):
        raise PortError(
            f"moments={moments!r}: give every how many frames, and at most 16777215 of them; (0, 0) is none"
        )
    return LoopHandle(every, most)


def _limit(count: int | None, seconds: float | None) -> tuple[int, int]:
    if count is not None and not (isinstance(count, int) and 1 <= count < 2**64):
        raise PortError(f"count={count!r}: a loop moves one frame at the least; None is without end")
    if seconds is not None and seconds != seconds:
        raise PortError("seconds=nan is no time; None is without end")
    return count or 0, -1 if seconds is None or seconds >= FOREVER else int(max(0, seconds) * 1e9)


def _stream(number: int) -> int:
    if not 0 <= number < 2**32:
        raise PortError(f"stream={number!r}: it has 32 bits")
    return number


def _mac(text: str) -> bytes:
    try:
        address = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != 6:
        raise PortError(f"{text!r} is no Ethernet address; write 02:00:00:00:00:01")
    return address
