"""A guest's end of a tunnel without a guest: its socket, and its header built and dissected by scapy.

What is sent and expected follows from the guest's vec string alone, so that a frame that arrives proves the string and
the kernel's device to match. Sources: RFC 2784, 2890 (GRE); RFC 3931 sections 4.1.1 and 4.1.2 (L2TPv3).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from scapy.fields import XIntField, XLongField, XShortField
from scapy.layers.inet import IP
from scapy.layers.l2 import GRE
from scapy.packet import Packet, Raw

from vecnet import VecDevice
from vecnet.transports.gre import Gre
from vecnet.transports.l2tpv3 import L2tpv3

ETH_P_TEST = 0x88B5  # IEEE 802, for local experiments: nothing but a test sends it
SECONDS = 20  # for what must arrive
ETH_P_TEB = 0x6558
_L2TP_DATA = 0x0003  # RFC 3931 section 4.1.2.1: T bit 0, version 3
_RECEIVE = 65536


@dataclass(frozen=True)
class Received:
    """An outer packet: its header's fields, the frame, and all the bytes of both."""

    fields: dict[str, Any]
    frame: bytes
    whole: bytes
    ip: Packet | None  # the outer IPv4 header, where the socket hands it out


def frame(payload: bytes, ethertype: int = ETH_P_TEST) -> bytes:
    return bytes.fromhex("02000000000b 02000000000a") + ethertype.to_bytes(2, "big") + payload


def header_class(device: VecDevice) -> type[Packet]:
    """The scapy layer of a device's header. `word` is the guest's counter and the kernel's l2spec."""
    transport = device.transport
    if isinstance(transport, Gre):
        return GRE
    assert isinstance(transport, L2tpv3)
    fields: list[Any] = [XIntField("session", 0)]
    if transport.udp:
        fields = [XShortField("version", _L2TP_DATA), XShortField("reserved", 0), *fields]
    if transport.rx_cookie is not None:
        fields.append(XLongField("cookie", 0) if transport.cookie64 else XIntField("cookie", 0))
    if transport.counter:
        fields.append(XIntField("word", 0))
    return type("L2TPv3", (Packet,), {"name": "L2TPv3", "fields_desc": fields})


class GuestEnd:
    """An open device. Sockets belong to the network namespace that the caller is in."""

    def __init__(self, device: VecDevice) -> None:
        self.device = device
        transport = device.transport
        assert isinstance(transport, (Gre, L2tpv3))
        self.transport: Any = transport
        self.layer = header_class(device)
        self._sent = 0
        family = socket.AF_INET6 if transport.v6 else socket.AF_INET
        if isinstance(transport, L2tpv3) and transport.udp:
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            here, there = (transport.src, transport.srcport), (transport.dst, transport.dstport)
        else:
            protocol = socket.IPPROTO_GRE if isinstance(transport, Gre) else 115
            self._socket = socket.socket(family, socket.SOCK_RAW, protocol)
            here, there = (transport.src, 0), (transport.dst, 0)
        self._strips_ip = self._socket.type == socket.SOCK_RAW and not transport.v6
        self._socket.bind(here)
        self._socket.settimeout(SECONDS)
        self._to = there

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def header(self, *, receive: bool, number: int, **other: Any) -> Packet:
        """The header that this end sends, or expects; `other` replaces fields, to make a wrong one."""
        own = self.transport
        fields: dict[str, Any]
        if isinstance(own, Gre):
            fields = {"proto": ETH_P_TEB}
            if own.rx_key is not None:
                fields |= {"key_present": 1, "key": own.rx_key if receive else own.tx_key}
            if own.sequence:
                fields |= {"seqnum_present": 1, "sequence_number": number}
        else:
            fields = {"session": own.rx_session if receive else own.tx_session}
            if own.rx_cookie is not None:
                fields["cookie"] = own.rx_cookie if receive else own.tx_cookie
            if own.counter:
                fields["word"] = number
        return self.layer(**(fields | other))

    def send(self, inner: bytes, **other: Any) -> bytes:
        """Send a frame as a guest does: numbered from 1, or always 0 where that is pinned."""
        self._sent += 1
        pinned = getattr(self.transport, "pin_sequence", False) or getattr(self.transport, "pin_counter", False)
        whole = bytes(self.header(receive=False, number=0 if pinned else self._sent, **other) / Raw(inner))
        self.send_bytes(whole)
        return whole

    def send_bytes(self, whole: bytes) -> None:
        self._socket.sendto(whole, self._to)

    def receive(self) -> bytes:
        """The next packet, as the socket hands it out."""
        return self._socket.recv(_RECEIVE)

    def received(self, ethertype: int = ETH_P_TEST) -> Iterator[Received]:
        """What arrives, but for frames of another type: a device tells its neighbours that it is there."""
        while True:
            whole = self.receive()
            ip = None
            if self._strips_ip:
                ip = IP(whole)
                whole = whole[ip.ihl * 4 :]
            header = self.layer(whole)
            inner = bytes(header.payload)
            if inner[12:14] == ethertype.to_bytes(2, "big"):
                yield Received(header.fields, inner, whole, ip)
