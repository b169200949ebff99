"""The outer side of a tunnel: what a sender's packets look like, next to what a string expects.

A test frame is found inside of an outer packet by its mark, whatever header is before it. So the header's true length
is known, and the transport can say why it would not take it.

Source: packet(7).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from vecnet.loopback.numbered import MARK_AT, mark_of
from vecnet.transports import Transport
from vecnet.transports.answers import Protocol

_ETH_P_ALL = 0x0003


@dataclass(frozen=True)
class Outer:
    """An outer packet with a test frame in it. `header` is what stands between IP (and UDP) and the frame."""

    source: str
    target: str
    protocol: int
    source_port: int
    target_port: int
    header: bytes


def watch(act: Callable[[], object], run: int, seconds: float = 0.3) -> list[Outer]:
    """The packets with a test frame of this run that cross any interface of this namespace while `act` sends them, and
    shortly after.

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
            if (outer := read(packet, run)) is not None:
                found[outer] = None
    return list(found)


def read(packet: bytes, run: int) -> Outer | None:
    """An IP packet as an Outer, or None where it is none or has no test frame of this run in it."""
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
    if protocol == Protocol.UDP and len(payload) >= 8:
        ports = struct.unpack_from("!HH", payload)
        payload = payload[8:]
    at = payload.find(mark_of(run))
    if at < MARK_AT:
        return None
    return Outer(source, target, protocol, *ports, payload[: at - MARK_AT])


def differences(outer: Outer, expected: Transport) -> list[str]:
    """What keeps a tunnel's device with these options from taking the packet, in words; empty where it fits."""
    at = expected.receives_at()
    if at is None:
        return []
    if outer.protocol != at.protocol:
        known = outer.protocol in set(Protocol)
        theirs = str(Protocol(outer.protocol)) if known else f"protocol {outer.protocol}"
        return [f"the sender uses {theirs}, not {at.protocol}"]
    found = []
    if ipaddress.ip_address(outer.target) != ipaddress.ip_address(at.address):
        found.append(f"the sender sends to {outer.target}, this string receives at src={at.address}")
    if at.port is not None and outer.target_port != at.port:
        found.append(f"the sender sends to port {outer.target_port}, this string has srcport={at.port}")
    return [*found, *expected.misfits(outer.header)]
