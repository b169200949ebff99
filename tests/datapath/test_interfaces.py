"""tap, hybrid and raw against plain packet sockets: the virtio-net header stays on the descriptor.

tap, hybrid:  port ── tap0 ── the kernel, seen and fed by a packet socket
raw:          port ── near ═══ far ── a packet socket
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vecnet
from tests.datapath.wires import VNET, frame, nothing_more, packet_socket, receive, tap, veth, wait_for_queue
from tests.host.network import ip
from vecnet.datapath.port import Port
from vecnet.errors import InterfaceMissing

SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
DEVICES = {
    "tap": "vec0:transport=tap,ifname=tap0",
    "hybrid": "vec0:transport=hybrid,ifname=tap0",
    "raw": "vec0:transport=raw,ifname=near",
}
every_kind = pytest.mark.parametrize("kind", DEVICES)


@contextlib.contextmanager
def opened(kind: str, options: str = "") -> Iterator[tuple[Port, socket.socket]]:
    """A port, and a packet socket that stands where the host's end of the wire is."""
    if kind == "raw":
        veth()
    else:
        tap()
    with packet_socket("far" if kind == "raw" else "tap0") as host, ready(kind, options) as port:
        yield port, host


def ready(kind: str, options: str = "", **how: Any) -> Port:
    port = vecnet.open_port(DEVICES[kind] + options, **how)
    wait_for_queue(DEVICES[kind].rpartition("=")[2])  # a tap has a carrier only while it is open
    return port


@every_kind
@pytest.mark.parametrize("options", ["", ",depth=1", ",vec=0", ",gro=1", ",depth=200,headroom=100"])
def test_frames_cross_both_ways_and_none_comes_back(kind: str, options: str) -> None:
    with opened(kind, options) as (port, host):
        out = [frame(n, 60 + 10 * n) for n in range(100)]
        assert port.send(out) == 100
        assert [host.recv(2000) for _ in out] == out
        back = [frame(1000 + n, 1514 - n) for n in range(100)]
        for one in back:
            host.send(one)
        assert receive(port, 100) == back
        nothing_more(port)
        stats = port.stats
        assert (stats["tx_frames"], stats["rx_frames"]) == (100, 100)
        assert stats["rx_drop_queue_full"] == 0
        assert stats["rx_queue_max"] <= (1 if "depth=1" in options or "vec=0" in options else 200)


@every_kind
def test_raw_offload_keeps_the_virtio_net_header(kind: str) -> None:
    with opened(kind) as (port, host):
        port.close()
        with ready(kind, offload="raw") as raw:
            assert raw.send(VNET + frame(1)) == 1
            assert host.recv(2000) == frame(1)
            host.send(frame(2))
            assert receive(raw, 1) == [VNET + frame(2)]


@every_kind
def test_a_vlan_tag_is_put_back_unless_told_to_do_as_a_guest(kind: str) -> None:
    tag = bytes.fromhex("8100a005")
    tagged = frame(1, 1514)[:12] + tag + frame(1, 1514)[12:]
    with opened(kind) as (port, host):
        host.send(tagged)
        assert receive(port, 1) == [tagged]
        assert port.send(tagged) == 1
        assert len(host.recv(2000)) in (1514, 1518)
        if kind != "raw":
            return  # the kernel left the tag where it was
        assert port.stats["rx_vlan"] == 1
        port.close()
        with ready(kind, restore_vlan=False) as guest:
            host.send(tagged)
            assert receive(guest, 1) == [frame(1, 1514)]


@every_kind
def test_frames_longer_than_the_mtu_are_dropped_and_counted(kind: str) -> None:
    with opened(kind, ",mtu=1000") as (port, host):
        for one in (frame(1, 1014), frame(2, 1015), frame(3, 1514), frame(4)):
            host.send(one)
        assert receive(port, 2) == [frame(1, 1014), frame(4)]
        assert port.stats["rx_drop_truncated"] == 2
        port.close()
        with ready(kind, ",mtu=1000", keep_truncated=True) as guest:
            host.send(frame(3, 1514))
            assert receive(guest, 1) == [frame(3, 1514)[:1014]]
            assert guest.stats["rx_kept_truncated"] == 1


@every_kind
def test_what_the_kernel_refuses_is_counted(kind: str) -> None:
    with opened(kind) as (port, host):
        assert port.send([frame(1), b"", frame(2, 13), frame(3)]) == 4
        assert host.recv(2000) == frame(1)
        assert host.recv(2000) == frame(3)
        assert port.stats["tx_drop_invalid"] == 2
        assert port.stats["tx_frames"] == 2


def test_an_oversized_frame_is_too_long_for_a_packet_socket() -> None:
    with opened("raw") as (port, host):
        assert port.send([frame(1, 1515), frame(2)]) == 2
        assert host.recv(2000) == frame(2)
        assert port.stats["tx_drop_too_long"] == 1


def test_raw_filters_by_a_file_of_bpf(tmp_path: Path) -> None:
    """Only Ethertype 0x88b5: ld h [12]; jeq #0x88b5, 0, 1; ret #-1; ret #0."""
    program = [(0x28, 0, 0, 12), (0x15, 0, 1, 0x88B5), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)]
    path = tmp_path / "filter"
    path.write_bytes(b"".join(struct.pack("=HBBI", *one) for one in program))
    with opened("raw", f",bpffile={path}") as (port, host):
        other = bytearray(frame(1))
        other[13] = 0xB6
        host.send(other)
        host.send(frame(2))
        assert receive(port, 1) == [frame(2)]
        nothing_more(port)


def test_an_interface_that_goes_down_is_said_and_can_come_back() -> None:
    with opened("raw") as (port, host):
        ip("link", "set", "near", "down")
        with pytest.raises(InterfaceMissing, match="ip link set"):
            port.recv(1)
        ip("link", "set", "near", "up")
        wait_for_queue("far")
        host.send(frame(1))
        assert receive(port, 1) == [frame(1)]


def test_a_full_receive_queue_is_counted_by_cause() -> None:
    with opened("raw") as (port, host):
        with contextlib.suppress(BlockingIOError):
            for n in range(20000):
                host.send(frame(n, 1514))
        taken = len(receive(port, 20000, 0.2))
        stats = port.stats
        assert stats["rx_drop_queue_full"] == 20000 - taken > 0


def test_a_tap_s_descriptor_works_as_fd_transport() -> None:
    import fcntl

    tap(vnet_hdr=False)
    with packet_socket("tap0") as host:
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x0002 | 0x1000))  # TUNSETIFF: tap, no pi
        with vecnet.open_port(f"vec0:transport=fd,fd={descriptor},vec=0") as port:
            wait_for_queue("tap0")
            assert port.send([frame(1), frame(2)]) == 2
            assert [host.recv(2000), host.recv(2000)] == [frame(1), frame(2)]
            host.send(frame(3))
            assert receive(port, 1) == [frame(3)]
            nothing_more(port)
        assert not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK  # as it was before
        os.close(descriptor)


def test_a_frame_that_the_tap_refuses_is_dropped_alone() -> None:
    tap()
    with vecnet.open_port("vec0:transport=tap,ifname=tap0") as port, packet_socket("tap0") as peer:
        wait_for_queue("tap0")
        given = [frame(0), b"x", frame(1), b"y", b"z"]
        assert port.send(given) == len(given)
        assert [peer.recv(4096) for _ in range(2)] == [frame(0), frame(1)]
        assert port.stats["tx_drop_invalid"] == 3
        assert port.stats["tx_frames"] == 2
        assert port.stats["tx_bytes"] == 120
