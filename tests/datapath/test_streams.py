"""A host's TCP with its default offloads, through ports: every frame correct on the way, the stream equal at its end.

    left: far ═══ near ── port ══ Python, or C ══ port ── tap0 :right

Two kernels' stacks talk through this; both hand out large frames with open checksums, on the veth and on the tap.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

import vecnet
from tests.datapath.wires import quiet, wait_for, wait_for_queue
from tests.host.network import ip, within
from vecnet.datapath.loops import forward
from vecnet.datapath.port import Port
from vecnet.errors import PortClosed

AMOUNT = 4_000_000  # bytes each way
RAW, TAP = "vec0:transport=raw,ifname=near,gro=1", "vec0:transport=tap,ifname=tap0,gro=1"
FAMILIES = {socket.AF_INET: ("10.1.0.1", "10.1.0.2"), socket.AF_INET6: ("fd01::1", "fd01::2")}
every_family = pytest.mark.parametrize("family", FAMILIES)


@contextmanager
def two_hosts(vlan: bool = False) -> Iterator[tuple[Port, Port]]:
    """The ports that see what the hosts `left` and `right` send."""
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    ip("tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
    for name in ("near", "far", "tap0"):
        quiet(name)
        ip("link", "set", name, "up")
    with vecnet.open_port(RAW) as one, vecnet.open_port(TAP) as other:
        for host, name, number in (("left", "far", 1), ("right", "tap0", 2)):
            ip("netns", "add", host)
            ip("link", "set", name, "netns", host)
            ip("-n", host, "link", "set", name, "up")
            device = name
            if vlan:
                device = f"{name}.5"
                ip("-n", host, "link", "add", "link", name, "name", device, "type", "vlan", "id", "5")
                ip("-n", host, "link", "set", device, "up")
            ip("-n", host, "addr", "add", f"10.1.0.{number}/24", "dev", device)
            ip("-n", host, "addr", "add", f"fd01::{number}/64", "dev", device, "nodad")
            wait_for(lambda name=name, host=host: "qdisc noop " not in ip("-n", host, "link", "show", name))  # type: ignore[misc]
            local = f"local fd01::{number} "
            wait_for(lambda local=local, host=host: local in ip("-n", host, "-6", "route", "show", "table", "local"))  # type: ignore[misc]
        wait_for_queue("near")
        yield one, other


def talk(family: int, amount: int = AMOUNT) -> None:
    """A connection from right to left; random bytes both ways at once, compared at each end."""
    left, _ = FAMILIES[socket.AddressFamily(family)]
    data = random.Random(1).randbytes(amount)
    with within("left"):
        server = socket.create_server((left, 7), family=family)
    with within("right"):
        client = socket.socket(family)
    with server, client:
        client.settimeout(20)
        server.settimeout(20)
        client.connect((left, 7))
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            got: dict[socket.socket, bytes] = {}

            def read(end: socket.socket) -> None:
                with end.makefile("rb") as file:
                    got[end] = file.read()

            def write(end: socket.socket) -> None:
                end.sendall(data)
                end.shutdown(socket.SHUT_WR)

            threads = [threading.Thread(target=work, args=(end,)) for end in (client, peer) for work in (read, write)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert got[client] == got[peer] == data


def total(data: bytes) -> int:
    """The folded Internet checksum, RFC 1071; 0xffff where a checksum within is right."""
    value = sum(memoryview(data + bytes(len(data) % 2)).cast("H"))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def check(one: bytes, vlan: bool) -> None:
    """A frame as it would be on a wire: short enough, every length and checksum right."""
    assert len(one) <= 1514 + 4 * vlan
    tagged = one[12:16] == b"\x81\x00\x00\x05"
    if tagged:
        one = one[:12] + one[16:]
    if one[12:14] == b"\x08\x00":
        size = int.from_bytes(one[16:18], "big")
        packet = one[14 : 14 + size]
        assert len(packet) == size == len(one) - 14 or len(one) == 60
        assert total(packet[:20]) == 0xFFFF
        pseudo, payload, protocol = packet[12:20], packet[20:], packet[9]
    elif one[12:14] == b"\x86\xdd":
        packet = one[14:]
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
        pseudo, payload, protocol = packet[8:40], packet[40:], packet[6]
    else:
        assert one[12:14] == b"\x08\x06"  # ARP has no checksum
        return
    if protocol != socket.IPPROTO_TCP:
        return  # the stacks' own chatter of groups and neighbours
    assert tagged == vlan
    assert total(pseudo + bytes((0, protocol)) + len(payload).to_bytes(2, "big") + payload) == 0xFFFF


@contextmanager
def pump(one: Port, other: Port, vlan: bool = False) -> Iterator[None]:
    """Python in the middle: every frame is checked."""
    wrong: list[AssertionError] = []

    def work(source: Port, to: Port) -> None:
        try:
            while True:
                frames = source.recv()
                for frame in frames:
                    check(frame, vlan)
                to.send(frames)
        except PortClosed:
            pass
        except AssertionError as error:
            wrong.append(error)
            one.close()
            other.close()

    threads = [threading.Thread(target=work, args=ends) for ends in ((one, other), (other, one))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        one.close()
        other.close()
        for thread in threads:
            thread.join()
        assert not wrong, wrong


def assert_nothing_dropped(*ports: Port) -> None:
    for port in ports:
        assert not {name: n for name, n in port.stats.items() if "_drop_" in name and n}


@every_family
def test_a_host_s_tcp_arrives_as_correct_frames(family: int) -> None:
    with two_hosts() as (one, other):
        with pump(one, other):
            talk(family)
        for port in (one, other):
            assert port.stats["rx_large"] > 0
            assert port.stats["rx_checksums"] > 0
            assert port.stats["rx_frames"] > AMOUNT / 1500
        assert_nothing_dropped(one, other)


@pytest.mark.kernel
def test_a_host_s_tcp_on_a_vlan_arrives_with_its_tags() -> None:
    with two_hosts(vlan=True) as (one, other):
        with pump(one, other, vlan=True):
            for family in FAMILIES:
                talk(family, amount=200_000)
        assert one.stats["rx_large"] > 0
        assert one.stats["rx_vlan"] > 0


@every_family
def test_large_frames_cross_whole_between_virtio_net_ports(family: int) -> None:
    with two_hosts() as (one, other):
        with forward(one, other) as out, forward(other, one) as back:
            talk(family)
            for loop in (out, back):
                assert 2 * AMOUNT > loop.stats["bytes"] > AMOUNT
                assert loop.stats["frames"] < AMOUNT / 1500
        for port in (one, other):
            assert port.stats["rx_large"] == 0


@every_family
def test_large_frames_are_cut_toward_a_tunnel(family: int) -> None:
    """… port ══ port ── gre, on the loopback ── port ══ port …"""
    device = vecnet.parse("vec0:transport=gre,src=127.0.0.1,dst=127.0.0.2,rx_key=1,tx_key=2,sequence=1")
    with ExitStack() as held:
        one, other = held.enter_context(two_hosts())
        near, far = (held.enter_context(vecnet.open_port(end)) for end in (device, device.mirror()))
        for source, to in ((one, near), (near, one), (other, far), (far, other)):
            held.enter_context(forward(source, to))
        talk(family)
        for port in (one, other):
            assert port.stats["rx_large"] > 0
        assert near.stats["tx_frames"] > AMOUNT / 1500
        assert_nothing_dropped(one, other, near, far)


def test_a_host_s_udp_segments_arrive_as_datagrams() -> None:
    """UDP_SEGMENT, udp(7): one call sends many datagrams, and the veth hands them on as one frame."""
    with two_hosts() as (one, _other):
        with within("left"):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        data = random.Random(2).randbytes(30_000)
        ip("-n", "left", "neigh", "add", "10.1.0.9", "lladdr", "02:00:00:00:00:09", "dev", "far")
        with sender:
            sender.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT, linux/udp.h
            sender.sendto(data, ("10.1.0.9", 9))
        frames: list[bytes] = []
        while len(frames) < 30 and (got := one.recv(5)):
            frames += [frame for frame in got if frame[12:14] == b"\x08\x00"]
        assert b"".join(frame[42:] for frame in frames) == data
        for frame in frames:
            assert (len(frame), frame[38:40]) == (1042, (1008).to_bytes(2, "big"))
            assert total(frame[14:34]) == 0xFFFF
            assert total(frame[26:34] + bytes((0, 17)) + frame[38:40] + frame[34:]) == 0xFFFF
        assert one.stats["rx_large"] == 1
