"""Captures: read pcap and pcapng files, whoever wrote them.

No library is used: Python's own ones (dpkt, python-pcapng) have had no release since 2022, the latter reads pcapng
alone, and libpcap would have to be installed. Writing is done in C, by _native/pcapng.c.

Source: draft-ietf-opsawg-pcap (the older format), draft-ietf-opsawg-pcapng.
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
_PCAP = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}  # the magic number, by what a fraction of a second counts, in nanoseconds
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_COMMENT, _FLAGS, _NAME, _RESOLUTION, _OFFSET = 1, 2, 2, 9, 14
_LARGEST = 1 << 24  # bytes of a block: more is no capture but a damaged file

Direction = Literal["in", "out", ""]


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured packet. `time` is in nanoseconds since 1970, 0 where the file does not say."""

    data: bytes
    time: int
    interface: int  # counts from 0, over the whole file
    interface_name: str
    link_type: int  # tcpdump.org's LINKTYPE_ values; 1 is Ethernet
    direction: Direction
    comment: str


@dataclass(slots=True)
class _Interface:
    number: int
    link_type: int
    snap: int
    name: str = ""
    units: int = 1_000_000  # of time, in a second
    offset: int = 0  # seconds


def read_capture(path: str | PathLike[str]) -> Iterator[Captured]:
    """The packets of a pcap or pcapng file, in their order.

    Raises InputError with the place of any damage, and OSError where the file cannot be read.
    """
    with Path(path).open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        try:
            for order in "<>":
                if len(magic) == 4 and struct.unpack(f"{order}I", magic)[0] in _PCAP:
                    yield from _pcap(file, order)
                    return
            if magic == b"\x0a\x0d\x0d\x0a":
                yield from _pcapng(file)
                return
        except (struct.error, IndexError, EOFError) as error:
            raise InputError(f"{path}: damaged before byte {file.tell()}: {error}") from None
        raise InputError(f"{path}: neither a pcap nor a pcapng file")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"the file ends within a record, {size - len(data)} bytes short")
    return data


def _pcap(file: BinaryIO, order: str) -> Iterator[Captured]:
    magic, _, _, _, _, _, link = struct.unpack(f"{order}IHHiIII", _exactly(file, 24))
    while head := file.read(16):
        seconds, fraction, size, _ = struct.unpack(f"{order}IIII", head)
        if size > _LARGEST:
            raise EOFError(f"a packet of {size} bytes")
        time = seconds * 1_000_000_000 + fraction * _PCAP[magic]
        yield Captured(_exactly(file, size), time, 0, "", link & 0xFFFF, "", "")


def _pcapng(file: BinaryIO) -> Iterator[Captured]:
    order, interfaces, before = "<", list[_Interface](), 0
    while head := file.read(8):
        kind, size = struct.unpack(f"{order}II", head)
        if kind == _SECTION:
            order = "<" if struct.unpack("<I", _exactly(file, 4))[0] == _BYTE_ORDER else ">"
            file.seek(-4, 1)
            size = struct.unpack(f"{order}I", head[4:])[0]
            before += len(interfaces)
            interfaces = []
        if size < 12 or size % 4 or size > _LARGEST:
            raise EOFError(f"a block of {size} bytes")
        body = _exactly(file, size - 8)
        if struct.unpack(f"{order}I", body[-4:])[0] != size:
            raise EOFError("a block whose two lengths differ")
        body = body[:-4]
        if kind == _INTERFACE:
            interfaces.append(_interface(body, order, before + len(interfaces)))
        elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
            yield _packet(kind, body, order, interfaces)


def _options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(f"{order}HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + (size + 3 & ~3)


def _interface(body: bytes, order: str, number: int) -> _Interface:
    link, _, snap = struct.unpack_from(f"{order}HHI", body)
    interface = _Interface(number, link, snap)
    for code, value in _options(body[8:], order):
        if code == _NAME:
            interface.name = value.decode(errors="replace")
        elif code == _RESOLUTION:
            interface.units = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _OFFSET:
            interface.offset = struct.unpack(f"{order}q", value)[0]
    return interface


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Captured:
    index = high = low = 0
    if kind == _SIMPLE_PACKET:
        (size,) = struct.unpack_from(f"{order}I", body)
        at = 4
    elif kind == _PACKET:
        index, high, low, size, _ = struct.unpack_from(f"{order}IIIII", body)
        at = 20
    else:
        index, _, high, low, size, _ = struct.unpack_from(f"{order}HHIIII", body)
        at = 20
    if index >= len(interfaces):
        raise EOFError(f"a packet of interface {index}, which is not described")
    interface = interfaces[index]
    if kind == _SIMPLE_PACKET and interface.snap:
        size = min(size, interface.snap)
    if at + size > len(body):
        raise EOFError(f"a packet of {size} bytes in a block of {len(body)}")
    comment, direction = "", ""
    if kind != _SIMPLE_PACKET:
        for code, value in _options(body[at + (size + 3 & ~3) :], order):
            if code == _COMMENT:
                comment = value.decode(errors="replace")
            elif code == _FLAGS:
                direction = ("", "in", "out", "")[struct.unpack(f"{order}I", value)[0] & 3]
    units = (high << 32 | low) * 1_000_000_000 // interface.units
    time = units + interface.offset * 1_000_000_000 if kind != _SIMPLE_PACKET else 0
    return Captured(
        body[at : at + size],
        time,
        interface.number,
        interface.name,
        interface.link_type,
        direction,  # type: ignore[arg-type]
        comment,
    )
