"""A netlink socket that moves many messages at once, and the walk over what the kernel answers.

The messages themselves are made elsewhere. `batch` puts up to 256 of them into one sendmsg and reads an answer to each;
`dump` yields a dump's messages. Attributes are walked here and not by a library because a dump of thousands of
interfaces is read on every run.

Source: netlink(7); linux/netlink.h; kernel-documentation "Introduction to Netlink".
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Collection, Iterator, Sequence

from vecnet.errors import HostError
from vecnet.kernel.unforeseen import advice
from vecnet.records import record

NETLINK_GENERIC = 16
NESTED = 0x8000  # in an attribute's type: it holds attributes
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
ACKED = NLM_F_REQUEST | NLM_F_ACK
MAKE = ACKED | 0x600  # NLM_F_CREATE | NLM_F_EXCL
SET = ACKED | 0x500  # NLM_F_CREATE | NLM_F_REPLACE
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLMSGERR_ATTR_MSG = 1
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
SO_RCVBUFFORCE = 33

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

BATCH = 256  # messages per sendmsg; more gain nothing
_ACK_SPACE = 2048  # bytes of receive buffer that one answer may take
_RECEIVE = 1 << 16  # the kernel fills at most 32 KiB at a time
_TIMEOUT = 60.0  # seconds without any answer
_UNSTEADY = 20.0  # seconds: IPv6 settles the addresses of thousands of new interfaces for some
_PAUSE = 0.02  # seconds

Attributes = dict[int, memoryview]


@record(frozen=True, slots=True)
class Refusal:
    """The kernel's answer to a message that it did not do: errno, and its own words where it has some."""

    errno: int
    words: str = ""

    def __str__(self) -> str:
        text = os.strerror(self.errno)
        return f"{self.words.rstrip('.')} ({text})" if self.words else text


class _Layout:
    """Where the wanted attributes of a message are. Thousands of interfaces have few layouts, and it is told at once
    whether a message has this one: whether the same lengths and kinds are at the same places."""

    def __init__(self, data: memoryview, wanted: Collection[int]) -> None:
        self._places: list[tuple[int, int, int]] = []  # kind, begin and end of each
        headers, offset = "=", 0
        while offset + 4 <= len(data):
            length, kind = _ATTRIBUTE.unpack_from(data, offset)
            headers += "HH"
            if length < 4:
                break
            if kind & _TYPE_MASK in wanted:
                self._places.append((kind & _TYPE_MASK, offset + 4, offset + length))
            whole = (length + 3) & ~3
            headers += f"{min(whole, len(data) - offset) - 4}x"
            offset += whole
        self._headers = struct.Struct(headers)
        self._told = self._headers.unpack_from(data)

    def fits(self, data: memoryview) -> bool:
        """Of a message of the same length."""
        return self._headers.unpack_from(data) == self._told

    def read(self, data: memoryview) -> Attributes:
        return {kind: data[begin:end] for kind, begin, end in self._places}


_layouts: dict[tuple[int, bytes, frozenset[int]], _Layout] = {}  # the last one of such messages


def attributes(data: memoryview, wanted: frozenset[int] | None = None) -> Attributes:
    """The attributes in `data` by number, or those of `wanted` alone; of a repeated one the last."""
    if wanted is None:
        return dict(every(data))
    like = len(data), bytes(data[:4]), wanted  # an interface's name comes first, and with it its length
    layout = _layouts.get(like)
    if layout is None or not layout.fits(data):
        layout = _layouts[like] = _Layout(data, wanted)
    return layout.read(data)


