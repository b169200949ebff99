"""A port in asyncio, without a thread as long as its queue has room.

async for frames in port:          # batches, until the port is closed
    await port.asend(frames)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol, TypeVar

from vecnet.errors import PortClosed

T = TypeVar("T")
_SLICE = 0.2  # seconds that a thread waits for a full queue, before it looks whether anybody still waits for it


class Waiting(Protocol):
    """Whose frames are waited for: a port."""

    closers: set[Callable[[], None]]

    @property
    def closed(self) -> bool: ...
    def fileno(self) -> int: ...
    def recv(self, timeout: float | None) -> list[bytes]: ...


async def batches(port: Waiting) -> AsyncGenerator[list[bytes], None]:
    """Batches of frames as they come, each from one `recv`, until the port is closed. Raises PortError."""
    try:
        descriptor = os.dup(port.fileno())  # so that the caller's own add_reader stays
    except PortClosed:
        return
    loop, readable = asyncio.get_running_loop(), asyncio.Event()

    def closed() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(readable.set)

    port.closers.add(closed)
    try:
        while not port.closed:
            try:
                frames = port.recv(0)
            except PortClosed:
                return
            if frames:
                yield frames
                await asyncio.sleep(0)  # the others have their turn, however fast frames come
                continue
            readable.clear()
            loop.add_reader(descriptor, readable.set)
            try:
                if not port.closed:
                    await readable.wait()
            finally:
                loop.remove_reader(descriptor)
    finally:
        port.closers.discard(closed)
        os.close(descriptor)


async def send(take: Callable[[Sequence[T], float], int], frames: Sequence[T]) -> None:
    """Let all be taken. Where a queue is full, a thread waits, and the loop goes on. Raises what `take` does."""
    done = take(frames, 0)
    while done < len(frames):
        done += await asyncio.to_thread(take, frames[done:], _SLICE)
