"""A pump between a program's stream of frames, each behind its length, and a socket whose packets are frames.

    program ══ stream ══ pump ── a pair of sockets ── a port

It runs in a thread of C, until either end closes.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from vecnet.datapath.native import LoopHandle
from vecnet.errors import PortError


class Pump:
    """See the module. `descriptor` is a socket for the port; `close` ends the pump and both its ends."""

    def __init__(self, stream: int) -> None:
        """Takes `stream` over. Raises PortError."""
        self._stream = stream
        try:
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise PortError(f"no pair of sockets for a pump: {error.strerror}") from None
        self.descriptor, self._packets = near.detach(), far.detach()
        self._handle = LoopHandle()
        self._thread = threading.Thread(target=self._work, name="vecnet pump", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with suppress(PortError):  # the port sees the end of its socket
            self._handle.pump(self._stream, self._packets)
        with socket.socket(fileno=os.dup(self._packets)) as packets, suppress(OSError):
            packets.shutdown(socket.SHUT_RDWR)

    @property
    def stats(self) -> dict[str, int]:
        """How many frames were moved, and how many dropped as too large for the other side; both ways together."""
        counters = self._handle.counters()
        return {"pump_frames": counters["frames"], "pump_drop_size": counters["dropped"]}

    def close(self) -> None:
        """End it. Closing again does nothing."""
        self._handle.stop()
        self._thread.join()
        for descriptor in (self._stream, self._packets, self.descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._stream = self._packets = self.descriptor = -1
