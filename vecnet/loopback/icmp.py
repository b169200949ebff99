"""Echo requests from a host's own stack, IPv4 and IPv6.

Source: RFC 792, RFC 4443; raw(7), icmp(7), socket(7).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time

_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # request, reply
_HEADER = struct.Struct("!BBHHH")
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _DO = 10, 23, 2
_IPV6_DONTFRAG = 62


def ping(to: str, interface: str, packet: int = 84, *, tries: int = 12, wait: float = 0.25) -> float:
    """The round trip, in seconds, of an echo request that leaves by `interface` and makes a packet of `packet` bytes.

    It is not fragmented, and sent again after `wait` seconds without an answer. Raises TimeoutError where no answer
    comes, OSError where the stack refuses.
    """
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    protocol = socket.getprotobyname("ipv6-icmp") if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    ip_header = 40 if family == socket.AF_INET6 else 20
    with socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        if family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _DO)
            raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
        else:
            raw.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _DO)
        content = os.urandom(max(packet - ip_header - _HEADER.size, 8))
        identity = int.from_bytes(os.urandom(2), "big")
        for number in range(tries):  # a neighbour may still be asked for, and a bridge's new member not yet be heard
            started = time.monotonic()
            raw.sendto(_request(family, identity, number, content), (to, 0))
            if _answered(raw, family, identity, number, content, started + wait):
                return time.monotonic() - started
    raise TimeoutError(f"{to} does not answer")


def _request(family: socket.AddressFamily, identity: int, number: int, content: bytes) -> bytes:
    kind = _ECHO[family][0]
    packet = _HEADER.pack(kind, 0, 0, identity, number) + content
    if family == socket.AF_INET6:
        return packet  # the kernel fills the checksum in, RFC 3542 section 3.1
    return packet[:2] + checksum(packet).to_bytes(2, "big") + packet[4:]


def _answered(
    raw: socket.socket, family: socket.AddressFamily, identity: int, number: int, content: bytes, end: float
) -> bool:
    reply = _HEADER.pack(_ECHO[family][1], 0, 0, identity, number)
    while (left := end - time.monotonic()) > 0:
        if not select.select([raw], [], [], left)[0]:
            return False
        data = raw.recv(65536)
        if family == socket.AF_INET:
            data = data[(data[0] & 15) * 4 :] if data else b""
        if data[:2] + data[4:8] == reply[:2] + reply[4:8] and data[8:] == content:
            return True
    return False


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
