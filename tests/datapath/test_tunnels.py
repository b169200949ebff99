"""gre and l2tpv3: what is sent and what is taken, byte for byte, against plain sockets.

    port, vecnet ── src ═══ dst ── a raw or UDP socket of the test, on one loopback interface

A table of literal bytes drives both directions. `looked_at` names the counter of each byte of the header: what rises
when that byte is wrong. "" is a byte that a guest never looks at.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

import vecnet
from tests.datapath.wires import frame, nothing_more, receive, wait_for
from tests.host.network import ip
from vecnet.datapath.port import Port

V4 = "src=127.0.0.1,dst=127.0.0.2"
V6 = "src=fd00::1,dst=fd00::2,v6=1"
GRE = "vec0:transport=gre"
L2TP = "vec0:transport=l2tpv3"
UDP = "udp=1,srcport=1706,dstport=1707"
PORTS = (1706, 1707)
FLAGS, KEY, SESSION, COOKIE, ANY = "flags", "key", "session", "cookie", ""


@dataclass
class Wire:
    """`sent`: the headers of the first two packets. `taken`: a header that is accepted."""

    name: str
    device: str
    sent: tuple[str, str]
    taken: str
    looked_at: tuple[str, ...]  # one for each 4 bytes

    @property
    def v6(self) -> bool:
        return "v6=1" in self.device

    @property
    def udp(self) -> bool:
        return "udp=1" in self.device

    @property
    def protocol(self) -> int:
        return socket.IPPROTO_GRE if "gre" in self.device else 115


def wire(name: str, device: str, sent: str | tuple[str, str], taken: str, *looked_at: str) -> Wire:
    return Wire(name, device, (sent, sent) if isinstance(sent, str) else sent, taken, looked_at)


KEYS = "rx_key=0x11223344,tx_key=-2"
COOKIES32 = "rx_session=0x7fffffff,tx_session=-1,rx_cookie=0xa1a2a3a4,tx_cookie=0xb1b2b3b4"
COOKIES64 = "rx_session=1,tx_session=-2,cookie64=1,rx_cookie=0xa1a2a3a4a5a6a7a8,tx_cookie=0xb1b2b3b4b5b6b7b8"
SESSIONS = "rx_session=0x10,tx_session=0x20"
WIRES = [
    wire("gre", f"{GRE},{V4}", "00006558", "00006558", FLAGS),
    wire("gre-v6", f"{GRE},{V6}", "00006558", "00006558", FLAGS),
    wire("gre-keys", f"{GRE},{V4},{KEYS}", "20006558 fffffffe", "20006558 11223344", FLAGS, KEY),
    wire(
        "gre-sequence",
        f"{GRE},{V4},sequence=1",
        ("10006558 00000001", "10006558 00000002"),
        "10006558 deadbeef",
        *(FLAGS, ANY),
    ),
    wire(
        "gre-pinned",
        f"{GRE},{V4},sequence=1,pin_sequence=1",
        "10006558 00000000",
        "10006558 00000007",
        *(FLAGS, ANY),
    ),
    wire(
        "gre-everything-v6",
        f"{GRE},{V6},{KEYS},sequence=1",
        ("30006558 fffffffe 00000001", "30006558 fffffffe 00000002"),
        "30006558 11223344 00000000",
        *(FLAGS, KEY, ANY),
    ),
    wire("l2tp-udp", f"{L2TP},{V4},{UDP},{SESSIONS}", "00030000 00000020", "00030000 00000010", ANY, SESSION),
    wire("l2tp-udp-v6", f"{L2TP},{V6},{UDP},{SESSIONS}", "00030000 00000020", "00030000 00000010", ANY, SESSION),
    wire("l2tp-ip", f"{L2TP},{V4},{SESSIONS}", "00000020", "00000010", SESSION),
    wire("l2tp-ip-v6", f"{L2TP},{V6},{SESSIONS}", "00000020", "00000010", SESSION),
    wire(
        "l2tp-udp-cookie32-counter",
        f"{L2TP},{V4},{UDP},{COOKIES32},counter=1",
        ("00030000 ffffffff b1b2b3b4 00000001", "00030000 ffffffff b1b2b3b4 00000002"),
        "00030000 7fffffff a1a2a3a4 ffffffff",
        *(ANY, SESSION, COOKIE, ANY),
    ),
    wire(
        "l2tp-udp-cookie64-pinned-v6",
        f"{L2TP},{V6},{UDP},{COOKIES64},counter=1,pin_counter=1",
        "00030000 fffffffe b1b2b3b4 b5b6b7b8 00000000",
        "00030000 00000001 a1a2a3a4 a5a6a7a8 00000003",
        *(ANY, SESSION, COOKIE, COOKIE, ANY),
    ),
    wire(
        "l2tp-ip-cookie64-counter",
        f"{L2TP},{V4},{COOKIES64},counter=1",
        ("fffffffe b1b2b3b4 b5b6b7b8 00000001", "fffffffe b1b2b3b4 b5b6b7b8 00000002"),
        "00000001 a1a2a3a4 a5a6a7a8 00000000",
        *(SESSION, COOKIE, COOKIE, ANY),
    ),
    wire(
        "l2tp-ip-cookie32-v6",
        f"{L2TP},{V6},{COOKIES32}",
        "ffffffff b1b2b3b4",
        "7fffffff a1a2a3a4",
        *(SESSION, COOKIE),
    ),
]
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


class Peer:
    """The other end: what stands in the outer packet's payload, and nothing else."""

    def __init__(self, wire: Wire, local: str) -> None:
        self.wire = wire
        family = socket.AF_INET6 if wire.v6 else socket.AF_INET
        if wire.udp:
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
            self.socket.bind((local, PORTS[1]))
        else:
            self.socket = socket.socket(family, socket.SOCK_RAW, wire.protocol)
            self.socket.bind((local, 0))
        self.socket.settimeout(5)

    def send(self, payload: bytes) -> None:
        near = "fd00::1" if self.wire.v6 else "127.0.0.1"
        self.socket.sendto(payload, (near, PORTS[0] if self.wire.udp else 0))

    def recv(self) -> bytes:
        data = self.socket.recv(70000)
        return data[20:] if not self.wire.v6 and not self.wire.udp else data


