"""Captures: read pcap and pcapng files, whoever wrote them; also several of them that were joined into one file.

No library is used: Python's own ones (dpkt, python-pcapng) have had no release since 2022, the latter reads pcapng
alone, and libpcap would have to be installed. Writing is done in C, by _native/pcapng.c.

A packet that cannot be read is left out where its bounds are known. Where they are not, reading ends there.

Source: draft-ietf-opsawg-pcap (the older format), draft-ietf-opsawg-pcapng; tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Literal

from vecnet.errors import InputError

ETHERNET = 1  # LINKTYPE_ETHERNET
COOKED = (113, 276)  # LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2
_LINK_TYPES = {
    0: "of BSD's loopback",
    ETHERNET: "Ethernet frames",
    9: "of PPP",
    101: "bare IP packets",
    105: "of 802.11",
    113: "Linux cooked ones",
    127: "of 802.11, with radiotap",
    228: "bare IPv4 packets",
    229: "bare IPv6 packets",
    239: "of NFLOG",
    276: "Linux cooked ones, SLL2",
}
_PCAP = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # magic number: nanoseconds per unit of a time's fraction
_PCAP_VERSION = (2, 4)
_FCS_KNOWN = 1 << 26  # in a pcap's link type: its upper 4 bits say how many 16-bit words of checksum end each packet
_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_COMMENT, _FLAGS, _NAME, _RESOLUTION, _FCS, _OFFSET = 1, 2, 2, 9, 13, 14
_LARGEST = 1 << 24  # bytes of a block: more is no capture but a damaged file
_UNSUPPORTED = {  # what a file begins with: what it is, and what to do
    b"": ("empty", "the program that captured may not have ended yet: tcpdump writes at once with -U"),
    b"\x1f\x8b": ("compressed by gzip", "unpack it before: gunzip"),
    b"\xfd7zXZ": ("compressed by xz", "unpack it before: unxz"),
    b"BZh": ("compressed by bzip2", "unpack it before: bunzip2"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it before: unzstd"),
    b"\x04\x22\x4d\x18": ("compressed by lz4", "unpack it before: unlz4"),
    b"PK\3\4": ("a zip archive", "unpack it before: unzip"),
    b"\x34\xcd\xb2\xa1": ("a pcap file of Kuznetzov's format", "write it anew: editcap -F pcap"),
    b"snoop\0": ("a snoop file", "write it anew: editcap -F pcap"),
}
_DAMAGE = (struct.error, IndexError, EOFError)  # what a reader meets in a file that is not as it says

Direction = Literal["in", "out", ""]
_DIRECTIONS: tuple[Direction, ...] = ("", "in", "out", "")


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured packet, without the frame check sequence that its file may declare.

    `time` is in nanoseconds since 1970, 0 where the file does not say.
    """

    data: bytes
    whole: bool  # not cut short by who captured it
    time: int
    section: int  # counts from 0; captures that were joined into one file are several
    interface: int  # counts from 0, over the whole file
    interface_name: str
    link_type: int  # tcpdump.org's LINKTYPE_ values; 1 is Ethernet
    direction: Direction
    comment: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A packet that cannot be read, and why."""

    reason: str


@dataclass(slots=True)
class _Interface:
    section: int
    number: int
    link_type: int
    snap: int
    fcs: int = 0  # bytes of frame check sequence at each packet's end
    name: str = ""
    units: int = 1_000_000  # of time, in a second
    offset: int = 0  # seconds

    def packet(
        self, data: bytes, length: int, time: int, fcs: int = 0, direction: Direction = "", comment: str = ""
    ) -> Captured:
        """A packet of `length` bytes on the wire, `fcs` of which (or the interface's) are the check sequence."""
        length -= fcs or self.fcs
        data, whole = data[: max(length, 0)], len(data) >= length
        return Captured(data, whole, time, self.section, self.number, self.name, self.link_type, direction, comment)


def link_type_name(link_type: int) -> str:
    """What packets of this link type are: "Linux cooked ones (link type 113)"."""
    return f"{_LINK_TYPES.get(link_type, 'of another kind')} (link type {link_type})"


def read_capture(path: str | PathLike[str]) -> Iterator[Captured]:
    """The packets of a pcap or pcapng file, in their order.

    Raises InputError with the place of any damage, and OSError where the file cannot be read.
    """
    for packet in read_packets(path):
        if isinstance(packet, Unread):
            raise InputError(f"{path}: {packet.reason}")
        yield packet


def read_packets(path: str | PathLike[str]) -> Iterator[Captured | Unread]:
    """The same, going on behind a packet that cannot be read. Raises InputError where there is no going on."""
    with Path(path).open("rb") as file:
        reader = _Reader(file)
        try:
            yield from reader.packets()
        except _DAMAGE as error:
            raise InputError(f"{path}: damaged before byte {reader.at}: {error}") from None
        except _NoCapture as error:
            raise InputError(f"{path}: {error}", error.instead) from None


class _NoCapture(Exception):
    def __init__(self, message: str, instead: str) -> None:
        super().__init__(message)
        self.instead = instead


class _Reader:
    """Reads a file from its start to its end; it need not be one that can be read twice."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = b""  # read already, and to be read again
        self._sections, self._interfaces = 0, 0  # begun and described so far
        self.at = 0  # bytes read

    def _take(self, size: int) -> bytes:
        """So many bytes, or fewer at the file's end."""
        data = self._held[:size]
        self._held = self._held[size:]
        data += self._file.read(size - len(data))
        self.at += len(data)
        return data

    def _back(self, data: bytes) -> None:
        self._held = data + self._held
        self.at -= len(data)

    def _exactly(self, size: int) -> bytes:
        data = self._take(size)
        if len(data) != size:
            raise EOFError(f"the file ends within a record, {size - len(data)} bytes short")
        return data

    def packets(self) -> Iterator[Captured | Unread]:
        head = self._take(8)
        while head or not self.at:
            self._back(head)
            if order := _pcap_order(head):
                yield from self._pcap(order)
            elif head.startswith(_SECTION_MAGIC):
                yield from self._pcapng()
            else:
                for magic, (what, instead) in _UNSUPPORTED.items():
                    if head.startswith(magic) if magic else not head:
                        raise _NoCapture(f"the file is {what}", instead)
                raise _NoCapture("neither a pcap nor a pcapng file", "write one with: tcpdump -w FILE")
            head = self._take(8)

    def _next_interface(self, link_type: int, snap: int, fcs: int = 0) -> _Interface:
        self._interfaces += 1
        return _Interface(self._sections - 1, self._interfaces - 1, link_type, snap, fcs)

    def _pcap(self, order: str) -> Iterator[Captured]:
        magic, _, _, _, _, snap, link = struct.unpack(f"{order}IHHiIII", self._exactly(24))
        fcs = 2 * (link >> 28) if link & _FCS_KNOWN else 0
        self._sections += 1
        interface = self._next_interface(link & 0xFFFF, snap, fcs)
        while head := self._take(16):
            if _pcap_order(head, _PCAP_VERSION) or _begins_section(head):  # another file was joined to this one
                self._back(head)
                return
            if len(head) < 16:
                raise EOFError(f"the file ends within a record, {16 - len(head)} bytes short")
            seconds, fraction, size, length = struct.unpack(f"{order}IIII", head)
            if size > _LARGEST:
                raise EOFError(f"a packet of {size} bytes")
            time = seconds * 1_000_000_000 + fraction * _PCAP[magic]
            yield interface.packet(self._exactly(size), max(size, length), time)

    def _pcapng(self) -> Iterator[Captured | Unread]:
        order, interfaces = "<", list[_Interface | None]()
        while head := self._take(8):
            if _pcap_order(head, _PCAP_VERSION):
                self._back(head)
                return
            if len(head) < 8:
                raise EOFError(f"the file ends within a block, {8 - len(head)} bytes short")
            kind, size = struct.unpack(f"{order}II", head)
            if kind == _SECTION:
                mark = self._exactly(4)
                self._back(mark)
                order, interfaces = "<" if struct.unpack("<I", mark)[0] == _BYTE_ORDER else ">", []
                size = struct.unpack(f"{order}I", head[4:])[0]
                self._sections += 1
            if size < 12 or size % 4 or size > _LARGEST:
                raise EOFError(f"a block of {size} bytes")
            body = self._exactly(size - 8)
            if struct.unpack(f"{order}I", body[-4:])[0] != size:
                raise EOFError("a block whose two lengths differ")
            try:
                if kind == _INTERFACE:
                    interfaces.append(None)
                    interfaces[-1] = self._interface(body[:-4], order)
                elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                    yield _packet(kind, body[:-4], order, interfaces)
            except _DAMAGE as error:
                yield Unread(f"damaged before byte {self.at}: {error}")

    def _interface(self, body: bytes, order: str) -> _Interface:
        link, _, snap = struct.unpack_from(f"{order}HHI", body)
        interface = self._next_interface(link, snap)
        for code, value in _options(body[8:], order):
            if code == _NAME:
                interface.name = value.decode(errors="replace")
            elif code == _RESOLUTION:
                interface.units = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _FCS:
                interface.fcs = value[0] if value[0] < 16 else value[0] // 8  # bytes; bits, in older drafts
            elif code == _OFFSET:
                interface.offset = struct.unpack(f"{order}q", value)[0]
        return interface


def _pcap_order(head: bytes, *versions: tuple[int, int]) -> str | None:
    """The byte order of the pcap file that begins so, of one of these versions if any are given; None if none does."""
    for order in "<>" if len(head) >= 8 else "":
        magic, *version = struct.unpack_from(f"{order}IHH", head)
        if magic in _PCAP and (not versions or tuple(version) in versions):
            return order
    return None


def _begins_section(head: bytes) -> bool:
    marks = (_BYTE_ORDER.to_bytes(4, "little"), _BYTE_ORDER.to_bytes(4, "big"))
    return head.startswith(_SECTION_MAGIC) and head[8:12] in marks


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(f"{order}HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + (size + 3 & ~3)


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface | None]) -> Captured:
    index = high = low = 0
    if kind == _SIMPLE_PACKET:
        (length,) = struct.unpack_from(f"{order}I", body)
        size, at = length, 4
    elif kind == _PACKET:
        index, high, low, size, length = struct.unpack_from(f"{order}IIIII", body)
        at = 20
    else:
        index, _, high, low, size, length = struct.unpack_from(f"{order}HHIIII", body)
        at = 20
    interface = interfaces[index] if index < len(interfaces) else None
    if interface is None:
        raise EOFError(f"a packet of interface {index}, which is not described")
    if kind == _SIMPLE_PACKET and interface.snap:
        size = min(size, interface.snap)
    if at + size > len(body):
        raise EOFError(f"a packet of {size} bytes in a block of {len(body)}")
    data, length = body[at : at + size], max(size, length)
    if kind == _SIMPLE_PACKET:
        return interface.packet(data, length, 0)
    comment, fcs, direction = "", 0, 0
    for code, value in _options(body[at + (size + 3 & ~3) :], order):
        if code == _COMMENT:
            comment = value.decode(errors="replace")
        elif code == _FLAGS:
            (flags,) = struct.unpack(f"{order}I", value)
            direction, fcs = flags & 3, flags >> 5 & 15
    time = (high << 32 | low) * 1_000_000_000 // interface.units + interface.offset * 1_000_000_000
    return interface.packet(data, length, time, fcs, _DIRECTIONS[direction], comment)
