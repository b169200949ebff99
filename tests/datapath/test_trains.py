"""Trains: many UDP packets of one length in one message. On the wire they are the packets that they would be alone.

port, vecnet ── 127.0.0.1:1706 ═══ 127.0.0.2:1707 ── a port, or a plain UDP socket that knows of no trains
"""

from __future__ import annotations

import socket
import struct

import pytest

import vecnet
from tests.datapath.wires import frame, nothing_more, receive
from tests.host.network import ip

HERE, THERE = ("127.0.0.1", 1706), ("127.0.0.2", 1707)
DEVICE = vecnet.parse(
    "vec0:transport=l2tpv3,src=127.0.0.1,dst=127.0.0.2,udp=1,srcport=1706,dstport=1707,"
    "rx_session=7,tx_session=9,rx_cookie=3,tx_cookie=4,counter=1,depth=128"
)
HEADER = struct.Struct("!IIII")  # 00030000, session, cookie, counter
UDP_SEGMENT = 103  # linux/udp.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h


def plain_socket() -> socket.socket:
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    plain.bind(THERE)
    plain.settimeout(5)
    return plain


LENGTHS = {
    "one length": [200] * 100,
    "the last shorter": [200] * 40 + [60],
    "mixed": [60, 61, 61, 60, 1514, 1514, 1513, 60, 60, 60, 200, 199, 200, 199],
    "rising": list(range(60, 160)),
    "falling": list(range(160, 60, -1)),
    "the largest": [1514] * 128,
    "one": [1514],
}


@pytest.mark.parametrize("name", LENGTHS)
def test_every_packet_of_a_train_is_whole_and_numbered(name: str) -> None:
    frames = [frame(number, length) for number, length in enumerate(LENGTHS[name])]
    with plain_socket() as plain, vecnet.open_port(DEVICE) as port:
        assert port.send(frames) == len(frames)
        for number, sent in enumerate(frames):
            assert plain.recv(4096) == HEADER.pack(0x00030000, 9, 4, number + 1) + sent
        assert port.stats["tx_frames"] == len(frames)
        assert port.stats["tx_bytes"] == sum(map(len, frames))


@pytest.mark.parametrize("name", LENGTHS)
def test_between_two_ports(name: str) -> None:
    frames = [frame(number, length) for number, length in enumerate(LENGTHS[name])]
    with vecnet.open_port(DEVICE) as one, vecnet.open_port(DEVICE.mirror()) as other:
        assert one.send(frames) == len(frames)
        assert receive(other, len(frames)) == frames
        nothing_more(other)
        assert other.stats["rx_frames"] == len(frames)


def test_a_train_is_one_message() -> None:
    with vecnet.open_port(DEVICE) as one, vecnet.open_port(DEVICE.mirror()) as other:
        one.send([frame(number, 200) for number in range(64)])
        assert len(receive(other, 64)) == 64
        assert other.stats["rx_batch_max"] == 1  # messages by one call, not frames


def test_one_at_a_time_where_the_string_says_so() -> None:
    device = vecnet.parse(str(DEVICE).replace("depth=128", "depth=1"))
    with plain_socket() as plain, vecnet.open_port(device) as port:
        port.send([frame(number) for number in range(10)])
        assert port.stats["tx_calls"] == 10
        assert len(plain.recv(4096)) == HEADER.size + 60


def send_train(plain: socket.socket, payload: bytes, size: int) -> None:
    plain.sendmsg([payload], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", size))], 0, HERE)


def packet(number: int, *, session: int = 7, cookie: int = 3, size: int = 100) -> bytes:
    return HEADER.pack(0x00030000, session, cookie, 0) + frame(number, size)


def test_each_packet_that_comes_in_a_train_is_judged_alone() -> None:
    train = [packet(0), packet(1, session=8), packet(2), packet(3, cookie=1), packet(4, size=60)]
    with plain_socket() as plain, vecnet.open_port(DEVICE) as port:
        send_train(plain, b"".join(train), len(train[0]))
        assert receive(port, 3) == [frame(0, 100), frame(2, 100), frame(4, 60)]
        nothing_more(port)
        assert port.stats["rx_drop_session"] == 1
        assert port.stats["rx_drop_cookie"] == 1
        assert port.stats["rx_frames"] == 3


@pytest.mark.parametrize("rest", range(1, HEADER.size + 1))
def test_a_train_that_ends_within_a_header(rest: int) -> None:
    with plain_socket() as plain, vecnet.open_port(DEVICE) as port:
        send_train(plain, packet(0) + packet(1) + packet(2)[:rest], len(packet(0)))
        assert receive(port, 2) == [frame(0, 100), frame(1, 100)]
        nothing_more(port)
        assert port.stats["rx_drop_short"] == 1


def test_a_train_of_packets_that_are_too_long_or_hold_no_frame() -> None:
    with plain_socket() as plain, vecnet.open_port(DEVICE) as port:
        send_train(plain, b"".join(packet(number, size=1600) for number in range(5)), HEADER.size + 1600)
        send_train(plain, b"x" * 50, 1)
        plain.sendto(packet(9), HERE)
        assert receive(port, 1) == [frame(9, 100)]
        assert port.stats["rx_drop_truncated"] == 5
        assert port.stats["rx_drop_short"] == 50


def test_a_few_at_a_time_is_enough() -> None:
    frames = [frame(number, 100) for number in range(50)]
    with vecnet.open_port(DEVICE) as one, vecnet.open_port(DEVICE.mirror()) as other:
        one.send(frames)
        got: list[bytes] = []
        while len(got) < len(frames):
            got += other.recv(1.0, most=3)
            assert got == frames[: len(got)]


def test_a_path_that_takes_no_such_train_gets_single_packets() -> None:
    ip("link", "set", "lo", "mtu", "1000")
    frames = [frame(number, length) for number, length in enumerate([1514] * 20 + [500] * 20 + [1514] * 5)]
    with plain_socket() as plain, vecnet.open_port(DEVICE) as port:
        for _ in range(2):
            assert port.send(frames) == len(frames)
        for number, sent in enumerate(frames * 2):
            assert plain.recv(4096) == HEADER.pack(0x00030000, 9, 4, number + 1) + sent
        drops = {name: count for name, count in port.stats.items() if "drop" in name and count}
        assert drops == {}


def test_frames_with_their_offload_header_come_one_by_one() -> None:
    with plain_socket() as plain, vecnet.open_port(DEVICE, offload="raw") as port:
        send_train(plain, packet(0) + packet(1), len(packet(0)))
        assert receive(port, 2) == [bytes(10) + frame(0, 100), bytes(10) + frame(1, 100)]
        port.send([bytes(10) + frame(number, 100) for number in range(5)])
        for number in range(5):
            assert plain.recv(4096)[HEADER.size :] == frame(number, 100)


def test_a_firewall_that_refuses_a_train_refuses_each_of_its_packets() -> None:
    from tests.loopback.test_sabotage import nft
    from tests.need import need_command

    need_command("nft")
    nft("table inet f { chain o { type filter hook output priority 0; meta l4proto udp drop; }\n}")
    with vecnet.open_port(DEVICE) as port:
        assert port.send([frame(number, 100) for number in range(10)]) == 10
        assert port.stats["tx_drop_refused"] == 10
        assert port.stats["tx_frames"] == 0
