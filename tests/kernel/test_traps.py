"""What goes wrong with tunnels that are made by hand, and does not with those that vecnet makes.

The underlay is drawn in `lab.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.host.network import topology, within
from tests.kernel.guest_end import ETH_P_TEST, GuestEnd, frame
from tests.kernel.lab import (
    ETH_P_ALL,
    Pair,
    batch,
    check_from_guest,
    check_to_guest,
    opened,
    outer,
    run,
    tapped,
    underlay,
)
from tests.thorough import stride
from vecnet import host, parse
from vecnet.errors import InputError

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with underlay():
        yield


def wire(link: str, v6: bool = False, **ends: str) -> str:
    """A topology of one link between guest and host; `ends` are more keys of `guest` and `host`."""
    guest, own = (f'local: "{outer(v6, number)}"' for number in (10, 1))
    more = {end: f", {keys}" for end, keys in ends.items()}
    return (
        f"links:\n  - {{{link}, endpoints: {{a:vec0: {{{guest}{more.get('guest', '')}}}, "
        f"host:t0: {{{own}{more.get('host', '')}}}}}}}\n"
    )


# The HOWTO's "Configuring L2TPv3", word by word but for the network's name.
HOWTO = (
    "l2tp add tunnel remote 127.0.0.1 local 127.0.0.1 encap udp tunnel_id 2 peer_tunnel_id 2"
    " udp_sport 1706 udp_dport 1707",
    "l2tp add session name l2tp1 tunnel_id 2 session_id 0xffffffff peer_session_id 0xffffffff",
)
HOWTO_GUEST = (
    "vec0:transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=1707,dstport=1706,rx_session=-1,tx_session=-1"
)


def test_the_howtos_l2tp_pair_shifts_every_frame_by_the_l2spec() -> None:
    """The session's default l2spec are 4 bytes, which a guest without counter neither sends nor expects."""
    for command in HOWTO:
        run(f"ip {command}")
    run("ip link set l2tp1 up")
    inner = frame(b"0123456789" * 10)
    with GuestEnd(parse(HOWTO_GUEST)) as guest, tapped("l2tp1", ETH_P_ALL) as device:
        device.send(inner)
        while ETH_P_TEST.to_bytes(2, "big") not in (got := guest.receive())[:32]:
            pass  # what the device says by itself
        assert got == bytes(guest.header(receive=True, number=0)) + b"\0\0\0\0" + inner
        guest.send(inner)
        assert device.recv(65536) == inner[4:]
    run("ip l2tp del session tunnel_id 2 session_id 0xffffffff")
    run(f"ip {HOWTO[1]} l2spec_type none")
    run("ip link set l2tp1 up")
    with GuestEnd(parse(HOWTO_GUEST)) as guest, tapped("l2tp1") as device:
        device.send(inner)
        assert next(guest.received()).frame == inner
        guest.send(inner)
        assert device.recv(65536) == inner


TRANSPORTS = {
    "gretap": ("transport: gre, key: on", False),
    "ip6gretap": ("transport: gre", True),
    "l2tp-udp": ("transport: l2tpv3, cookie: 64, counter: on", False),
    "l2tp-udp6": ("transport: l2tpv3", True),
    "l2tp-ip": ("transport: l2tpv3, encap: ip", False),
    "l2tp-ip6": ("transport: l2tpv3, encap: ip, cookie: 32", True),
}
each_transport = pytest.mark.parametrize(
    ("link", "v6"), list(TRANSPORTS.values())[:: stride(2)], ids=list(TRANSPORTS)[:: stride(2)]
)


@each_transport
def test_both_ends_on_one_machine(link: str, v6: bool) -> None:
    """The outer addresses are a bridge's: what one end sends never leaves the machine."""
    here, there = ("fd00:3::1", "fd00:3::2") if v6 else ("198.51.100.1", "198.51.100.2")
    bridge = f'bridges: {{lan: {{ip: ["{here}/{64 if v6 else 24}", "{there}/{64 if v6 else 24}"]}}}}'
    text = wire(link, v6).replace(outer(v6, 10), there).replace(outer(v6, 1), here) + bridge
    lab = topology(text)
    host.up(lab)
    with opened(lab.links[0], namespace=None) as pair:
        check_to_guest(pair)
        check_from_guest(pair)