def v6_addresses() -> None:
    """fd00::1 to 3 on the loopback, which receives for them a little after they were added."""
    addresses = [f"fd00::{n}" for n in (1, 2, 3)]
    for address in addresses:
        ip("addr", "add", f"{address}/128", "dev", "lo", "nodad")
    wait_for(lambda: all(f"local {address} " in ip("-6", "route", "show", "table", "local") for address in addresses))


@contextmanager
def opened(wire: Wire, *, strict_source: bool = False, local: str = "") -> Iterator[tuple[Port, Peer]]:
    if wire.v6:
        v6_addresses()
    peer = Peer(wire, local or ("fd00::2" if wire.v6 else "127.0.0.2"))
    with peer.socket, vecnet.open_port(wire.device, strict_source=strict_source) as port:
        yield port, peer


def drops(port: Port) -> dict[str, int]:
    return {name: n for name, n in port.stats.items() if "_drop_" in name and n}


@every_wire
def test_forms_the_guest_s_header(wire: Wire) -> None:
    frames = [frame(1), frame(2, 1514)]
    with opened(wire) as (port, peer):
        assert port.send(frames) == 2
        for header, sent in zip(wire.sent, frames, strict=True):
            assert peer.recv() == bytes.fromhex(header) + sent
        stats = port.stats
    assert (stats["tx_frames"], stats["tx_bytes"]) == (2, 60 + 1514)
    assert not drops(port)


