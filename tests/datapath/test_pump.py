"""The pump between a stream of frames, each behind its length, and packets: any cut, any size, any hostile stream.

the test ══ stream ══ the pump ── packets ── the test
"""

from __future__ import annotations

import os
import random
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.datapath.wires import wait_for
from vecnet.datapath.pump import Pump

LARGEST = 65550
SIZES = (1, 13, 14, 60, 1514, 9014, LARGEST)


@contextmanager
def pumped() -> Iterator[tuple[socket.socket, socket.socket, Pump]]:
    """The stream's other end, the packets' other end, and the pump between them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pump = Pump(theirs.detach())
    with ours, socket.socket(fileno=os.dup(pump.descriptor)) as packets:
        ours.settimeout(20)
        packets.settimeout(20)
        try:
            yield ours, packets, pump
        finally:
            pump.close()


def framed(*frames: bytes) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def unframed(stream: socket.socket, count: int) -> list[bytes]:
    with stream.makefile("rb") as file:
        return [file.read(int.from_bytes(file.read(4), "big")) for _ in range(count)]


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 1000, 70_000, 1 << 20])
def test_frames_come_whole_however_the_stream_is_cut(cut: int) -> None:
    frames = [os.urandom(size) for size in (SIZES if cut > 5 else (1, 13, 14, 60, 300)) for _ in range(3)]
    with pumped() as (stream, packets, _):
        data = framed(*frames)

        def send() -> None:
            for at in range(0, len(data), cut):
                stream.sendall(data[at : at + cut])

        sender = threading.Thread(target=send)
        sender.start()
        assert [packets.recv(70_000) for _ in frames] == frames
        sender.join()


def test_packets_come_out_behind_their_lengths() -> None:
    frames = [os.urandom(size) for size in SIZES for _ in range(40)]
    with pumped() as (stream, packets, pump):
        sender = threading.Thread(target=lambda: [packets.send(frame) for frame in frames])
        sender.start()
        assert unframed(stream, len(frames)) == frames
        sender.join()
        wait_for(lambda: pump.stats == {"pump_frames": len(frames), "pump_drop_size": 0})


def test_both_ways_at_once_and_neither_holds_up_the_other() -> None:
    """While nobody takes packets, nor reads the stream, the other way goes on; then nothing has been lost."""
    out = [random.randbytes(1514) for _ in range(3000)]
    back = [random.randbytes(1514) for _ in range(3000)]
    with pumped() as (stream, packets, _):
        sender = threading.Thread(target=stream.sendall, args=(framed(*out),))
        sender.start()  # fills up the packets' side
        returner = threading.Thread(target=lambda: [packets.send(frame) for frame in back])
        returner.start()
        assert unframed(stream, len(back)) == back
        returner.join()
        assert [packets.recv(2000) for _ in out] == out
        sender.join()


@pytest.mark.parametrize("length", [0, LARGEST + 1, 2**31, 2**32 - 1])
def test_a_length_that_no_frame_has_ends_it(length: int) -> None:
    with pumped() as (stream, packets, _):
        stream.sendall(framed(b"whole") + length.to_bytes(4, "big") + b"rest")
        assert packets.recv(100) == b"whole"
        assert packets.recv(100) == b""


def test_the_end_of_the_stream_is_the_end_of_the_packets() -> None:
    with pumped() as (stream, packets, _):
        stream.sendall(framed(b"last") + b"\0\0\0\x09part")
        stream.close()
        assert packets.recv(100) == b"last"
        assert packets.recv(100) == b""


def test_closing_ends_it_while_it_is_stuck() -> None:
    with pumped() as (stream, _, pump):
        stream.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                stream.send(framed(bytes(1514)))
        pump.close()
        pump.close()
        stream.setblocking(True)
        assert select.select([stream], [], [], 20)[0]


def test_what_is_too_large_for_the_other_side_is_dropped_and_counted() -> None:
    with pumped() as (stream, packets, pump):
        with socket.socket(fileno=os.dup(pump._packets)) as far:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel's least is some thousand bytes
        stream.sendall(framed(bytes(60_000), b"small"))
        assert packets.recv(70_000) == b"small"
        packets.send(bytes(LARGEST + 100))
        packets.send(b"small")
        assert unframed(stream, 1) == [b"small"]
        wait_for(lambda: pump.stats == {"pump_frames": 2, "pump_drop_size": 2})
