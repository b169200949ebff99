"""An underlay of two network namespaces, and a tunnel between them with both ends open.

    the test's network namespace                                          namespace "far"
    kernel's devices, made by vecnet ═ under 192.0.2.1/24 ══ veth ══ over 192.0.2.10/24, .11, … ═ a guest's sockets
                                          fd00:2::1/64, MTU 1500      fd00:2::10/64, ::11, …

Frames enter and leave a device by a packet socket. The guest's addresses are taken from number 10 on.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.host.network import private_network, within
from tests.kernel.guest_end import ETH_P_TEST, SECONDS, GuestEnd, frame
from tests.need import need, need_command, need_root
from vecnet.topology import ResolvedLink

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23  # linux/socket.h, linux/if_packet.h
ETH_P_ALL = 0x0003
UNDERLAY_MTU = 1500
FRAMES = [frame(b"first"), frame(bytes(range(256)) * 4), frame(b"\0" * 46), frame(b"last" * 250)]


def outer(v6: bool, number: int) -> str:
    """The outer address of that number: 1 is the host's."""
    return f"fd00:2::{number}" if v6 else f"192.0.2.{number}"


@contextmanager
def underlay(guests: int = 8) -> Iterator[None]:
    """The calling process is in the first of these namespaces; `guests` addresses of each family are in the other."""
    need("VECNET_KERNEL" in os.environ, "needs a kernel with gretap and l2tp: make test-kernel")
    need_root()
    need_command("ip", "ethtool")
    with private_network():
        run("ip netns add far")
        batch(
            "link add under type veth peer name over netns far",
            "link set lo up",
            "link set under up",
            f"addr add {outer(False, 1)}/24 dev under",
            f"addr add {outer(True, 1)}/64 dev under nodad",
        )
        numbers = range(10, 10 + guests)
        batch(
            "link set lo up",
            "link set over up",
            *(f"addr add {outer(False, number)}/24 dev over" for number in numbers),
            *(f"addr add {outer(True, number)}/64 dev over nodad" for number in numbers),
            namespace="far",
        )
        yield


def run(command: str) -> str:
    """A command, and what it prints."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def batch(*commands: str, namespace: str = "") -> None:
    """Commands of `ip`, all at once."""
    words = ["ip", *(("-n", namespace) if namespace else ()), "-batch", "-"]
    done = subprocess.run(words, input="\n".join(commands), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def tapped(ifname: str, ethertype: int = ETH_P_TEST) -> Iterator[socket.socket]:
    """A packet socket on an interface of the calling thread's namespace, for what comes in and is to go out."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        packets.bind((ifname, ethertype))
        packets.settimeout(SECONDS)
        yield packets


class Pair:
    """Both ends of a link, open: `device` is a packet socket on the kernel's, `guest` the other."""

    def __init__(self, device: socket.socket, guest: GuestEnd, link: ResolvedLink) -> None:
        self.device, self.guest, self.link = device, guest, link
        self.ifname = link.interfaces[0].ifname


@contextmanager
def opened(link: ResolvedLink, *, namespace: str | None = "far", ethertype: int = ETH_P_TEST) -> Iterator[Pair]:
    """Both ends of a link that is up; the guest's socket is in `namespace`."""
    device = link.devices[0]
    assert device is not None
    with within(namespace):
        guest = GuestEnd(device)
    with guest, tapped(link.interfaces[0].ifname, ethertype) as packets:
        yield Pair(packets, guest, link)


def check_to_guest(pair: Pair) -> None:
    """Frames of the kernel's arrive: every byte of the outer packet is what the guest's vec string lets it expect."""
    numbers = []
    arriving = pair.guest.received()
    for inner in FRAMES:
        pair.device.send(inner)
        got = next(arriving)
        # a gretap's numbers are its own matter, a guest does not look at them; the kernel's l2spec word is 0
        number = got.fields.get("sequence_number", 0)
        numbers.append(number)
        assert got.whole == bytes(pair.guest.header(receive=True, number=number)) + inner
        if got.ip is not None:
            assert (got.ip.src, got.ip.dst) == (pair.guest.transport.dst, pair.guest.transport.src)
            assert got.ip.ttl == 64
    if getattr(pair.guest.transport, "sequence", False):
        assert numbers == sorted(set(numbers))


def check_from_guest(pair: Pair) -> None:
    """Frames of the guest's arrive, byte for byte, and in their order."""
    for inner in FRAMES:
        pair.guest.send(inner)
    for inner in FRAMES:
        assert pair.device.recv(65536) == inner