@each_transport
def test_tcp_arrives_in_frames_that_fit_with_checksums_filled_in(link: str, v6: bool) -> None:
    lab = topology(wire(link, v6, host="ip: 10.1.0.1/24"))
    host.up(lab)
    run(f"ip neigh add 10.1.0.2 lladdr {lab.devices('a')[0].transport.mac} dev t0")
    with opened(lab.links[0]) as pair:
        for segment in bulk_transfer(pair):
            assert segment.right
            assert segment.length <= lab.links[0].mtu
    if link.startswith("transport: gre"):  # the check fails where it should
        run("ethtool -K t0 tx-checksumming on")
        with opened(lab.links[0]) as pair:
            segments = list(bulk_transfer(pair))
        assert not all(segment.right for segment in segments)
        assert max(segment.length for segment in segments) > lab.links[0].mtu


class Segment:
    """A TCP segment in an IPv4 packet in a frame."""

    def __init__(self, inner: bytes) -> None:
        self.packet: Packet = Ether(inner)[IP]
        self.tcp: Packet = self.packet[TCP]
        self.length = int(self.packet.len)
        self.data = bytes(self.tcp.payload)[: self.length - self.packet.ihl * 4 - self.tcp.dataofs * 4]
        again = IP(bytes(self.packet))
        del again[TCP].chksum
        self.right = IP(bytes(again))[TCP].chksum == self.tcp.chksum


def bulk_transfer(pair: Pair) -> Iterator[Segment]:
    """Let the host's TCP fill its first window to a peer that is played here; yields what arrives, SYN and data."""
    data = bytes(range(256)) * 40
    with socket.socket() as host_end:
        host_end.setblocking(False)
        host_end.connect_ex(("10.1.0.2", 80))
        arriving = (got.frame for got in pair.guest.received(ethertype=0x0800) if got.frame[23] == 6)
        first = next(arriving)
        syn = Segment(first)
        yield syn
        answer = IP(src="10.1.0.2", dst="10.1.0.1") / TCP(
            sport=80,
            dport=syn.tcp.sport,
            flags="SA",
            seq=1000,
            ack=syn.tcp.seq + 1,
            window=65535,
            options=[("MSS", pair.link.mtu - 40)],
        )
        pair.guest.send(bytes(Ether(src=first[:6].hex(":"), dst=first[6:12].hex(":")) / answer))
        Segment(next(arriving))  # the handshake's third
        host_end.send(data)
        received = b""
        while len(received) < len(data):
            segment = Segment(next(arriving))
            yield segment
            if segment.tcp.seq == syn.tcp.seq + 1 + len(received):
                received += segment.data
        assert received == data


@pytest.mark.parametrize(
    ("link", "v6", "largest"),
    [
        ("transport: gre", False, 1462),
        ("transport: gre, key: on, sequence: on", False, 1454),
        ("transport: gre, key: on", True, 1438),
        ("transport: l2tpv3, counter: on, cookie: 64", False, 1438),
        ("transport: l2tpv3, encap: ip", True, 1442),
    ],
)
def test_a_stated_mtu_that_does_not_fit_names_the_largest(link: str, v6: bool, largest: int) -> None:
    with pytest.raises(InputError, match=f"leave {largest}; write at most {largest}"):
        topology(wire(f"{link}, mtu: {largest + 1}", v6))
    assert topology(wire(f"{link}, mtu: {largest}", v6)).links[0].mtu == largest
    assert topology(wire(link, v6)).links[0].mtu == largest
    batch("link set under mtu 1400")
    with within("far"):
        batch("link set over mtu 1400")
    assert topology(wire(link, v6)).links[0].mtu == largest - 100