@every_wire
def test_takes_what_a_guest_takes_and_counts_the_rest(wire: Wire) -> None:
    header = bytes.fromhex(wire.taken)
    with opened(wire) as (port, peer):
        peer.send(header + frame(1))
        assert receive(port, 1) == [frame(1)]
        expected: dict[str, int] = {}
        taken = []
        for at in range(len(header)):
            for bit in range(8):
                wrong = bytearray(header)
                wrong[at] ^= 1 << bit
                peer.send(bytes(wrong) + frame(2 + 8 * at + bit))
                cause = wire.looked_at[at // 4]
                if cause:
                    expected[f"rx_drop_{cause}"] = expected.get(f"rx_drop_{cause}", 0) + 1
                else:
                    taken.append(frame(2 + 8 * at + bit))
        assert receive(port, len(taken)) == taken
        nothing_more(port)
        assert drops(port) == expected
        assert port.stats["rx_encaps_errors"] == sum(expected.values())
        assert port.stats["rx_frames"] == 1 + len(taken)


@every_wire
def test_counts_what_is_no_longer_than_the_header(wire: Wire) -> None:
    header = bytes.fromhex(wire.taken)
    with opened(wire) as (port, peer):
        for size in range(1, len(header) + 1):
            peer.send(header[:size])
        peer.send(header + b"x")
        assert receive(port, 1) == [b"x"]
        assert drops(port) == {"rx_drop_short": len(header)}


@every_wire
def test_knows_its_peer_only_when_told_to(wire: Wire) -> None:
    header = bytes.fromhex(wire.taken)
    stranger = "fd00::3" if wire.v6 else "127.0.0.3"
    with opened(wire, local=stranger) as (port, peer):
        peer.send(header + frame(1))
        assert receive(port, 1) == [frame(1)]
        port.close()
        with vecnet.open_port(wire.device, strict_source=True) as strict:
            peer.send(header + frame(2))
            peer.socket.close()
            friend = Peer(wire, "fd00::2" if wire.v6 else "127.0.0.2")
            with friend.socket:
                friend.send(header + frame(3))
                assert receive(strict, 1) == [frame(3)]
            assert drops(strict) == {"rx_drop_source": 1}


@every_wire
def test_two_mirrored_ports_talk(wire: Wire) -> None:
    if wire.v6:
        v6_addresses()
    device = vecnet.parse(wire.device)
    with vecnet.open_port(device) as one, vecnet.open_port(device.mirror(), strict_source=True) as other:
        frames = [frame(n, 60 + 7 * n) for n in range(100)]
        assert one.send(frames) == 100
        assert receive(other, 100) == frames
        assert other.send(frames) == 100
        assert receive(one, 100) == frames
        assert not drops(one)
        assert not drops(other)


def test_the_number_wraps_and_refused_frames_take_one() -> None:
    """Every frame that a guest forms a header for has a number, even where the kernel then refuses it."""
    wire = WIRES[3]
    with opened(wire) as (port, peer):
        assert port.send([frame(1), bytes(70000), frame(2)]) == 3
        assert peer.recv()[:8].hex() == "1000655800000001"
        assert peer.recv()[:8].hex() == "1000655800000003"
        assert drops(port) == {"tx_drop_too_long": 1}


def test_frames_longer_than_the_mtu_are_dropped_and_counted() -> None:
    header = bytes.fromhex(WIRES[0].taken)
    with opened(WIRES[0]) as (port, peer):
        tagged = frame(1, 1518)[:12] + bytes.fromhex("81000005") + frame(1, 1518)[16:]
        for packet in (frame(2, 1514), frame(3, 1515), tagged, frame(4, 60000), frame(5)):
            peer.send(header + packet)
        assert receive(port, 3) == [frame(2, 1514), tagged, frame(5)]
        assert drops(port) == {"rx_drop_truncated": 2}
    with vecnet.open_port(f"{GRE},{V4}", keep_truncated=True) as port:
        far = Peer(WIRES[0], "127.0.0.2")
        with far.socket:
            far.send(header + frame(4, 60000))
        assert receive(port, 1) == [frame(4, 60000)[:1514]]
        assert port.stats["rx_kept_truncated"] == 1
    with vecnet.open_port(f"{GRE},{V4},gro=1") as port:
        far = Peer(WIRES[0], "127.0.0.2")
        with far.socket:
            far.send(header + frame(4, 60000))
        assert receive(port, 1) == [frame(4, 60000)]