def every(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """All attributes in `data`, also repeated ones, in order."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        yield kind & _TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def text(data: memoryview) -> str:
    return bytes(data).rstrip(b"\0").decode(errors="surrogateescape")


def number(data: memoryview) -> int:
    """An unsigned number in the machine's byte order."""
    return int.from_bytes(data, sys.byteorder)


def pack(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """A message whose sequence number is filled in when it is sent."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, 0, 0) + payload


class Socket:
    """A netlink socket of the network namespace that the calling thread is in."""

    def __init__(self, family: int) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        except OSError as error:
            raise HostError(f"no netlink socket: {error.strerror}", advice(error)) from error
        for option, value in ((NETLINK_CAP_ACK, 1), (NETLINK_EXT_ACK, 1), (NETLINK_GET_STRICT_CHK, 1)):
            self._socket.setsockopt(SOL_NETLINK, option, value)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BATCH * _ACK_SPACE)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BATCH * _ACK_SPACE)
        # a reader without privilege gets less than it asked for, and then sends fewer at a time
        granted = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._at_once = max(1, min(BATCH, granted // _ACK_SPACE))
        self._socket.settimeout(_TIMEOUT)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def batch(self, messages: Sequence[bytes]) -> list[Refusal | None]:
        """Send at most `BATCH` messages and return the kernel's answer to each, None where it did as asked.

        An error does not stop what follows it. Raises OSError where answers are lost.
        """
        answers: list[Refusal | None] = []
        for start in range(0, len(messages), self._at_once):
            answers += self._send(messages[start : start + self._at_once])
        return answers

    def _send(self, messages: Sequence[bytes]) -> list[Refusal | None]:
        first = self._sequence + 1
        out = bytearray()
        for one in messages:
            self._sequence += 1
            start = len(out)
            out += one
            struct.pack_into("=I", out, start + 8, self._sequence)
            out += b"\0" * (-len(out) % 4)
        self._socket.sendto(out, (0, 0))
        answers: list[Refusal | None] = [None] * len(messages)
        missing = set(range(len(messages)))
        while missing:
            for kind, flags, sequence, payload in self._receive():
                if kind == NLMSG_ERROR and sequence - first in missing:
                    missing.discard(sequence - first)
                    answers[sequence - first] = _refusal(flags, payload)
        return answers

    def dump(self, request: bytes) -> Iterator[tuple[int, memoryview]]:
        """The type and payload of each message of a dump, all of one moment.

        Raises HostError where the kernel refuses, or where what is dumped does not stand still.
        """
        until = time.monotonic() + _UNSTEADY
        while True:
            found, whole = self._dump(request)
            if whole:
                yield from found
                return
            if time.monotonic() >= until:
                break
            time.sleep(_PAUSE)
        raise HostError("the host's interfaces change faster than they can be read", "try again when it is quieter")

    def _dump(self, request: bytes) -> tuple[list[tuple[int, memoryview]], bool]:
        self._sequence += 1
        out = bytearray(request)
        struct.pack_into("=I", out, 8, self._sequence)
        self._socket.sendto(out, (0, 0))
        found: list[tuple[int, memoryview]] = []
        whole = True
        while True:
            for kind, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    refusal = _refusal(flags, payload) if len(payload) >= 4 else None
                    if refusal:
                        raise HostError(f"the kernel does not list what is there: {refusal}")
                    return found, whole
                found.append((kind, payload))

    def ask(self, request: bytes) -> tuple[int, memoryview]:
        """The one message that answers a request. Raises OSError where the kernel refuses."""
        self._sequence += 1
        out = bytearray(request)
        struct.pack_into("=I", out, 8, self._sequence)
        self._socket.sendto(out, (0, 0))
        while True:
            for kind, flags, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == NLMSG_ERROR:
                    refusal = _refusal(flags, payload)
                    raise OSError(refusal.errno, str(refusal)) if refusal else OSError(0, "no answer")
                return kind, payload

    def _receive(self) -> Iterator[tuple[int, int, int, memoryview]]:
        data = memoryview(self._socket.recv(_RECEIVE))
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
            offset += (length + 3) & ~3


def _refusal(flags: int, payload: memoryview) -> Refusal | None:
    code = -struct.unpack_from("=i", payload)[0]
    if code <= 0:
        return None
    words = ""
    if flags & NLM_F_ACK_TLVS:
        # the error, then the refused message's header, with its payload unless the answer is capped
        size = struct.unpack_from("=I", payload, 4)[0] if len(payload) >= 20 and not flags & NLM_F_CAPPED else 16
        found = attributes(payload[4 + ((size + 3) & ~3) :])
        words = text(found[NLMSGERR_ATTR_MSG]) if NLMSGERR_ATTR_MSG in found else ""
    return Refusal(code, words)
