"""What the datapath's tests share: frames, plain sockets that know nothing of vecnet, and waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.host.network import ip
from vecnet.datapath.port import Port

ETH_P_ALL = 0x0003
VNET = bytes(10)  # the virtio-net header of a frame that is complete
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(number: int = 0, size: int = 60) -> bytes:
    """A frame of an experimental Ethertype (IEEE 802), told apart by its number."""
    head = MAC_B + MAC_A + b"\x88\xb5" + number.to_bytes(4, "big")
    return (head + bytes((number + i) & 0xFF for i in range(size - len(head))))[:size]


def receive(port: Port, count: int, timeout: float = 5.0) -> list[bytes]:
    """Exactly `count` frames, or those that came before the time was over."""
    frames: list[bytes] = []
    while len(frames) < count:
        got = port.recv(timeout)
        if not got:
            break
        frames += got
    return frames


def assert_all_in_order(drained: Mapping[str, int], count: int) -> None:
    """A drain has seen all of a generator's frames, once, in order and unchanged."""
    wrong = {name: number for name, number in drained.items() if number and name not in ("bytes", "foreign")}
    assert wrong == {"frames": count, "next": count}


def nothing_more(port: Port) -> None:
    assert port.recv(0.05) == []


@contextmanager
def packet_socket(ifname: str) -> Iterator[socket.socket]:
    """A plain packet socket: whole frames, no virtio-net header."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as peer:
        peer.bind((ifname, ETH_P_ALL))
        peer.settimeout(5)
        yield peer


def veth(near: str = "near", far: str = "far") -> None:
    """near ═══ far: a veth pair that is up and says nothing by itself."""
    ip("link", "add", near, "type", "veth", "peer", "name", far)
    for name in (near, far):
        quiet(name)
        ip("link", "set", name, "up")
    for name in (near, far):
        wait_for_queue(name)


def tap(name: str = "tap0", *, vnet_hdr: bool = True) -> None:
    ip("tuntap", "add", name, "mode", "tap", *(["vnet_hdr"] if vnet_hdr else []))
    quiet(name)
    ip("link", "set", name, "up")


def wait_for_queue(name: str) -> None:
    """Until the kernel has given the interface its transmit queue, which it does a little after the carrier came."""
    wait_for(lambda: "qdisc noop " not in ip("link", "show", name))


def wait_for(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} seconds"
        time.sleep(0.01)


def quiet(name: str) -> None:
    ip("link", "set", name, "addrgenmode", "none")  # no neighbour discovery
