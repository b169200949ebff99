"""A guest under test as a router: what it forwards, what it changes on the way, what it answers itself.

The guest is a real one; the test plays both of its neighbours. No root is needed where user namespaces are allowed:

    pytest examples/router          # UML_KERNEL: the guest's kernel, unless it is Debian's linux.uml
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from vecnet import Port

HERE = Path(__file__).parent
KERNEL = os.environ.get("UML_KERNEL", "linux.uml")
GUEST = (KERNEL, "mem=64M", "rootfstype=hostfs", "ro", f"init={HERE / 'init'}", "con=null", "con0=null,fd:1")
BOOT = 60.0  # seconds; a guest takes two

pytestmark = [
    pytest.mark.vecnet("lab.yaml", scope="module"),
    pytest.mark.skipif(not shutil.which(KERNEL), reason=f"needs {KERNEL}: apt-get install user-mode-linux"),
]


@dataclass(frozen=True)
class Neighbour:
    """One of the router's, which the test plays."""

    port: Port
    ip: str
    mac: str
    router: str  # the Ethernet address of the router's end

    def send(self, dst: str, payload: Packet, ttl: int = 64) -> None:
        self.port.send(bytes(Ether(src=self.mac, dst=self.router) / IP(src=self.ip, dst=dst, ttl=ttl) / payload))

    def receive(self, wait: float = 2.0) -> list[Packet]:
        """The IP packets that come next."""
        return [packet[IP] for packet in map(Ether, self.port.recv(wait)) if IP in packet]

    def forget(self) -> None:
        """What has come so far."""
        while self.port.recv(0.1):
            pass


Neighbours = tuple[Neighbour, Neighbour]


@pytest.fixture
def neighbours(vecnet_ports: dict[str, Port], tmp_path: Path) -> Iterator[Neighbours]:
    """The left and the right one, once the router forwards between them."""
    left = Neighbour(vecnet_ports["left:vec0"], "10.0.1.2", "02:00:00:00:01:02", "02:00:00:00:01:01")
    right = Neighbour(vecnet_ports["right:vec0"], "10.0.2.2", "02:00:00:00:02:02", "02:00:00:00:02:01")
    command = [sys.executable, "-m", "vecnet", "run", str(HERE / "lab.yaml"), "--guest", "router", "--"]
    with subprocess.Popen([*command, *GUEST, f"uml_dir={tmp_path}/"], stdout=subprocess.DEVNULL) as guest:
        try:
            end = time.monotonic() + BOOT
            while not right.receive(0.2):
                assert guest.poll() is None, "the guest has ended"
                assert time.monotonic() < end, "the guest does not forward"
                left.send(right.ip, UDP(dport=9))
            for neighbour in (left, right):
                neighbour.forget()
            yield left, right
        finally:
            guest.terminate()


def test_it_forwards_and_counts_the_hop(neighbours: Neighbours) -> None:
    left, right = neighbours
    for here, there in ((left, right), (right, left)):
        here.send(there.ip, UDP(dport=9) / b"hello", ttl=17)
        (packet,) = there.receive()
        assert (packet.src, packet.dst, packet.ttl) == (here.ip, there.ip, 16)
        assert bytes(packet[UDP].payload).startswith(b"hello")


def test_it_says_why_it_does_not_forward(neighbours: Neighbours) -> None:
    """RFC 792: time exceeded, network unreachable."""
    left, right = neighbours
    for dst, ttl, why in ((right.ip, 1, (11, 0)), ("192.0.2.1", 64, (3, 0))):
        left.send(dst, UDP(dport=9), ttl=ttl)
        (answer,) = left.receive()
        assert (answer.src, answer[ICMP].type, answer[ICMP].code) == ("10.0.1.1", *why)
    assert not right.receive(0.2)
