"""Large frames on a switch: whole between ports that take them, cut for those that do not, whatever their headers say.

No kernel makes headers that lie, so taps' descriptors are exchanged for the test's own sockets where they are to.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

import vecnet
from tests.datapath.switches import BROADCAST, counted, mac, plugged, sent, text
from tests.datapath.test_offload import (
    LARGE,
    LIES,
    NEEDS_CHECKSUM,
    OPEN_SUMS,
    TCP_CASES,
    TCPV4,
    UFO,
    USO,
    V4,
    V6,
    built,
    content,
    cutting,
    vnet,
)
from tests.datapath.test_streams import AMOUNT, every_family, talk, two_hosts
from tests.datapath.wires import VNET, frame, receive, tap, wait_for
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.switch import Switch


@pytest.fixture
def lan() -> Iterator[Switch]:
    with Switch(age=1000) as switch:
        yield switch


@every_family
def test_a_host_s_large_frames_stay_whole_between_a_veth_and_a_tap(lan: Switch, family: int) -> None:
    with two_hosts() as (one, other):
        lan.add(one, name="left")
        lan.add(other, name="right")
        talk(family)
        stats = lan.stats
        for name in ("left", "right"):
            assert stats[name]["cut"] == 0
            assert stats[name]["rx_bytes"] > AMOUNT
            assert stats[name]["rx_frames"] < AMOUNT / 1500
            assert not {cause: n for cause, n in stats[name].items() if "drop" in cause and n}


@every_family
def test_they_are_cut_on_their_way_to_another_switch(lan: Switch, family: int) -> None:
    """left ── veth ── a switch ── a pair of sockets ── a switch ── tap ── right"""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, Switch() as there, two_hosts() as (one, other):
        lan.add(one, name="left")
        there.add(other, name="right")
        for switch, end in ((lan, near), (there, far)):
            switch.add(f"vec0:transport=fd,fd={end.fileno()}", name="between")
        talk(family)
        for switch, name in ((lan, "left"), (there, "right")):
            stats = switch.stats
            assert stats["between"]["cut"] > 0
            assert stats["between"]["tx_frames"] > AMOUNT / 1500
            assert not {cause: n for cause, n in stats[name].items() if "drop" in cause and n}


# ---- headers of our own ----


@contextmanager
def exchanged(switch: Switch, name: str, options: str) -> Iterator[socket.socket]:
    """A tap's port whose descriptor is a socket; the other end of it."""
    tap(name)
    with ExitStack() as held:
        near, far = (held.enter_context(one) for one in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        near.setblocking(False)
        far.settimeout(5)
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        port = vecnet.open_port(f"vec0:transport=tap,ifname={name}{options}")
        os.dup2(near.fileno(), port.fileno())
        switch.add(port, name=name)
        yield far


def segments(whole: bytes) -> list[bytes]:
    """What a port that cuts makes of a frame with its virtio-net header."""
    with cutting() as (port, far):
        port.send(whole)
        far.settimeout(0)
        found = []
        try:
            while True:
                found.append(far.recv(65536))
        except BlockingIOError:
            return found


def flooded(whole: bytes) -> bytes:
    """The same frame, to everybody."""
    return whole[:10] + BROADCAST + mac(1) + whole[22:]


def true_headers() -> dict[str, bytes]:
    cases = {}
    for name, (below, tcp, kind, size) in TCP_CASES.items():
        whole = built(below / tcp / content(9000))
        start = len(whole) - len(built(tcp / content(9000)))
        cases[name] = vnet(kind, size, start=start, offset=16, flags=NEEDS_CHECKSUM) + whole
    for name, (packet, start, offset) in OPEN_SUMS.items():
        cases[f"checksum {name}"] = vnet(start=start, offset=offset, flags=NEEDS_CHECKSUM) + built(packet)
    return cases


@pytest.mark.parametrize("name", true_headers())
def test_each_port_gets_a_frame_in_the_shape_that_it_takes(lan: Switch, name: str) -> None:
    whole = flooded(true_headers()[name])
    expected = segments(whole)
    with (
        exchanged(lan, "from", ",gro=1") as source,
        exchanged(lan, "large", ",gro=1") as large,
        exchanged(lan, "small", "") as small,
        plugged(lan, "plain") as plain,
    ):
        source.send(whole)
        assert receive(plain, len(expected)) == expected
        got = large.recv(70_000)
        if name.startswith("checksum"):  # filled in for one port, it is for all
            assert got in (whole, VNET + expected[0])
            assert small.recv(70_000) in (whole, VNET + expected[0])
        else:
            assert got == whole
            assert [small.recv(70_000) for _ in expected] == [VNET + one for one in expected]
        assert counted(lan, "plain", "cut") == counted(lan, "small", "cut") == (len(expected) > 1)


def test_a_datagram_to_be_cut_into_fragments_reaches_others_whole(lan: Switch) -> None:
    """Cutting one writes its checksum: not into what another port gets."""
    from scapy.layers.inet import UDP
    from scapy.layers.l2 import Ether

    for base in (V4, V6):
        whole = built(
            Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff") / base / UDP(sport=1, dport=2) / content(5000)
        )
        header = vnet(UFO, 1448, start=len(whole) - 5008, offset=6, flags=NEEDS_CHECKSUM)
        whole = flooded(header + whole[: len(whole) - 5002] + b"\xa5\xa5" + content(5000))
        expected = segments(whole)
        assert len(expected) == 4
        name = "4" if base is V4 else "6"
        with (
            exchanged(lan, f"from{name}", ",gro=1") as source,
            plugged(lan, f"plain{name}") as plain,
            exchanged(lan, f"large{name}", ",gro=1") as large,
        ):
            source.send(whole)
            assert receive(plain, 4) == expected
            assert large.recv(70_000) == whole
        for port in ("from", "plain", "large"):
            lan.remove(f"{port}{name}")


def test_segments_that_are_longer_than_an_mtu_are_not_for_it(lan: Switch) -> None:
    below, tcp, kind, _ = TCP_CASES["plain"]
    whole = built(below / tcp / content(9000))
    with exchanged(lan, "from", ",gro=1") as source, plugged(lan, "plain") as plain:
        source.send(flooded(vnet(kind, 4000, start=34, offset=16, flags=NEEDS_CHECKSUM) + whole))
        wait_for(lambda: counted(lan, "plain", "drop_long") == 1)
        assert plain.recv(0) == []
        assert counted(lan, "from", "drop_header") == 0


def test_any_header_is_obeyed_or_counted_and_the_others_lose_nothing(lan: Switch) -> None:
    chance = random.Random(5)
    good = flooded(vnet(TCPV4, 1448, start=34, offset=16, header=54, flags=NEEDS_CHECKSUM) + LARGE)
    hostile = [flooded(lie) for lie in LIES.values()]
    for _ in range(1500):
        wrong = bytearray(good[: chance.randrange(60, len(good))] if chance.random() < 0.5 else good)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(70 if chance.random() < 0.7 else 10)
            if not 10 <= at < 22:
                wrong[at] = chance.randrange(256)
        hostile.append(bytes(wrong))
    hostile += [flooded(vnet(kind, 16, start=34, offset=6) + LARGE) for kind in (UFO, USO, 2, 6, 255)]
    with (
        exchanged(lan, "from", ",gro=1") as source,
        exchanged(lan, "large", ",gro=1") as large,
        plugged(lan, "plain") as plain,
        plugged(lan, "neighbour") as neighbour,
    ):
        handed = refused = 0
        large.setblocking(False)
        for number, packet in enumerate(hostile):
            source.send(packet)
            neighbour.send(sent(99, 7, number))
            got = receive_until(plain, sent(99, 7, number))
            wait_for(lambda number=number: counted(lan, "from", "rx_frames") > number)  # type: ignore[misc]
            stats = lan.stats
            causes = [stats["from"]["drop_header"], stats["plain"]["drop_long"]]
            handed += bool(got)
            refused = sum(causes)
            read_all(large)
            neighbour.recv(0)
        handed += len(plain.recv(0.1)) > 0
        assert refused > 300
        assert handed > 300
        assert counted(lan, "neighbour", "rx_frames") == len(hostile)
        source.send(flooded(VNET + frame(1)))
        assert receive(plain, 1) == [flooded(VNET + frame(1))[10:]]


def receive_until(port: vecnet.Port, last: bytes) -> list[bytes]:
    """What comes before the frame `last`."""
    frames: list[bytes] = []
    while last not in frames:
        got = port.recv(5)
        assert got, "the other port's frame was lost"
        frames += got
    frames.remove(last)
    return frames


def read_all(end: socket.socket) -> None:
    try:
        while True:
            end.recv(70_000)
    except BlockingIOError:
        pass


# ---- trains ----


def test_trains_pass_as_trains(lan: Switch) -> None:
    """a port ══ 127.0.0.1 : the switch : 127.0.0.3 ══ a port, all of which take many packets as one message."""
    ends = []
    options = "udp=1,srcport=7,dstport=7,rx_session=1,tx_session=1,counter=1,depth=128"
    with ExitStack() as held:
        for number in (1, 3):
            device = vecnet.parse(f"vec0:transport=l2tpv3,src=127.0.0.{number},dst=127.0.0.{number + 1},{options}")
            lan.add(device, name=f"far{number}")
            ends.append(held.enter_context(vecnet.open_port(device.mirror())))
        for number, end in enumerate(ends):
            end.send(sent(BROADCAST, number))
        wait_for(lambda: len(lan.table) == 2)
        with drain(ends[1], count=200_000) as seen:
            generate(ends[0], count=200_000, follow=seen, target=text(1), source=text(0)).wait(60)
            assert seen.wait(60)["lost"] == 0
        stats = lan.stats
        assert stats["far1"]["rx_calls"] * 20 < 200_000
        assert stats["far3"]["tx_calls"] * 20 < 200_000
