"""Captures as people have them: with checksums at the frames' ends, joined, cut, damaged, compressed, of another kind.

All that is whole is sent, and then it is said what was left out; or the file is refused before the first frame.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecnet
from tests.datapath.test_tunnels import WIRES, Wire, opened
from tests.datapath.wires import frame, receive, veth
from tests.need import need_command
from vecnet.datapath.port import Port
from vecnet.datapath.record import record, replay
from vecnet.errors import CaptureIncomplete, InputError

FCS = b"\xde\xad\xbe\xef"


def pcap(*packets: bytes, link: int = 1, order: str = "<", cut: int = 0) -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(one), len(one) + cut) + one for one in packets)


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def block(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def enhanced(one: bytes, options: bytes = b"", interface: int = 0) -> bytes:
    head = struct.pack("<IIIII", interface, 0, 0, len(one), len(one))
    return block(6, head + one + b"\0" * (-len(one) % 4) + options)


def pcapng(*blocks: bytes, link: int = 1, options: bytes = b"") -> bytes:
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    return section + block(1, struct.pack("<HHI", link, 0, 0) + options) + b"".join(blocks)


@pytest.fixture
def ports() -> Iterator[tuple[Port, Port]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with (
        one,
        other,
        vecnet.open_port(f"vec0:transport=fd,fd={one.fileno()}") as near,
        vecnet.open_port(f"vec0:transport=fd,fd={other.fileno()}") as far,
    ):
        yield near, far


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pcap(frame(1) + FCS, link=1 | 2 << 28 | 1 << 26), id="a pcap's link type"),
        pytest.param(pcap(frame(1) + FCS[:2], link=1 | 1 << 28 | 1 << 26), id="… of two bytes"),
        pytest.param(pcap(frame(1) + FCS, link=1 | 2 << 28 | 1 << 26, order=">"), id="… big-endian"),
        pytest.param(pcapng(enhanced(frame(1) + FCS), options=option(13, b"\x04")), id="if_fcslen"),
        pytest.param(pcapng(enhanced(frame(1) + FCS, option(2, struct.pack("<I", 4 << 5)))), id="a packet's flags"),
        pytest.param(pcap(frame(1), link=1 | 2 << 28), id="a length that is said not to be known"),
    ],
)
def test_a_declared_checksum_is_cut_off(ports: tuple[Port, Port], tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "fcs").write_bytes(content)
    assert replay(ports[0], file) == 1
    assert receive(ports[1], 1) == [frame(1)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pcap(frame(1)) + pcap(frame(2)), id="pcap, pcap"),
        pytest.param(pcap(frame(1)) + pcap(frame(2), order=">"), id="pcap, pcap of the other byte order"),
        pytest.param(pcap(frame(1)) + pcapng(enhanced(frame(2))), id="pcap, pcapng"),
        pytest.param(pcapng(enhanced(frame(1))) + pcap(frame(2)), id="pcapng, pcap"),
        pytest.param(pcapng(enhanced(frame(1))) + pcapng(enhanced(frame(2))), id="pcapng, pcapng"),
    ],
)
def test_captures_that_were_joined_are_sent_whole(ports: tuple[Port, Port], tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "joined").write_bytes(content)
    assert replay(ports[0], file) == 2
    assert receive(ports[1], 2) == [frame(1), frame(2)]


@pytest.mark.parametrize(
    ("content", "count", "says"),
    [
        pytest.param(pcap(frame(1), frame(2))[:-5], 1, "5 bytes short", id="a pcap cut within a frame"),
        pytest.param(pcap(frame(1)) + b"\0" * 9, 1, "7 bytes short", id="a pcap cut within a head"),
        pytest.param(pcapng(enhanced(frame(1)), enhanced(frame(2)))[:-1], 1, "1 bytes short", id="a pcapng cut"),
        pytest.param(
            pcapng(enhanced(frame(1)), enhanced(frame(2), interface=7), enhanced(frame(3))),
            2,
            "damaged before byte",
            id="a packet of an interface that is not there, between whole ones",
        ),
        pytest.param(pcap(frame(1)) + pcap(frame(2), cut=9)[24:], 1, "1 frames were cut short", id="a snap length"),
    ],
)
def test_what_is_whole_is_sent_before_the_rest_is_told(
    ports: tuple[Port, Port], tmp_path: Path, content: bytes, count: int, says: str
) -> None:
    (file := tmp_path / "damaged").write_bytes(content)
    with pytest.raises(CaptureIncomplete, match=says) as caught:
        replay(ports[0], file)
    assert caught.value.sent == count
    assert receive(ports[1], count) == [frame(1), frame(3)][:count]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(gzip.compress(pcap(frame(1))), "compressed by gzip; unpack it before: gunzip", id="gzip"),
        pytest.param(lzma.compress(pcap(frame(1))), "compressed by xz", id="xz"),
        pytest.param(bz2.compress(pcap(frame(1))), "compressed by bzip2", id="bzip2"),
        pytest.param(pcap(b"E" * 60, link=113), r"Linux cooked ones \(link type 113\); .*tcpdump -i", id="SLL"),
        pytest.param(pcapng(enhanced(b"E" * 60), link=276), r"\(link type 276\)", id="SLL2"),
        pytest.param(pcap(b"E" * 60, link=101), "bare IP packets", id="IP"),
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b"hello, this is no capture", "neither a pcap nor a pcapng file", id="text"),
        pytest.param(pcap(), "no packets at all", id="no packet"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_named(
    ports: tuple[Port, Port], tmp_path: Path, content: bytes, says: str
) -> None:
    (file := tmp_path / "other").write_bytes(content)
    with pytest.raises(InputError, match=says):
        replay(ports[0], file)
    assert ports[0].stats["tx_frames"] == 0


def test_the_count_is_of_what_left(tmp_path: Path) -> None:
    veth()
    (file := tmp_path / "gro.pcap").write_bytes(pcap(frame(1, 9014), frame(2), frame(3, 1515)))
    with vecnet.open_port("vec0:transport=raw,ifname=near") as port:
        assert replay(port, file) == port.stats["tx_frames"] == 1
        assert port.stats["tx_drop_too_long"] == 2


@pytest.mark.parametrize("wire", [WIRES[0], WIRES[5]], ids=lambda wire: wire.name)
def test_tcpdump_reads_what_is_recorded(tmp_path: Path, wire: Wire) -> None:
    need_command("tcpdump")
    file = tmp_path / "recording.pcapng"
    with opened(wire) as (port, _), record(file, port):
        port.send([frame(1), frame(2)])
    done = subprocess.run(["tcpdump", "-n", "-r", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if not line.startswith("\t")]) == 4
    assert done.stdout.count("GREv0") == 2
