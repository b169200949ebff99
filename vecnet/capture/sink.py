"""Where captured packets go: a file, a ring of files, standard output; and how many of them.

pcapng is a row of blocks: draft-ietf-opsawg-pcapng, section 3.1. Each file of a ring begins with the blocks that say
what interfaces there are, so that it can be read by itself.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vecnet.datapath.native import whole_packets
from vecnet.errors import HostError
from vecnet.kernel.bpf import Filter
from vecnet.kernel.unforeseen import advice

_HEAD = struct.Struct("=II")  # a block's kind and size
_INTERFACE = struct.Struct("=I")  # the first word of a packet's block
_PACKET_HEAD = struct.Struct("=IIII")  # interface, two halves of the time, bytes that were captured; then a word
_LINK_TYPE = struct.Struct("=H")  # the first half word of an interface's description
_WORD = 4
_SECTION, _DESCRIPTION, _PACKET = 0x0A0D0D0A, 1, 6
_ETHERNET = 1  # LINKTYPE_ETHERNET
_SILENT = struct.pack("=IIHHII", _DESCRIPTION, 20, _ETHERNET, 0, 0, 20)  # libpcap reads no file without an interface
_SMALLEST, _SMALLEST_PACKET = 16, 32  # bytes of a block, with a word of its own
_LARGEST = 1 << 20  # … which holds a large frame
_TOGETHER = 1 << 16  # bytes of packets that are written as one, and to one file of a ring


class Blocks:
    """A stream of bytes, cut into its blocks."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes, together: bool = False) -> Iterator[tuple[int, bytes, int]]:
        """Kind and bytes of each block that is whole by now; of one that has a frame, 1. Raises HostError at none.

        Or many packets' blocks `together`, with the number of their frames.
        """
        data = self._rest + data
        view = memoryview(data)
        at = 0
        while len(data) - at >= _HEAD.size:
            if together:
                size, frames = whole_packets(view[at:], _TOGETHER)
                if size:
                    yield _PACKET, data[at : at + size], frames
                    at += size
                    continue
            kind, size = _HEAD.unpack_from(data, at)
            if not (_SMALLEST_PACKET if kind == _PACKET else _SMALLEST) <= size <= _LARGEST:
                raise HostError("what is captured is no pcapng", "is who serves of another version?")
            if len(data) - at < size:
                break
            frame = (
                kind == _PACKET and _INTERFACE.unpack_from(data, at + _HEAD.size)[0] % 2 == 0
            )  # the outer side is odd
            yield kind, data[at : at + size], int(frame)
            at += size
        self._rest = data[at:]


class Sink:
    """Takes pcapng, and writes it to a descriptor, which it takes over."""

    def __init__(self, descriptor: int, most: int | None = None, chosen: Filter | None = None) -> None:
        """`most`: packets that are taken; None is any number. `chosen`: those alone that it lets pass, which are
        Ethernet frames; outer packets of a tunnel are none."""
        self.packets = 0
        self._chosen = chosen
        self._ethernet: list[bool] = []  # of the section's interfaces
        self._descriptor, self._most = descriptor, most
        self._blocks = Blocks()
        self._lacks_interface = False  # a section has begun, and names none yet

    @property
    def full(self) -> bool:
        return self._most is not None and self.packets >= self._most

    def feed(self, data: bytes) -> None:
        """Raises OSError, and HostError where that is no pcapng."""
        taken = []
        each = self._most is not None or self._chosen is not None  # packet is looked at
        for kind, block, frames in self._blocks.feed(data, together=not each):
            if kind in (_SECTION, _DESCRIPTION):
                self._lacks_interface = kind == _SECTION
                self._know(kind, block)
            if kind == _PACKET:
                if each and (self.full or not self._wants(block)):
                    continue
                self.packets += frames
            taken.append((kind, block))
        self._write(taken)

    def _know(self, kind: int, block: bytes) -> None:
        if kind == _SECTION:
            self._ethernet = []
        else:
            self._ethernet.append(_LINK_TYPE.unpack_from(block, _HEAD.size)[0] == _ETHERNET)

    def _wants(self, block: bytes) -> bool:
        if self._chosen is None:
            return True
        number, _, _, size = _PACKET_HEAD.unpack_from(block, _HEAD.size)
        start = _HEAD.size + _PACKET_HEAD.size + _WORD
        known = number < len(self._ethernet) and self._ethernet[number]
        return known and self._chosen.passes(block[start : start + size])

    def _write(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        _write_all(self._descriptor, b"".join(block for _, block in blocks))

    def close(self) -> None:
        with suppress(OSError):  # nobody reads any more
            _write_all(self._descriptor, _SILENT if self._lacks_interface else b"")
        os.close(self._descriptor)


class Ring(Sink):
    """Writes to one file after another, and keeps the newest: lab.pcapng is lab-00001.pcapng, lab-00002.pcapng, …"""

    def __init__(self, path: str, files: int, size: int, most: int | None = None, chosen: Filter | None = None) -> None:
        """`files` of about `size` bytes each are kept. Raises OSError."""
        self._path, self._files, self._size = Path(path), files, size
        self._kept: deque[Path] = deque()
        self._number = self._used = 0
        self._head = b""  # what every file begins with
        super().__init__(self._next(), most, chosen)

    def _next(self) -> int:
        self._number += 1
        path = self._path.with_name(f"{self._path.stem}-{self._number:05}{self._path.suffix}")
        descriptor = create(str(path))
        self._kept.append(path)
        if len(self._kept) > self._files:
            self._kept.popleft().unlink(missing_ok=True)
        return descriptor

    def _write(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        for kind, block in blocks:
            if kind == _PACKET and self._used > len(self._head) and self._used + len(block) > self._size:
                os.close(self._descriptor)
                self._descriptor = self._next()
                _write_all(self._descriptor, self._head)
                self._used = len(self._head)
            if kind in (_SECTION, _DESCRIPTION):
                self._head += block
            _write_all(self._descriptor, block)
            self._used += len(block)


def create(path: str) -> int:
    """A new file's descriptor. Raises HostError."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise HostError(f"the capture cannot be written to {path}: {error.strerror}", advice(error)) from None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
