"""Packets on their way from a source to a sink, until one of them ends it, or a signal."""

from __future__ import annotations

import errno
import os
import select
import signal
import time

from vecnet.capture.sink import Sink
from vecnet.capture.source import Source
from vecnet.signals import handled

_LOOK = 0.2  # seconds between two looks at whether a signal came
_CHUNK = 1 << 20  # bytes


def move(source: Source, sink: Sink, seconds: float | None) -> None:
    """Move packets until the end of the source, of the time, of the room, or of whoever reads."""
    ends: list[int] = []
    until = None if seconds is None else time.monotonic() + seconds
    with handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ends.append):
        stopped = False
        while True:
            if not stopped and (ends or sink.full or (until is not None and time.monotonic() >= until)):
                source.stop()
                stopped = True
            if not select.select([source.descriptor], [], [], _LOOK)[0]:
                continue
            data = os.read(source.descriptor, _CHUNK)
            if not data:
                return
            try:
                sink.feed(data)
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                ends.append(error.errno)  # wireshark was closed: that is the end, and no fault
