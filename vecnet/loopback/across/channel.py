"""Messages through a pair of pipes, whatever carries them to another machine: JSON, and Ethernet frames behind it.

    0        4         8
    ├ JSON's ┼ frames' ┼───────────────┼───────────────────┤
    │ length │ length  │ JSON, an      │ the frames, one   │   lengths in bytes, big-endian
    │        │         │ object        │ behind another    │

Of the frames, "lengths" in the JSON says how long each is. A message without any JSON says that its sender lives.

What comes is another machine's, and may be anything: nothing of it is run or unpickled, and a length has its limit.
"""

from __future__ import annotations

import json
import os
import select
import struct
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_HEAD = struct.Struct("!II")
_MOST_JSON, _MOST_FRAMES = 16 << 20, 64 << 20  # bytes
_CHUNK = 1 << 16
_PATIENCE = 30.0  # seconds that a pipe may be full


class Closed(Exception):
    """The other side is of no use any more: what it does, as the rest of a sentence."""


@dataclass(frozen=True)
class Message:
    """An object of JSON, whose values are anything, and frames."""

    says: Mapping[str, object]
    frames: tuple[bytes, ...] = field(default=())


class Channel:
    """Both pipes. One thread receives; any may send. The descriptors stay their owner's."""

    def __init__(self, incoming: int, outgoing: int, before: bytes = b"") -> None:
        """`before` is what has been read of `incoming` already."""
        self._incoming, self._outgoing = incoming, outgoing
        self._got = bytearray(before)
        self._sending = threading.Lock()
        for descriptor in (incoming, outgoing):
            os.set_blocking(descriptor, False)

    def send(self, says: Mapping[str, object] | None = None, frames: Iterable[bytes] = ()) -> None:
        """Send a message; without anything said, a sign of life. Raises Closed."""
        frames = tuple(frames)
        text = b"" if says is None else json.dumps({**says, "lengths": list(map(len, frames))}).encode()
        body = b"".join(frames)
        rest = memoryview(b"".join((_HEAD.pack(len(text), len(body)), text, body)))
        with self._sending:
            end = time.monotonic() + _PATIENCE
            while rest:
                try:
                    sent = os.write(self._outgoing, rest[:_CHUNK])
                except BlockingIOError:
                    if not _ready(self._outgoing, select.POLLOUT, end):
                        raise Closed(f"takes nothing for {_PATIENCE:g} seconds") from None
                    continue
                except OSError as error:
                    raise Closed(f"cannot be reached any more: {error.strerror}") from None
                rest = rest[sent:]
                end = time.monotonic() + _PATIENCE

    def receive(self, timeout: float) -> Message | None:
        """The next message; None is a sign of life. Raises TimeoutError, and Closed at the end of the pipe."""
        deadline = time.monotonic() + timeout
        size, more = _HEAD.unpack(self._bytes(_HEAD.size, deadline))
        if size > _MOST_JSON or more > _MOST_FRAMES:
            raise Closed("says what is no message")
        text, body = self._bytes(size, deadline), self._bytes(more, deadline)
        if not text:
            return None
        try:
            says = json.loads(text)
            lengths = says.pop("lengths")
            return Message(says, tuple(_cut(body, lengths)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Closed("says what is no message") from None

    def until(self, mark: bytes, most: int, timeout: float) -> bytes:
        """What comes before a mark, which is taken away with it. Raises TimeoutError and Closed."""
        deadline = time.monotonic() + timeout
        while (at := self._got.find(mark)) < 0:
            if len(self._got) > most:
                raise Closed("says what is no greeting")
            self._fill(deadline)
        found = bytes(self._got[:at])
        del self._got[: at + len(mark)]
        return found

    def _bytes(self, count: int, deadline: float) -> bytes:
        while len(self._got) < count:
            self._fill(deadline)
        found = bytes(self._got[:count])
        del self._got[:count]
        return found

    def _fill(self, deadline: float) -> None:
        if not _ready(self._incoming, select.POLLIN, deadline):
            raise TimeoutError
        try:
            data = os.read(self._incoming, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise Closed(f"cannot be reached any more: {error.strerror}") from None
        if not data:
            raise Closed("has ended")
        self._got += data


def _ready(descriptor: int, event: int, deadline: float) -> bool:
    poll = select.poll()  # select() takes no descriptor from 1024 on
    poll.register(descriptor, event)
    return bool(poll.poll(max(deadline - time.monotonic(), 0) * 1000))


def _cut(body: bytes, lengths: list[int]) -> list[bytes]:
    """The frames. Raises ValueError and TypeError where the lengths are not theirs."""
    found, at = [], 0
    for length in lengths:
        if not 0 < length <= len(body) - at:
            raise ValueError
        found.append(body[at : at + length])
        at += length
    if at != len(body):
        raise ValueError
    return found
