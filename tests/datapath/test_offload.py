"""Large frames and open checksums: what is cut, how, and where frames stay whole.

The table is cut by C alone: a port with offload="raw" on a wire that has no virtio-net header cuts on sending. What it
must send is built by Scapy, segment by segment, from nothing but the original's fields.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

import vecnet
from tests.datapath.wires import VNET, frame, nothing_more, packet_socket, receive, tap, veth, wait_for, wait_for_queue
from vecnet.datapath.loops import forward
from vecnet.datapath.port import Port

SO_SNDBUFFORCE = 32  # asm-generic/socket.h
NEEDS_CHECKSUM = 1
TCPV4, UFO, TCPV6, USO, ECN = 1, 3, 4, 5, 0x80
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.1", dst="192.0.2.2", id=0xFFFE, flags="DF")
V6 = IPv6(src="fd00::1", dst="fd00::2", fl=0x12345)
OPTIONS = [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]


def vnet(kind: int = 0, size: int = 0, *, start: int = 0, offset: int = 0, header: int = 0, flags: int = 0) -> bytes:
    """struct virtio_net_hdr, linux/virtio_net.h."""
    return struct.pack("=BBHHHH", flags, kind, header, size, start, offset)


def content(size: int) -> bytes:
    return bytes(i * 7 & 0xFF for i in range(size))


def built(packet: Packet) -> bytes:
    """The packet with every length and checksum filled in by Scapy."""
    return bytes(packet)


def open_sum(packet: Packet, at: int) -> bytes:
    """The frame as a stack hands it to a card that fills checksums: garbage where the checksum goes."""
    data = bytearray(built(packet))
    data[at : at + 2] = b"\xa5\xa5"
    return bytes(data)


@contextmanager
def cutting(queue: int = 8 << 20) -> Iterator[tuple[Port, socket.socket]]:
    """A port on a wire without virtio-net headers, of which that many bytes may be under way."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, queue)
    with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}", offload="raw") as port:
        far.settimeout(5)
        yield port, far


TCP_CASES = {
    "plain": (ETHER / V4, TCP(sport=1, dport=2, seq=1000, ack=7, flags="PA"), TCPV4, 1448),
    "options": (ETHER / V4, TCP(sport=1, dport=2, seq=0xFFFFFF00, flags="FPA", options=OPTIONS), TCPV4, 1436),
    "odd": (ETHER / V4, TCP(sport=1, dport=2, seq=1, flags="A"), TCPV4, 7),
    "ip options": (ETHER / IP(src="192.0.2.1", dst="192.0.2.2", options=b"\x01" * 8), TCP(flags="PA"), TCPV4, 1000),
    "ecn": (ETHER / V4, TCP(seq=9, flags="PACE"), TCPV4 | ECN, 1448),
    "v6": (ETHER / V6, TCP(sport=1, dport=2, seq=1000, flags="PA", options=OPTIONS), TCPV6, 1416),
    "v6 ecn": (ETHER / V6, TCP(seq=9, flags="PACE"), TCPV6 | ECN, 1428),
    "v6 hop by hop": (ETHER / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(), TCP(flags="A"), TCPV6, 900),
    "vlan": (ETHER / Dot1Q(vlan=5, prio=3) / V4, TCP(seq=5, flags="PA"), TCPV4, 1448),
    "two vlans": (ETHER / Dot1Q(vlan=5, type=0x8100) / Dot1Q(vlan=6) / V6, TCP(seq=5, flags="PA"), TCPV6, 1428),
}


@pytest.mark.parametrize("case", TCP_CASES)
@pytest.mark.parametrize("size", [1, 1449, 30000, 63000])
def test_tcp_is_cut_as_scapy_would_build_each_segment(case: str, size: int) -> None:
    below, tcp, kind, gso_size = TCP_CASES[case]
    data = content(size if gso_size > 100 else min(size, 3000))
    whole = built(below / tcp / data)
    start = len(whole) - len(built(tcp / data))
    chunks = [data[i : i + gso_size] for i in range(0, len(data), gso_size)]
    expected = []
    for n, chunk in enumerate(chunks):
        segment = below.copy() / tcp.copy()
        if IP in segment:
            segment[IP].id = (below[IP].id + n) & 0xFFFF
        segment[TCP].seq = (tcp.seq + n * gso_size) & 0xFFFFFFFF
        flags = set(str(tcp.flags))
        if n < len(chunks) - 1:
            flags -= {"F", "P"}
        if n > 0:
            flags -= {"C"}
        segment[TCP].flags = "".join(flags)
        expected.append(built(segment / chunk))
    header = vnet(kind, gso_size, start=start, offset=16, header=len(whole) - len(data), flags=NEEDS_CHECKSUM)
    with cutting() as (port, far):
        assert port.send(header + open_sum(below / tcp / data, start + 16)) == 1
        assert [far.recv(70000) for _ in expected] == expected
        assert port.stats["tx_frames"] == len(expected)


