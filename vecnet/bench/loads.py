"""The frames that are moved: small ones, and a large one as TCP segmentation offload makes it."""

from __future__ import annotations

import struct

from vecnet.transports.base import ETHERNET_HEADER, VNET_HEADER

_MACS = b"\2\0\0\0\0\2" + b"\2\0\0\0\0\1"  # nobody's: no IP stack takes these frames
_TRANSPORT = 20 + 32  # bytes of IPv4 and TCP header, with timestamps
_HEADERS = ETHERNET_HEADER + _TRANSPORT


def small(length: int) -> bytes:
    """A frame of `length` bytes. Its Ethertype is the IEEE's for local experiments."""
    return (_MACS + b"\x88\xb5").ljust(length, b"\x5a")


def segments(mtu: int) -> int:
    """How many segments a large frame is cut into: as many as an IP packet of 65535 bytes holds."""
    return (65535 - _TRANSPORT) // (mtu - _TRANSPORT)


def large(mtu: int) -> bytes:
    """TCP over IPv4, many segments in one frame, with the virtio-net header before it that asks to cut it.

    Source: virtio 1.2 section 5.1.6; RFC 791, 9293, 7323.
    """
    size = mtu - _TRANSPORT
    payload = segments(mtu) * size
    vnet = struct.pack("<BBHHHH", 1, 1, _HEADERS, size, ETHERNET_HEADER + 20, 16)  # checksum to be filled in, GSO_TCPV4
    addresses = b"\x0a\x0b\0\1", b"\x0a\x0b\0\2"
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, _TRANSPORT + payload, 1, 0x4000, 64, 6, 0, *addresses)
    ip = ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:]
    tcp = struct.pack(">HHIIBBHHH12s", 1, 2, 1, 1, 8 << 4, 0x10, 512, 0, 0, b"\1\1\x08\x0a" + b"\0\0\0\1" * 2)
    return vnet + _MACS + b"\x08\x00" + ip + tcp + (bytes(range(256)) * 256)[:payload]


def _checksum(header: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


LARGE = len(large(1500)) - VNET_HEADER  # bytes of a large frame whose segments are packets of 1500
