"""Descriptors that carry no bare Ethernet frames are refused, with what they are; and taps with another header."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import vecnet
from tests.datapath.wires import tap
from vecnet.errors import PortError

TUNSETIFF, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D8
TUN, TAP, NO_PI, VNET_HDR = 1, 2, 0x1000, 0x4000
PACKET_VNET_HDR = 15  # linux/if_packet.h


def device(path: str) -> int:
    return os.open(path, os.O_RDWR)


def tun(flags: int, header: int = 0) -> int:
    descriptor = device("/dev/net/tun")
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH14x", b"some%d", flags))
    if header:
        fcntl.ioctl(descriptor, TUNSETVNETHDRSZ, struct.pack("i", header))
    return descriptor


def one_of(family: int, kind: int) -> int:
    return socket.socket(family, kind).detach()


def half_of_a_pair(kind: int) -> int:
    near, far = socket.socketpair(socket.AF_UNIX, kind)
    with far:
        return near.detach()


def listening() -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind("\0listening")
        one.listen()
        return one.detach()


def with_headers() -> int:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one:
        one.setsockopt(263, PACKET_VNET_HDR, 1)  # SOL_PACKET
        return one.detach()


def pipe() -> int:
    path = "/tmp/vecnet-test-fifo"
    os.mkfifo(path)
    try:
        return os.open(path, os.O_RDWR)
    finally:
        Path(path).unlink()


REFUSED: dict[str, tuple[Callable[[], int], str]] = {
    "a stream pair": (lambda: half_of_a_pair(socket.SOCK_STREAM), "is a stream socket"),
    "a TCP socket": (lambda: one_of(socket.AF_INET, socket.SOCK_STREAM), "is a stream socket"),
    "a listener": (listening, "is a socket that listens"),
    "netlink": (lambda: one_of(socket.AF_NETLINK, socket.SOCK_RAW), "is a netlink socket"),
    "a cooked packet socket": (
        lambda: one_of(socket.AF_PACKET, socket.SOCK_DGRAM),
        "is a packet socket without Ethernet headers",
    ),
    "a packet socket with headers": (with_headers, "is a packet socket with virtio-net headers"),
    "/dev/null": (lambda: device("/dev/null"), "is a device that is no tap"),
    "/dev/zero": (lambda: device("/dev/zero"), "is a device that is no tap"),
    "a file": (lambda: os.memfd_create("some"), "is a file"),
    "a pipe": (pipe, "is a pipe"),
    "an eventfd": (lambda: os.eventfd(0), "is neither a socket nor a tap"),
    "a tap that is not attached": (lambda: device("/dev/net/tun"), "is a tap that is attached to no interface"),
    "a tun": (lambda: tun(TUN | NO_PI), "is a tun, whose packets have no Ethernet header"),
    "a tap with a header": (lambda: tun(TAP | NO_PI | VNET_HDR), "is a tap with a virtio-net header of 10 bytes"),
    "… of 12": (lambda: tun(TAP | NO_PI | VNET_HDR, 12), "is a tap with a virtio-net header of 12 bytes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_carries_no_bare_frames_is_refused(what: str) -> None:
    make, sentence = REFUSED[what]
    descriptor = make()
    try:
        before = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        with pytest.raises(PortError, match=f"descriptor {descriptor} {sentence}") as told:
            vecnet.open_port(f"vec0:transport=fd,fd={descriptor}")
        assert "SOCK_SEQPACKET" in told.value.problems[0].instead
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == before
    finally:
        os.close(descriptor)


TAKEN: dict[str, Callable[[], int]] = {
    "a sequenced pair": lambda: half_of_a_pair(socket.SOCK_SEQPACKET),
    "a datagram pair": lambda: half_of_a_pair(socket.SOCK_DGRAM),
    "a packet socket": lambda: one_of(socket.AF_PACKET, socket.SOCK_RAW),
    "UDP": lambda: one_of(socket.AF_INET, socket.SOCK_DGRAM),
    "a tap": lambda: tun(TAP | NO_PI),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_carries_bare_frames_is_taken(what: str) -> None:
    descriptor = TAKEN[what]()
    try:
        vecnet.open_port(f"vec0:transport=fd,fd={descriptor}").close()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("string", ["tap", "hybrid"])
def test_a_tap_with_another_header_than_a_guest_s_is_named(string: str) -> None:
    tap()
    keeper = device("/dev/net/tun")
    fcntl.ioctl(keeper, TUNSETIFF, struct.pack("16sH14x", b"tap0", TAP | NO_PI | VNET_HDR))
    fcntl.ioctl(keeper, TUNSETVNETHDRSZ, struct.pack("i", 12))
    os.close(keeper)  # the tap stays, and its header with it
    with pytest.raises(PortError, match="the tap tap0 has a virtio-net header of 12 bytes") as told:
        vecnet.open_port(f"vec0:transport={string},ifname=tap0")
    assert "vecnet down, then vecnet up" in told.value.problems[0].instead
