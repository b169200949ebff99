"""Record what crosses an interface of the host, both ways, as pcapng: a packet socket hears it.

Source: packet(7), PACKET_AUXDATA, PACKET_STATISTICS; socket(7), SO_RCVBUFFORCE, SO_TIMESTAMPNS.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
from contextlib import suppress

from vecnet.datapath.native import CaptureHandle
from vecnet.errors import InterfaceMissing, PermissionMissing, PortError
from vecnet.kernel import capabilities
from vecnet.kernel.capabilities import Capability

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8  # linux/socket.h, linux/if_packet.h
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h
_ROOM = 64 << 20  # bytes of packets that wait for us
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats
_LOOK = 0.2  # seconds between looks at whether the interface is there


class InterfaceCapture:
    """A capture in progress, which `run` moves in one thread and `stop` ends from any."""

    def __init__(self, ifname: str, descriptor: int, description: str = "") -> None:
        """Hear an interface of the calling thread's namespace, and write to a descriptor, which is closed at the end.

        Raises PermissionMissing, InterfaceMissing, PortError.
        """
        self.ifname = ifname
        self.lost = 0  # packets that found no room at the socket
        self._wake, self._stop = os.pipe()
        self._socket: socket.socket | None = None
        try:
            self._socket = self._opened()
            self._handle = CaptureHandle(self._socket.fileno(), descriptor, ifname, description)
        except BaseException:
            self.close()
            raise

    def _opened(self) -> socket.socket:
        try:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except PermissionError:
            message = f"{self.ifname} cannot be listened at: a packet socket needs {Capability.NET_RAW}"
            raise PermissionMissing(message, capabilities.advice(Capability.NET_RAW)) from None
        try:
            try:
                made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
            except PermissionError:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)  # as much as rmem_max allows
            made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            made.bind((self.ifname, _ETH_P_ALL))
        except OSError as error:
            made.close()
            if error.errno == errno.ENODEV:
                raise InterfaceMissing(f"there is no interface {self.ifname}", "make it with: vecnet up FILE") from None
            raise PortError(f"{self.ifname} cannot be listened at: {error.strerror}") from None
        return made

    def run(self) -> None:
        """Write what crosses it, until `stop`, until the interface is gone, or until nobody reads any more."""
        assert self._socket is not None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                selector.register(self._wake, selectors.EVENT_READ)
                stopping = False
                while not stopping and self._is_there():
                    ready = {key.fd for key, _ in selector.select(_LOOK)}
                    stopping = self._wake in ready
                    while self._read() == CaptureHandle.BATCH:
                        pass
                    self._handle.flush()
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
        finally:
            self._count()
            with suppress(OSError):  # said already
                self._handle.close(self.lost)

    def _read(self) -> int:
        try:
            return self._handle.read()
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # it is down, or gone
                raise
            return 0

    def _is_there(self) -> bool:
        assert self._socket is not None
        return bool(self._socket.getsockname()[0] == self.ifname)

    def _count(self) -> None:
        assert self._socket is not None
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.lost += _STATISTICS.unpack(statistics)[1]

    def stop(self) -> None:
        """End `run`, once it has written what waits."""
        os.write(self._stop, b"1")

    def close(self) -> None:
        """Close its own descriptors, once `run` has ended."""
        for descriptor in (self._wake, self._stop):
            os.close(descriptor)
        if self._socket is not None:
            self._socket.close()
