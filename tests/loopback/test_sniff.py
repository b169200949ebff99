"""The outer side: packets as bytes, next to what a string expects."""

from __future__ import annotations

import ipaddress
import struct

import pytest

import vecnet
from vecnet.loopback.numbered import MARK_AT, SMALLEST, Run, mark_of
from vecnet.loopback.sniff import differences, read

RUN = Run(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")
FRAME = RUN.build(SMALLEST)


def ipv4(protocol: int, payload: bytes, source: str = "192.0.2.2", target: str = "192.0.2.1") -> bytes:
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(target).packed
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    addresses = ipaddress.IPv6Address("fd00::2").packed + ipaddress.IPv6Address("fd00::1").packed
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload


def udp(payload: bytes, source: int = 1707, target: int = 1706) -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def hexed(text: str) -> bytes:
    return bytes.fromhex(text) + FRAME


GRE = "vec0:transport=gre,src=192.0.2.1,dst=192.0.2.2"
L2TP = "vec0:transport=l2tpv3,src=192.0.2.1,dst=192.0.2.2,udp=1,srcport=1706,dstport=1707,rx_session=9,tx_session=7"
L2TP_IP = "vec0:transport=l2tpv3,src=192.0.2.1,dst=192.0.2.2,rx_session=9,tx_session=7"

CASES = [
    # what fits
    (GRE, ipv4(47, hexed("00006558")), ""),
    (GRE + ",rx_key=5,tx_key=6", ipv4(47, hexed("20006558 00000005")), ""),
    (GRE + ",sequence=1", ipv4(47, hexed("10006558 00000001")), ""),
    (L2TP, ipv4(17, udp(hexed("00030000 00000009"))), ""),
    (L2TP + ",rx_cookie=1,tx_cookie=2", ipv4(17, udp(hexed("00030000 00000009 00000001"))), ""),
    (L2TP_IP + ",counter=1", ipv4(115, hexed("00000009 00000000")), ""),
    # what does not
    (GRE + ",rx_key=5,tx_key=6", ipv4(47, hexed("20006558 00000007")), "the sender sends key 7, this string expects 5"),
    (GRE + ",rx_key=5,tx_key=6", ipv4(47, hexed("00006558")), "the sender sends no key"),
    (GRE, ipv4(47, hexed("20006558 00000007")), "sends a key, this string has none"),
    (GRE, ipv4(47, hexed("10006558 00000001")), "this string has no sequence=1"),
    (GRE + ",sequence=1", ipv4(47, hexed("00006558")), "sends no sequence numbers"),
    (GRE, ipv4(47, hexed("80006558 12340000")), "turn csum off"),
    (GRE, ipv4(47, hexed("00006558"), target="192.0.2.9"), "sends to 192.0.2.9, this string receives at src=192.0.2.1"),
    (GRE, ipv4(115, hexed("00000009")), "uses L2TPv3 over IP, not GRE"),
    (L2TP, ipv4(17, udp(hexed("00030000 00000007"))), "sends session 7, this string expects 9"),
    (L2TP, ipv4(17, udp(hexed("00030000 00000009"), target=99)), "sends to port 99, this string has srcport=1706"),
    (L2TP, ipv4(17, udp(hexed("00030000 00000009 00000000"))), "l2spec adds 4 bytes: set counter=1"),
    (L2TP, ipv4(17, udp(hexed("00030000 00000009 aabbccdd"))), "a cookie of 4 bytes, this string expects 0"),
    (L2TP + ",counter=1", ipv4(17, udp(hexed("00030000 00000009"))), "sends no l2spec word: leave counter out"),
    (
        L2TP + ",rx_cookie=1,tx_cookie=2",
        ipv4(17, udp(hexed("00030000 00000009 00000003"))),
        "sends cookie 00000003, this string expects 00000001",
    ),
    (
        L2TP + ",rx_cookie=1,tx_cookie=2,cookie64=1",
        ipv4(17, udp(hexed("00030000 00000009 00000001"))),
        "a cookie of 4 bytes, this string expects 8",
    ),
    (L2TP, ipv4(115, hexed("00000009")), "uses L2TPv3 over IP, not UDP"),
]


@pytest.mark.parametrize(("string", "packet", "sentence"), CASES)
def test_differences(string: str, packet: bytes, sentence: str) -> None:
    expected = vecnet.parse(string).transport
    outer = read(packet, RUN.run)
    assert outer is not None
    found = differences(outer, expected)
    if sentence:
        assert len(found) == 1
        assert sentence in found[0]
    else:
        assert found == []


def test_a_frame_of_another_run_is_not_seen() -> None:
    assert read(ipv4(47, hexed("00006558")), RUN.run + 1) is None


def test_ipv6_with_and_without_an_encapsulation_limit() -> None:
    plain = read(ipv6(47, hexed("00006558")), RUN.run)
    limited = read(ipv6(60, bytes.fromhex("2f00040104010000") + hexed("00006558")), RUN.run)
    assert plain == limited
    assert plain is not None
    assert (plain.source, plain.target, plain.protocol) == ("fd00::2", "fd00::1", 47)


def test_no_packet_however_short_is_read_past_its_end() -> None:
    for whole in (ipv4(47, hexed("00006558")), ipv4(17, udp(hexed("00030000 00000009"))), ipv6(60, hexed("2f00"))):
        assert (
            read(whole[: len(whole) - SMALLEST + MARK_AT + len(mark_of(RUN.run)) - 1], RUN.run) is None
        )  # the mark is cut off
        for size in range(len(whole)):
            read(whole[:size], RUN.run)
