"""Recordings, as Wireshark reads them and as they were meant; and captures replayed, whoever wrote them."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader, wrpcap, wrpcapng

import vecnet
from tests.datapath.test_loops import wire as linked
from tests.datapath.test_offload import LARGE, NEEDS_CHECKSUM, TCPV4, content, vnet
from tests.datapath.test_tunnels import WIRES, Wire, every_wire, opened
from tests.datapath.wires import frame, receive, tap, veth
from tests.need import need_command
from vecnet.datapath.capture import Captured, read_capture
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.record import record, replay
from vecnet.errors import InputError, PortError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.pcapng"


def dissected(file: Path) -> list[dict[str, Any]]:
    """Wireshark's view of each packet: its layers' fields. None of them may be malformed."""
    need_command("tshark")
    words = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-d", "udp.port==1706,l2tp"]
    done = subprocess.run(["tshark", "-r", file, *words, "-T", "json"], capture_output=True, text=True, check=True)
    assert "Malformed" not in done.stdout
    assert '"ip.checksum.status": "0"' not in done.stdout
    assert '"udp.checksum.status": "0"' not in done.stdout
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]


def inner_and_outer(file: Path) -> tuple[list[Captured], list[Captured]]:
    packets = list(read_capture(file))
    return [one for one in packets if one.interface == 0], [one for one in packets if one.interface == 1]


@every_wire
def test_a_tunnel_is_recorded_inside_and_outside(wire: Wire, file: Path) -> None:
    header, wrong = bytes.fromhex(wire.taken), bytearray.fromhex(wire.taken)
    checked = next(at for at, cause in enumerate(wire.looked_at) if cause)
    wrong[4 * checked] ^= 1
    before = time.time_ns()
    with opened(wire) as (port, peer), record(file, port):
        port.send([frame(1), frame(2, 99)])
        peer.send(header + frame(3))
        peer.send(bytes(wrong) + frame(4))
        peer.send(header + frame(5, 61))
        assert receive(port, 2) == [frame(3), frame(5, 61)]
    inner, outer = inner_and_outer(file)
    assert [(one.direction, one.data) for one in inner] == [
        ("out", frame(1)),
        ("out", frame(2, 99)),
        ("in", frame(3)),
        ("in", frame(5, 61)),
    ]
    near, far = ("fd00::1", "fd00::2") if wire.v6 else ("127.0.0.1", "127.0.0.2")
    sent = [bytes.fromhex(text) + frame(*what) for text, what in zip(wire.sent, [(1,), (2, 99)], strict=True)]
    came = [header + frame(3), bytes(wrong) + frame(4), header + frame(5, 61)]
    size = 14 + (40 if wire.v6 else 20) + 8 * wire.udp
    ethernet = bytes(12) + (b"\x86\xdd" if wire.v6 else b"\x08\x00")  # whose addresses no socket shows
    assert {one.data[:14] for one in outer} == {ethernet}
    assert [one.data[size:] for one in outer] == [*sent, *came]
    assert [one.comment for one in outer] == ["", "", "", f"dropped: rx_drop_{wire.looked_at[checked]}", ""]
    assert [one.direction for one in outer] == ["out", "out", "in", "in", "in"]
    assert all(before <= one.time <= time.time_ns() for one in (*inner, *outer))
    assert [one.time for one in outer] == sorted(one.time for one in outer)
    for one in outer:
        ends = (near, far) if one.direction == "out" else (far, near)
        family, at, length = (socket.AF_INET6, 22, 16) if wire.v6 else (socket.AF_INET, 26, 4)
        packed = b"".join(socket.inet_pton(family, end) for end in ends)
        assert one.data[at : at + 2 * length] == packed
        if wire.udp:
            ports = (1706, 1707) if one.direction == "out" else (1707, 1706)
            assert one.data[at + 2 * length :][:4] == struct.pack("!HH", *ports)


@pytest.mark.parametrize("wire", [WIRES[5], WIRES[2], WIRES[10], WIRES[11]], ids=lambda wire: wire.name)
def test_wireshark_dissects_the_tunnel(wire: Wire, file: Path) -> None:
    with opened(wire) as (port, peer), record(file, port):
        port.send([frame(1), frame(2, 101)])
        peer.send(bytes.fromhex(wire.taken) + frame(3))
        receive(port, 1)
    layers = dissected(file)
    assert [packet["frame"]["frame.interface_id"] for packet in layers] == ["0", "1", "0", "1", "1", "0"]
    names = {packet["frame"]["frame.interface_id_tree"]["frame.interface_name"] for packet in layers}
    assert names == {"vec0", "vec0 outer"}
    outer = [packet for packet in layers if packet["frame"]["frame.interface_id"] == "1"]
    for packet in outer:
        assert ("ipv6" if wire.v6 else "ip") in packet
        if wire.udp:
            assert packet["udp"]["udp.length"] == str(int(packet["frame"]["frame.len"]) - 14 - (40 if wire.v6 else 20))
        else:
            assert packet["gre"]["gre.proto"] == "0x6558"
            assert packet["gre"]["gre.key"] in ("0x11223344", "0xfffffffe")
            assert "eth" in packet


def test_a_large_frame_is_whole_outside_and_cut_inside(file: Path) -> None:
    given = vnet(TCPV4, 1448, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM) + LARGE
    veth()
    with (
        vecnet.open_port("vec0:transport=raw,ifname=near,gro=1", offload="raw") as one,
        vecnet.open_port("vec1:transport=raw,ifname=far,gro=1") as other,
        record(file, one, other),
    ):
        one.send(given)
        assert len(receive(other, 4)) == 4
    packets = list(read_capture(file))
    assert [(one.interface_name, len(one.data)) for one in packets] == [
        ("vec0", 5054),
        ("vec0 outer", 5054),
        ("vec1 outer", 5054),
        *[("vec1", 1502)] * 3,
        ("vec1", 710),
    ]
    assert packets[2].data == LARGE
    assert "gso type 1 size 1448, checksum from 34 at +16" in packets[2].comment
    assert b"".join(one.data[54:] for one in packets[3:]) == content(5000)
    for packet in dissected(file)[3:]:
        assert packet["tcp"]["tcp.len"] in ("1448", "656")


def test_what_could_not_be_sent_stands_there_with_its_cause(file: Path) -> None:
    veth()
    with vecnet.open_port("vec0:transport=raw,ifname=near") as port, record(file, port):
        assert port.send([frame(1, 1515), frame(2)]) == 2
    comments = [(one.interface, one.comment) for one in read_capture(file)]
    assert comments == [(0, "dropped: tx_drop_too_long"), (1, "dropped: tx_drop_too_long"), (0, ""), (1, "")]


def test_loops_are_recorded_from_both_directions_at_once(file: Path) -> None:
    with linked("veth") as (one, other), record(file, one, other):
        drains = [drain(one, count=5000, seconds=60, stream=1), drain(other, count=5000, seconds=60, stream=2)]
        generators = [
            generate(one, count=5000, size=(34, 1514), follow=drains[1], stream=2),
            generate(other, count=5000, size=(34, 1514), follow=drains[0], stream=1),
        ]
        assert [loop.wait()["lost"] for loop in drains] == [0, 0]
        for loop in generators:  # what is sent is written after it was
            loop.wait()
    seen: dict[tuple[str, str], list[int]] = {}
    for packet in read_capture(file):
        seen.setdefault((packet.interface_name, packet.direction), []).append(int.from_bytes(packet.data[20:28], "big"))
    both = sorted(2 * list(range(5000)))  # the two ports' devices have the same name
    assert {key: sorted(numbers) for key, numbers in seen.items()} == {
        (name, direction): both for name in ("vec0", "vec0 outer") for direction in ("in", "out")
    }


def test_scapy_and_capinfos_read_it_too(file: Path) -> None:
    need_command("capinfos")
    with linked("fd") as (one, other), record(file, one):
        one.send([frame(n) for n in range(5)])
        receive(other, 5)
    raw = RawPcapNgReader(str(file))
    read = list(raw)
    raw.close()
    assert [data for data, _ in read] == [frame(n // 2) for n in range(10)]
    printed = subprocess.run(["capinfos", "-M", file], capture_output=True, text=True, check=True).stdout
    assert "Number of packets:   10" in printed
    assert printed.count("Time precision = nanoseconds (9)") == 2
    assert "Number of interfaces in file: 2" in printed


def test_recording_ends_before_or_after_its_ports_and_can_begin_again(file: Path, tmp_path: Path) -> None:
    with linked("fd") as (one, other):
        first = record(file, one)
        one.send(frame(1))
        first.close()
        one.send(frame(2))
        second = record(tmp_path / "second", one)
        with pytest.raises(PortError, match="recorded there already"):
            second.add(one)
        one.send(frame(3))
        second.flush()
        assert [packet.data for packet in read_capture(tmp_path / "second")] == [frame(3)] * 2
        assert len(receive(other, 3)) == 3
    second.close()
    second.close()
    assert [packet.data for packet in read_capture(file)] == [frame(1)] * 2
    with linked("fd") as (one, _), drain(one):
        time.sleep(0.05)
        with pytest.raises(PortError, match="begin to record before"):
            record(file, one)


def test_a_frame_that_a_tap_refuses_among_others_is_told(file: Path) -> None:
    tap()
    with vecnet.open_port("vec0:transport=tap,ifname=tap0") as port, record(file, port):
        assert port.send([frame(1), b"short", frame(2)]) == 3
        assert (port.stats["tx_frames"], port.stats["tx_drop_invalid"]) == (2, 1)
    inner, _ = inner_and_outer(file)
    told = [(one.data, one.comment) for one in inner]
    assert told == [(frame(1), ""), (b"short", "dropped: tx_drop_invalid"), (frame(2), "")]


def test_what_cannot_be_recorded_is_said(file: Path) -> None:
    with linked("fd") as (one, _), contextlib.ExitStack() as held:
        recorder = record(file)
        for _ in range(64):
            recorder.add(held.enter_context(linked("fd"))[0])
        with pytest.raises(PortError, match="64 ports"):
            recorder.add(one)
        recorder.close()
        with pytest.raises(PortError, match="recording is closed"):
            recorder.add(one)
        with record(file) as other, pytest.raises(PortError, match="cannot be recorded"):
            other.add(one, "n" * 70_000)


def test_a_disk_that_is_full_is_said_and_the_port_goes_on() -> None:
    with linked("fd") as (one, other):
        recorder = record("/dev/full", one)
        for _ in range(300):
            one.send(frame(1, 1514))
            receive(other, 1)
        with pytest.raises(OSError, match="No space left"):
            recorder.close()
        assert one.send(frame(2)) == 1


def test_a_recording_is_replayed(file: Path) -> None:
    with linked("fd") as (one, other):
        with record(file, one):
            one.send([frame(n, 60 + n) for n in range(200)])
            got = receive(other, 200)
            other.send(frame(999))
            receive(one, 1)
        assert replay(one, file) == 201
        assert receive(other, 201) == [*got, frame(999)]
        assert replay(one, file, direction="in") == 1
        assert receive(other, 1) == [frame(999)]
        assert replay(one, file, interface="vec0 outer", direction="out") == 200
        assert receive(other, 200) == got
        with pytest.raises(InputError, match="no such Ethernet frames"):
            replay(one, file, interface="vec7")
        for wrong in ({"speed": 0}, {"speed": -1}, {"speed": float("nan")}, {"direction": "up"}):
            with pytest.raises(InputError, match=next(iter(wrong))):
                replay(one, file, **wrong)
        with pytest.raises(FileNotFoundError):
            replay(one, file.with_name("none"))


@pytest.mark.parametrize("kind", ["pcap", "pcap, nanoseconds", "pcap, big-endian", "pcapng"])
def test_captures_of_others_are_replayed(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "capture")
    packets = [Ether(frame(n, 60 + n)) for n in range(9)]
    for n, packet in enumerate(packets):
        packet.time = 1_700_000_000 + n / 1000
    if kind == "pcapng":
        wrpcapng(path, packets)
    else:
        wrpcap(path, packets, nano="nano" in kind, endianness=">" if "big" in kind else "<")
    assert [round(packet.time / 1e6) for packet in read_capture(path)] == [1_700_000_000_000 + n for n in range(9)]
    with linked("fd") as (one, other):
        began = time.monotonic()
        assert replay(one, path, speed=0.1) == 9
        assert time.monotonic() - began >= 0.079
        assert receive(other, 9) == [frame(n, 60 + n) for n in range(9)]


def test_a_damaged_file_is_an_error_with_its_place_wherever_it_is_cut(file: Path, tmp_path: Path) -> None:
    with linked("fd") as (one, _), record(file, one):
        one.send([frame(1), frame(2)])
    whole = file.read_bytes()
    ends = {0}
    at = 0
    while at < len(whole):
        at += struct.unpack_from("<I", whole, at + 4)[0]
        ends.add(at)
    broken = tmp_path / "broken"
    for size in range(len(whole)):
        broken.write_bytes(whole[:size])
        if size in ends and size:
            assert len(list(read_capture(broken))) <= 4
        else:
            with pytest.raises(InputError, match=r"damaged before byte \d+|neither a pcap|the file is empty"):
                list(read_capture(broken))
    chance = random.Random(7)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(whole))] = chance.choice((0, 1, 4, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        broken.write_bytes(damaged)
        with contextlib.suppress(InputError):
            list(read_capture(broken))
