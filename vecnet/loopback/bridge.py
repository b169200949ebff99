"""A bridge under test: its members' guests, from member to member.

Each member's own link is proved between its guest and the host. What a bridge does between two guests is another
matter: a packet filter may drop it (br_netfilter hands IP packets to the host's rules), a member may be isolated.

Source: kernel documentation, networking/bridge; ebtables(8).
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecnet.loopback.codes import Code
from vecnet.loopback.icmp import checksum
from vecnet.loopback.numbered import SMALLEST, Run
from vecnet.loopback.subject import Side, Subject
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import guest_port, mac_of

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

PROBE = "cross"
_PATIENCE = 2.0  # seconds: a member that has just got a carrier is learning yet
_PAUSE = 0.1  # seconds between tries
_NOBODYS = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")  # RFC 5737, RFC 3849
_ICMP, _ICMPV6 = 1, 58


@dataclass(frozen=True)
class Bridge:
    """A bridge and those of its members whose guests can be played."""

    name: str
    members: tuple[Subject, ...]


def of_subjects(subjects: Sequence[Subject]) -> list[Bridge]:
    """The bridges that two or more of the subjects end at, but for those whose guests do not receive all."""
    found: dict[tuple[str, str], list[Subject]] = {}
    for subject in subjects:
        whole = not subject.filters and not any(interface.impairment for interface in subject.interfaces)
        if subject.far.bridge and subject.near.device and whole:
            found.setdefault((subject.far.bridge, subject.far.netns or ""), []).append(subject)
    return [Bridge(name, tuple(members)) for (name, _), members in found.items() if len(members) > 1]


def cross(bridge: Bridge) -> tuple[str, Mapping[str, float]]:
    """Frames and IP packets between neighbours in the list of members, both ways. Raises Failed."""
    pairs = 0
    for one, other in itertools.pairwise(bridge.members):
        with guest_port(one) as here, guest_port(other) as there:
            for sender, source, receiver, target in (
                (here, one.near, there, other.near),
                (there, other.near, here, one.near),
            ):
                for what, frame in _frames(source, target):
                    if not _crosses(sender, receiver, frame):
                        raise Failed(
                            Code.NO_CROSSING, f"{source.name} to {target.name} across {bridge.name}: no {what} comes"
                        )
        pairs += 1
    return f"frames, IPv4 and IPv6 cross between {pairs + 1} members", {"pairs": pairs}


def _crosses(sender: Port, receiver: Port, frame: bytes) -> bool:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        sender.send(frame, timeout=_PAUSE)
        due = time.monotonic() + _PAUSE
        while (left := due - time.monotonic()) > 0:
            if frame in receiver.recv(timeout=left):
                return True
    return False


def _frames(source: Side, target: Side) -> Iterator[tuple[str, bytes]]:
    """A frame that no host's stack takes, and an echo request of each family."""
    to, own = mac_of(target), mac_of(source)
    yield "frame", Run(to, own).build(SMALLEST)
    for nobodys, version in zip(_NOBODYS, (4, 6), strict=True):
        here, there = _addresses(source, target, version) or nobodys
        packet = _echo(ipaddress.ip_address(here), ipaddress.ip_address(there))
        yield f"IPv{version} packet", to + own + (b"\x08\x00" if version == 4 else b"\x86\xdd") + packet


def _addresses(source: Side, target: Side, version: int) -> tuple[str, str] | None:
    """The first inner address of each, of a version."""
    texts = [
        [text.partition("/")[0] for text in side.addresses if ipaddress.ip_interface(text).version == version]
        for side in (source, target)
    ]
    return (texts[0][0], texts[1][0]) if all(texts) else None


def _echo(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address, target: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> bytes:
    """An echo request, its content by chance. Source: RFC 791, 792, 8200, 4443."""
    content = struct.pack("!HH", 1, 1) + os.urandom(32)
    if source.version == 4:
        message = struct.pack("!BBH", 8, 0, checksum(b"\x08\0\0\0" + content)) + content
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 1, 0, 64, _ICMP, 0)
        header += source.packed + target.packed
        return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + message
    size = 4 + len(content)
    pseudo = source.packed + target.packed + struct.pack("!IxxxB", size, _ICMPV6)
    message = struct.pack("!BBH", 128, 0, checksum(pseudo + b"\x80\0\0\0" + content)) + content
    return struct.pack("!IHBB", 6 << 28, size, _ICMPV6, 64) + source.packed + target.packed + message
