"""Frames through every combination of the kernel's tunnels: what it sends a guest, and what it takes from one.

All combinations are links of one topology, that vecnet brings up over the underlay that `lab.py` draws.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment

from tests.host.network import topology, within
from tests.kernel.guest_end import frame
from tests.kernel.lab import (
    ETH_P_ALL,
    UNDERLAY_MTU,
    Pair,
    check_from_guest,
    check_to_guest,
    opened,
    outer,
    run,
    tapped,
    underlay,
)
from vecnet import host
from vecnet.topology import Topology

pytestmark = pytest.mark.kernel

_GRE = itertools.product((False, True), ("off", "on"), ("off", "on", "pinned"))
_L2TP = itertools.product((False, True), ("udp", "ip"), (0, 32, 64), ("off", "on", "pinned"))
LINKS = [(v6, {"transport": "gre", "key": key, "sequence": sequence}) for v6, key, sequence in _GRE]
LINKS += [
    (v6, {"transport": "l2tpv3", "encap": encap, "cookie": str(cookie), "counter": counter})
    for v6, encap, cookie, counter in _L2TP
]


def name(v6: bool, keys: dict[str, str]) -> str:
    return "-".join([*(f"{key}-{value}" for key, value in keys.items()), "v6" if v6 else "v4"])


NAMES = [name(*link).removeprefix("transport-") for link in LINKS]


def everything() -> str:
    """All combinations as a topology; in half of them the guest's id is as high as ids go, in half the host's."""
    text = "links:\n"
    for number, (called, (v6, keys)) in enumerate(zip(NAMES, LINKS, strict=True)):
        high = f", {'key' if keys['transport'] == 'gre' else 'session'}: {0xFFFFFFFF - number}"
        ends = [f'a:vec{number}: {{local: "{outer(v6, 10 + number)}"', f'host:t{number}: {{local: "{outer(v6, 1)}"']
        if keys.get("key") != "off":
            ends[number % 2] += high
        text += f"  - name: {called}\n    endpoints: {{{'}, '.join(ends)}}}}}\n"
        text += "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return text


@pytest.fixture(scope="module")
def lab() -> Iterator[Topology]:
    with underlay(guests=len(LINKS)):
        made = topology(everything())
        host.up(made)
        assert host.plan(made).steps == (), host.plan(made).describe()
        yield made


@pytest.fixture(params=[pytest.param(one, marks=() if one in NAMES[::2] else pytest.mark.long) for one in NAMES])
def pair(lab: Topology, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Every other combination; the rest are for `make test-long`."""
    with opened(next(link for link in lab.links if link.name == request.param)) as both:
        yield both


SOME = NAMES[::5]  # a step that goes through all values of each key


@pytest.fixture(params=[pytest.param(one, marks=() if one in SOME else pytest.mark.long) for one in NAMES])
def some_pair(lab: Topology, request: pytest.FixtureRequest) -> Iterator[Pair]:
    """One combination in five; the others are for `make test-long`."""
    with opened(next(link for link in lab.links if link.name == request.param)) as both:
        yield both


def test_the_kernels_frames_arrive_at_the_guest(pair: Pair) -> None:
    check_to_guest(pair)


def test_the_guests_frames_arrive_at_the_kernels_device(pair: Pair) -> None:
    check_from_guest(pair)


def wrong_headers(own: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Fields of a header that its receiver must not take; `own` is the sender's transport."""
    if own.name == "gre":
        if own.tx_key is None:
            yield "a key where none is expected", {"key_present": 1, "key": 7}
        else:
            yield "a wrong key", {"key": own.tx_key ^ 1}
            yield "the other direction's key", {"key": own.rx_key}
            yield "no key", {"key_present": 0, "key": None}
        yield "another protocol than Ethernet", {"proto": 0x0800}
        return
    yield "a wrong session", {"session": own.tx_session ^ 1}
    yield "the other direction's session", {"session": own.rx_session}
    if own.tx_cookie is not None:
        yield "a wrong cookie", {"cookie": own.tx_cookie ^ 1}
        yield "the other direction's cookie", {"cookie": own.rx_cookie}
        if own.cookie64:
            yield "a cookie with a wrong first bit", {"cookie": own.tx_cookie ^ 1 << 63}


def test_what_carries_a_wrong_key_cookie_or_session_is_dropped(some_pair: Pair) -> None:
    pair = some_pair
    right = frame(b"right")
    for what, fields in wrong_headers(pair.guest.transport):
        pair.guest.send(frame(what.encode()), **fields)
        pair.guest.send(right)
        assert pair.device.recv(65536) == right, what


def test_the_largest_frame_is_one_packet_of_the_underlay(some_pair: Pair) -> None:
    """The MTU is as large as it can be: the outer packet is as large as the underlay takes, and no fragment."""
    pair = some_pair
    assert f'"mtu":{pair.link.mtu},' in run(f"ip -j link show {pair.ifname}")
    largest = frame(os.urandom(pair.link.mtu))
    with within("far"), tapped("over", ETH_P_ALL) as at_guest:
        pair.device.send(largest)
        assert next(pair.guest.received()).frame == largest
        assert long_packet(at_guest, pair) == UNDERLAY_MTU
    with tapped("under", ETH_P_ALL) as at_host:
        pair.guest.send(largest)
        assert pair.device.recv(65536) == largest
        assert long_packet(at_host, pair) == UNDERLAY_MTU


def long_packet(packets: socket.socket, pair: Pair) -> int:
    """The length of the first long outer packet of a link, in bytes; it is no fragment."""
    own = pair.guest.transport
    while True:
        data = packets.recv(65536)
        if len(data) < 1000 or data[12:14] != (b"\x86\xdd" if own.v6 else b"\x08\0"):
            continue
        packet = IPv6(data[14:]) if own.v6 else IP(data[14:])
        if {packet.src, packet.dst} != {own.src, own.dst}:
            continue
        if own.v6:
            assert not packet.haslayer(IPv6ExtHdrFragment)
            return int(packet.plen) + 40
        assert not packet.flags.MF
        assert packet.frag == 0
        return int(packet.len)
