"""The outer side of a tunnel: what a sender's packets look like, next to what a string expects.

A test frame is found inside of an outer packet by its mark, whatever header is before it. So the header's true length
is known, and each of its fields can be compared with what the string would take.

Source: RFC 2784 and 2890 (GRE), RFC 3931 (L2TPv3); packet(7).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from vecnet.loopback.frames import MARK, MARK_AT
from vecnet.transports.gre import Gre
from vecnet.transports.l2tpv3 import L2tpv3

_ETH_P_ALL = 0x0003
_UDP, _GRE, _L2TP = 17, 47, 115  # IANA, protocol numbers
_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE = 0x8000, 0x2000, 0x1000


@dataclass(frozen=True)
class Outer:
    """An outer packet with a test frame in it. `header` is what stands between IP (and UDP) and the frame."""

    source: str
    target: str
    protocol: int
    source_port: int
    target_port: int
    header: bytes


def watch(act: Callable[[], object], seconds: float = 0.3) -> list[Outer]:
    """The packets with a test frame that cross any interface of this namespace while `act` runs, and shortly after.

    Raises PermissionError without CAP_NET_RAW.
    """
    found: dict[Outer, None] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as sniffer:
        act()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            sniffer.settimeout(left)
            try:
                packet = sniffer.recv(1 << 16)
            except TimeoutError:
                break
            if (outer := read(packet)) is not None:
                found[outer] = None
    return list(found)


def read(packet: bytes) -> Outer | None:
    """An IP packet as an Outer, or None where it is none or has no test frame in it."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        size, protocol = (packet[0] & 15) * 4, packet[9]
        source, target = str(ipaddress.IPv4Address(packet[12:16])), str(ipaddress.IPv4Address(packet[16:20]))
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        size, protocol = 40, packet[6]
        source, target = str(ipaddress.IPv6Address(packet[8:24])), str(ipaddress.IPv6Address(packet[24:40]))
    else:
        return None
    if protocol == 60 and len(packet) > size + 8:  # destination options, RFC 8200: a tunnel's encapsulation limit
        protocol, size = packet[size], size + 8 * (packet[size + 1] + 1)
    payload, ports = packet[size:], (0, 0)
    if protocol == _UDP and len(payload) >= 8:
        ports = struct.unpack_from("!HH", payload)
        payload = payload[8:]
    at = payload.find(MARK)
    if at < MARK_AT:
        return None
    return Outer(source, target, protocol, *ports, payload[: at - MARK_AT])


def differences(outer: Outer, expected: Gre | L2tpv3) -> list[str]:
    """What keeps a device with these options from taking the packet, in words; empty where it fits."""
    protocol = _GRE if isinstance(expected, Gre) else _UDP if expected.udp else _L2TP
    names = {_UDP: "UDP", _GRE: "GRE", _L2TP: "L2TPv3 over IP"}
    found = []
    if outer.protocol != protocol:
        return [f"the sender uses {names.get(outer.protocol, f'protocol {outer.protocol}')}, not {names[protocol]}"]
    if ipaddress.ip_address(outer.target) != ipaddress.ip_address(expected.src):
        found.append(f"the sender sends to {outer.target}, this string receives at src={expected.src}")
    if isinstance(expected, Gre):
        return found + _gre(outer.header, expected)
    if expected.udp and outer.target_port != expected.srcport:
        found.append(f"the sender sends to port {outer.target_port}, this string has srcport={expected.srcport}")
    return found + _l2tpv3(outer.header, expected)


def _gre(header: bytes, expected: Gre) -> list[str]:
    if len(header) < 4:
        return [f"the sender's header is only {len(header)} bytes"]
    flags, _ = struct.unpack_from("!HH", header)
    has_key, has_sequence = expected.rx_key is not None, expected.sequence
    found = []
    if flags & _GRE_CHECKSUM:
        found.append("the sender adds GRE checksums, which no guest takes: turn csum off")
    if bool(flags & _GRE_KEY) != has_key:
        found.append("the sender sends a key, this string has none" if flags & _GRE_KEY else "the sender sends no key")
    if bool(flags & _GRE_SEQUENCE) != has_sequence:
        found.append(
            "the sender sends sequence numbers, this string has no sequence=1"
            if flags & _GRE_SEQUENCE
            else "the sender sends no sequence numbers, this string has sequence=1 (at a kernel's tunnel: oseq)"
        )
    if has_key and flags & _GRE_KEY:
        at = 8 if flags & _GRE_CHECKSUM else 4
        key = int.from_bytes(header[at : at + 4], "big")
        if key != expected.rx_key:
            found.append(f"the sender sends key {key}, this string expects {expected.rx_key}")
    return found


def _l2tpv3(header: bytes, expected: L2tpv3) -> list[str]:
    at = 4 if expected.udp else 0
    session = int.from_bytes(header[at : at + 4], "big")
    found = []
    if session != expected.rx_session:
        found.append(f"the sender sends session {session}, this string expects {expected.rx_session}")
    rest = header[at + 4 :]
    size = 0 if expected.rx_cookie is None else 8 if expected.cookie64 else 4
    sublayer = 4 if expected.counter else 0
    cookie = (expected.rx_cookie or 0).to_bytes(8, "big")[8 - size :]
    longer = len(rest) - size - sublayer
    same_cookie = rest[:size] == cookie
    if longer == 0:
        if not same_cookie:
            found.append(f"the sender sends cookie {rest[:size].hex()}, this string expects {cookie.hex()}")
    elif longer in (4, -4) and same_cookie and (size or _looks_like_sublayer(rest)):
        found.append(
            "the sender's l2spec adds 4 bytes: set counter=1, or l2spec_type none at the kernel's session"
            if longer > 0
            else "the sender sends no l2spec word: leave counter out, or use the default l2spec at the kernel's session"
        )
    else:
        theirs = len(rest) - sublayer
        found.append(f"the sender sends a cookie of {theirs} bytes, this string expects {size}")
    return found


def _looks_like_sublayer(rest: bytes) -> bool:
    """Whether four bytes are a sublayer word and no cookie: all zero, or a low number (RFC 3931 section 4.6)."""
    return int.from_bytes(rest[:4], "big") & 0x3FFFFFFF < 1 << 20
