"""Record what crosses an interface of the host, both ways, as pcapng: a packet socket hears it.

Of a tunnel's link: the frames in the packets that the interface carries, and the packets that an end drops.

Source: packet(7), PACKET_AUXDATA, PACKET_STATISTICS, PACKET_FANOUT; socket(7), SO_RCVBUFFORCE, SO_TIMESTAMPNS.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from vecnet.datapath import native
from vecnet.datapath.native import CaptureHandle
from vecnet.datapath.port import texts
from vecnet.datapath.record import OUTER
from vecnet.errors import InterfaceMissing, PermissionMissing, PortError
from vecnet.kernel import bpf, capabilities, libc
from vecnet.kernel.capabilities import Capability
from vecnet.transports import Transport

_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA = 263, 6, 8  # linux/socket.h, linux/if_packet.h
_PACKET_VNET_HDR, _PACKET_FANOUT = 15, 18
_WHOLE = 0x8000_0000 | 0x2000_0000  # PACKET_FANOUT_FLAG_DEFRAG and _UNIQUEID: a group of one gets no fragments of IPv4
_INCOMING = 0x4000_0000  # PACKET_FANOUT_FLAG_IGNORE_OUTGOING, since 4.20
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h
_SIOCGIFNAME = 0x8910
_IFREQ = struct.Struct("=16si20x")
_ROOM = 64 << 20  # bytes of packets that wait for us
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats
_LOOK = 0.2  # seconds between looks at whether the interface is there
LOOPBACK = "lo"


@dataclass(frozen=True)
class Tunnel:
    """A tunnel whose packets an interface carries.

    "in" is what comes to the `near` end. `others` are ends of further tunnels between the same addresses, whose packets
    are left out. `every` outer packet is written, or those alone that were dropped.
    """

    near: Transport
    far: Transport
    others: Sequence[Transport] = ()
    every: bool = False

    def handles(self) -> list[native.Handle]:
        ends = (self.near, self.far, *self.others)
        return [native.Handle(end.name, texts(end), native.UNOPENED) for end in ends]

    def addresses(self) -> tuple[str, ...]:
        return tuple(at.address for end in (self.near, self.far) if (at := end.receives_at()) is not None)


class InterfaceCapture:
    """A capture in progress, which `run` moves in one thread and `stop` ends from any.

    Its socket is bound to no interface, and hears this one by a filter: so whoever asks whether somebody uses the wire
    does not find a mere listener.
    """

    def __init__(
        self, ifname: str, descriptor: int, name: str = "", description: str = "", tunnel: Tunnel | None = None
    ) -> None:
        """Hear an interface of the calling thread's namespace, and write to a descriptor, which is closed at the end.

        The file calls it `name`, or as it is called. Raises PermissionMissing, InterfaceMissing, PortError.
        """
        self.ifname = ifname
        self.lost = 0  # packets that found no room at the socket
        self._wake, self._stop = os.pipe()
        self._socket: socket.socket | None = None
        try:
            self._socket = self._opened(tunnel)
            name = name or ifname
            self._handle = CaptureHandle(self._socket.fileno(), descriptor, name, description)
            if tunnel is not None:
                self._handle.unwrap(tunnel.handles(), tunnel.every, f"{name}{OUTER}")
        except BaseException:
            self.close()
            raise

    def _opened(self, tunnel: Tunnel | None) -> socket.socket:
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
            try:
                self._index = socket.if_nametoindex(self.ifname)
            except OSError:
                raise InterfaceMissing(f"there is no interface {self.ifname}", "make it with: vecnet up FILE") from None
            between = () if tunnel is None else tunnel.addresses()
            libc.attach_filter(made.fileno(), bpf.at_interface(self._index, between))
            if tunnel is not None:
                made.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
            libc.hear_everything(made.fileno())
            if tunnel is not None:
                way = _INCOMING if self.ifname == LOOPBACK else 0  # which carries each packet out and in
                made.setsockopt(_SOL_PACKET, _PACKET_FANOUT, struct.pack("=I", _WHOLE | way))
        except BaseException as error:
            made.close()
            if isinstance(error, OSError):
                raise PortError(f"{self.ifname} cannot be listened at: {error.strerror}") from None
            raise
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
            if error.errno != errno.EINVAL:  # a large packet, which the kernel has no virtio-net header for
                raise
            self.lost += 1
            return CaptureHandle.BATCH

    def _is_there(self) -> bool:
        assert self._socket is not None
        try:
            answer = fcntl.ioctl(self._socket, _SIOCGIFNAME, _IFREQ.pack(b"", self._index))
        except OSError:
            return False
        return bytes(_IFREQ.unpack(answer)[0]).rstrip(b"\0") == os.fsencode(self.ifname)

    def _count(self) -> None:
        assert self._socket is not None
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.lost += _STATISTICS.unpack(statistics)[1]

    def drops(self) -> dict[str, int]:
        """Packets that the tunnel's ends have dropped, by the counter's name."""
        return self._handle.drops()

    @property
    def fragments(self) -> int:
        """Packets of the tunnel that came in pieces, and were not looked into."""
        return self._handle.fragments

    def stop(self) -> None:
        """End `run`, once it has written what waits."""
        os.write(self._stop, b"1")

    def close(self) -> None:
        """Close its own descriptors, once `run` has ended."""
        for descriptor in (self._wake, self._stop):
            os.close(descriptor)
        if self._socket is not None:
            self._socket.close()