@pytest.mark.parametrize(("below", "size"), [(ETHER / V4, 1472), (ETHER / V6, 1452), (ETHER / V4, 999)])
@pytest.mark.parametrize("length", [1, 1473, 40001])
def test_udp_is_cut_into_datagrams(below: Packet, size: int, length: int) -> None:
    data = content(length)
    udp = UDP(sport=5, dport=6)
    whole = built(below / udp / data)
    start = len(whole) - length - 8
    expected = []
    for n, at in enumerate(range(0, length, size)):
        segment = below.copy() / udp / data[at : at + size]
        if IP in segment:
            segment[IP].id = (below[IP].id + n) & 0xFFFF
        expected.append(built(segment))
    with cutting() as (port, far):
        header = vnet(USO, size, start=start, offset=6, header=start + 8, flags=NEEDS_CHECKSUM)
        assert port.send(header + open_sum(below / udp / data, start + 6)) == 1
        assert [far.recv(70000) for _ in expected] == expected


def test_a_large_udp_datagram_is_cut_into_ipv4_fragments() -> None:
    whole = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", id=77) / UDP(sport=5, dport=6) / content(30000)
    with cutting() as (port, far):
        header = vnet(UFO, 1483, start=34, offset=6, flags=NEEDS_CHECKSUM)
        assert port.send(header + open_sum(whole, 40)) == 1
        parts = [Ether(far.recv(70000)) for _ in range(-(-30008 // 1480))]
    datagram = built(whole)[34:]
    assert b"".join(bytes(part[IP].payload) for part in parts) == datagram
    for n, part in enumerate(parts):
        again = part.copy()
        del again[IP].chksum
        assert built(again) == built(part)
        assert (part[IP].id, part[IP].frag) == (77, n * 185)
        assert ("MF" in str(part[IP].flags)) == (n < len(parts) - 1)
        assert len(part) <= 1514


def test_a_large_udp_datagram_is_cut_into_ipv6_fragments() -> None:
    whole = ETHER / V6 / UDP(sport=5, dport=6) / content(30000)
    with cutting() as (port, far):
        header = vnet(UFO, 1448, start=54, offset=6, flags=NEEDS_CHECKSUM)
        assert port.send(header + open_sum(whole, 60)) == 1
        parts = [Ether(far.recv(70000)) for _ in range(-(-30008 // 1448))]
    assert b"".join(bytes(part[IPv6ExtHdrFragment].payload) for part in parts) == built(whole)[54:]
    assert len({part[IPv6ExtHdrFragment].id for part in parts}) == 1
    for n, part in enumerate(parts):
        assert (part[IPv6].plen, part[IPv6].nh) == (len(part) - 54, 44)
        assert part[IPv6ExtHdrFragment].offset == n * 181
        assert part[IPv6ExtHdrFragment].m == (n < len(parts) - 1)


OPEN_SUMS = {
    "tcp": (ETHER / V4 / TCP(flags="S") / b"x", 34, 16),
    "tcp v6": (ETHER / V6 / TCP(flags="S") / b"xy", 54, 16),
    "udp": (ETHER / V4 / UDP() / b"xyz", 34, 6),
    "udp v6": (ETHER / V6 / UDP(), 54, 6),
    "vlan": (ETHER / Dot1Q(vlan=5) / V4 / TCP(flags="S") / b"x", 38, 16),
    "icmp": (ETHER / V4 / ICMP() / b"abc", 34, 2),
}


def with_open_sum(packet: Packet, start: int, offset: int) -> bytes:
    """The frame with what a stack leaves in the checksum's place: the pseudo-header's sum, without complement."""
    data = bytearray(built(packet))
    total = 0
    if ICMP not in packet:
        length = len(data) - start
        ip = packet[IP] if IP in packet else packet[IPv6]
        family = socket.AF_INET if IP in packet else socket.AF_INET6
        pseudo = socket.inet_pton(family, ip.src) + socket.inet_pton(family, ip.dst)
        protocol = 6 if TCP in packet else 17
        total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo)) + protocol + length
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
    data[start + offset : start + offset + 2] = total.to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize("case", OPEN_SUMS)
def test_open_checksums_are_filled_in(case: str) -> None:
    packet, start, offset = OPEN_SUMS[case]
    given = with_open_sum(packet, start, offset)
    with cutting() as (port, far):
        assert port.send(vnet(start=start, offset=offset, flags=NEEDS_CHECKSUM) + given) == 1
        assert far.recv(2000) == built(packet)


def test_a_udp_checksum_that_comes_out_as_zero_is_sent_as_ones() -> None:
    """0 would say that there is none, RFC 768."""
    without = built(ETHER / V4 / UDP(sport=5, dport=6) / bytes(2))
    packet = built(ETHER / V4 / UDP(sport=5, dport=6) / without[40:42])  # the sum is all ones now
    assert packet[40:42] == b"\xff\xff"
    given = with_open_sum(Ether(packet), 34, 6)
    with cutting() as (port, far):
        port.send(vnet(start=34, offset=6, flags=NEEDS_CHECKSUM) + given)
        assert far.recv(2000) == packet


LARGE = with_open_sum(ETHER / V4 / TCP(flags="A") / content(5000), 34, 16)
LIES = {
    "no such kind": vnet(2, 1448, start=34, offset=16, flags=1) + LARGE,
    "no size": vnet(TCPV4, 0, start=34, offset=16, flags=1) + LARGE,
    "another family": vnet(TCPV6, 1448, start=34, offset=16, flags=1) + LARGE,
    "another protocol": vnet(USO, 1448, start=34, offset=6, flags=1) + LARGE,
    "another start": vnet(TCPV4, 1448, start=35, offset=16, flags=1) + LARGE,
    "a start in the content": vnet(TCPV4, 1448, start=4000, offset=16, flags=1) + LARGE,
    "another offset": vnet(TCPV4, 1448, start=34, offset=18, flags=1) + LARGE,
    "a TCP header beyond the end": vnet(TCPV4, 1448) + LARGE[:46] + b"\xf0" + LARGE[47:60],
    "a TCP header too small": vnet(TCPV4, 1448) + LARGE[:46] + b"\x40" + LARGE[47:],
    "an IP header too small": vnet(TCPV4, 1448) + LARGE[:14] + b"\x44" + LARGE[15:],
    "a fragment": vnet(TCPV4, 1448) + LARGE[:20] + b"\x20\x00" + LARGE[22:],
    "a checksum beyond the end": vnet(start=5053, offset=16, flags=1) + LARGE,
    "a checksum that starts beyond the end": vnet(start=6000, offset=16, flags=1) + LARGE,
    "only a header": VNET,
    "less than a header": VNET[:9],
}


@pytest.mark.parametrize("case", LIES)
def test_headers_that_lie_are_counted_on_sending(case: str) -> None:
    with cutting() as (port, far):
        assert port.send([LIES[case], VNET + frame(1)]) == 2
        assert far.recv(70000) == frame(1)
        assert port.stats["tx_drop_invalid"] == 1


@pytest.mark.parametrize("case", LIES)
def test_headers_that_lie_are_counted_on_receiving(case: str) -> None:
    """No kernel makes such headers, so the socket behind a raw port's descriptor is exchanged for the test's own."""
    veth()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far, vecnet.open_port("vec0:transport=raw,ifname=near,gro=1") as port:
        os.dup2(near.fileno(), port.fileno())
        far.send(LIES[case])
        far.send(VNET + frame(1))
        assert receive(port, 1) == [frame(1)]
        causes = {name for name, n in port.stats.items() if name.startswith("rx_drop_") and n}
        kind = "short" if len(LIES[case]) <= 10 else "gso" if LIES[case][1] else "checksum"
        assert causes == {f"rx_drop_{kind}"}


def test_no_header_that_lies_holds_up_what_is_behind_it() -> None:
    """The kernel refuses some, makes something else of others, and says of some that its queue is full."""
    veth()
    with vecnet.open_port("vec0:transport=raw,ifname=near", offload="raw") as port, packet_socket("far") as peer:
        for lie in LIES.values():
            assert port.send([lie, VNET + frame(1)], timeout=5) == 2
            while peer.recv(9999) != frame(1):
                pass


def test_frames_with_a_header_cross_wires_that_have_none() -> None:
    with cutting() as (port, far):
        assert port.send([VNET + frame(1), VNET + frame(2, 1514)]) == 2
        assert [far.recv(2000), far.recv(2000)] == [frame(1), frame(2, 1514)]
        far.send(frame(3))
        assert receive(port, 1) == [VNET + frame(3)]


def test_what_does_not_fit_the_queue_after_the_first_segments_is_dropped_and_counted() -> None:
    """Like a network card whose queue is full: the frame is gone, and its missing segments are counted."""
    large = vnet(TCPV4, 100) + built(ETHER / V4 / TCP(flags="A") / content(60000))
    with cutting(queue=100_000) as (port, far):
        sent = port.send([large] * 100, timeout=0.05)
        stats = port.stats
        assert stats["tx_frames"] + stats["tx_drop_queue_full"] == 600 * sent
        assert stats["tx_drop_queue_full"] > 0
        for _ in range(stats["tx_frames"]):
            assert len(far.recv(2000)) == 154


@pytest.mark.parametrize("kind", ["tap", "hybrid", "raw"])
def test_large_frames_stay_whole_between_ports_with_virtio_net_headers(kind: str) -> None:
    """port one ── near ═══ far ── port two, both whole: one frame in, one frame out; a third port would cut it."""
    large = built(ETHER / V4 / TCP(sport=1, dport=2, seq=1000, flags="PA") / content(14480))
    given = with_open_sum(Ether(large), 34, 16)
    header = vnet(TCPV4, 1448, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM)
    if kind == "raw":
        veth()
        device, other = "vec0:transport=raw,ifname=near,gro=1", "vec0:transport=raw,ifname=far,gro=1"
    else:
        tap()
        device, other = f"vec0:transport={kind},ifname=tap0,gro=1", "vec0:transport=raw,ifname=tap0,gro=1"
    with (
        vecnet.open_port(device, offload="raw") as one,
        vecnet.open_port(other, offload="raw") as whole,
        vecnet.open_port(other) as cut,
    ):
        wait_for_queue(device.partition("ifname=")[2].partition(",")[0])
        assert one.send(header + given) == 1
        (got,) = receive(whole, 1)
        assert (got[1] & ~ECN, got[4:6]) == (TCPV4, (1448).to_bytes(2, "little"))
        assert got[10:] == given
        segments = receive(cut, 10)
        assert [len(one) for one in segments] == [1502] * 10
        assert b"".join(one[54:] for one in segments) == content(14480)
        nothing_more(cut)
        assert cut.stats["rx_large"] == 1
        assert cut.stats["tx_frames"] == 0


def test_forwarding_keeps_large_frames_whole_or_cuts_them_by_where_they_go() -> None:
    large = built(ETHER / V4 / TCP(sport=1, dport=2, seq=1000, flags="PA") / content(14480))
    given = vnet(TCPV4, 1448, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM)
    given += with_open_sum(Ether(large), 34, 16)
    veth()
    veth("near2", "far2")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, packet_socket("far2") as end:
        far.settimeout(5)
        with (
            vecnet.open_port("vec0:transport=raw,ifname=near,gro=1", offload="raw") as source,
            vecnet.open_port("vec0:transport=raw,ifname=far,gro=1") as middle,
        ):
            with vecnet.open_port("vec0:transport=raw,ifname=near2,gro=1") as to, forward(middle, to):
                source.send(given)
                assert len(end.recv(70000)) == len(large)
                wait_for(lambda: to.stats["tx_frames"] == 1)
            with vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as to, forward(middle, to) as loop:
                source.send(given)
                assert [len(far.recv(70000)) for _ in range(10)] == [1502] * 10
                wait_for(lambda: loop.stats["bytes"] == 10 * 1502)


def test_more_segments_than_are_asked_for_wait_for_the_next_call() -> None:
    large = vnet(TCPV4, 10, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM)
    large += with_open_sum(ETHER / V4 / TCP(flags="A") / content(20000), 34, 16)
    veth()
    with (
        vecnet.open_port("vec0:transport=raw,ifname=near,gro=1", offload="raw") as one,
        vecnet.open_port("vec0:transport=raw,ifname=far,gro=1") as other,
    ):
        assert one.send([large, VNET + frame(1)]) == 2
        got = other.recv(5, most=1)
        got += itertools.chain.from_iterable(iter(lambda: other.recv(0.5, most=7), []))
        assert b"".join(Ether(segment)[Raw].load for segment in got[:-1]) == content(20000)
        assert got[-1] == frame(1)
