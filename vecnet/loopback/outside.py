"""A program outside under test: the real one, which is started for it, as its guest meets it.

    the guest's string ── a switch ══ the program ── this machine's sockets

| probe | shows |
|---|---|
| arp | its gateway has an Ethernet address |
| dhcp | it hands out an address of its network |
| ping | its gateway answers a real IP stack, up to the full MTU |
| tcp | that stack reaches a listener of this machine, content compared |

Source: RFC 826, RFC 2131, RFC 2132.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vecnet.datapath.port import Port
from vecnet.loopback.agent import NIC, digest_of
from vecnet.loopback.codes import Code
from vecnet.loopback.icmp import checksum
from vecnet.loopback.joined import pumping
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import Subject
from vecnet.loopback.switched import Served, plugged, switch_of, switches_of
from vecnet.loopback.verdict import Absent, Failed
from vecnet.loopback.wire import guest_at_door, mac_of
from vecnet.programs import PROGRAMS, Program
from vecnet.serving.plan import Outside

_PATIENCE = 10.0  # seconds for an answer
_PAUSE = 0.5  # … before a question is asked again
_SIZE = 1 << 20  # bytes each way
_BROADCAST = b"\xff" * 6
_COOKIE = bytes.fromhex("63825363")  # RFC 2131, section 3
_DISCOVER, _OFFER = 1, 2


@dataclass(frozen=True)
class Beyond:
    """A program that runs, and the port of its guest."""

    subject: Subject
    port: Port
    mac: bytes
    behind: Outside

    @property
    def program(self) -> type[Program]:
        return PROGRAMS[self.behind.program]

    @property
    def gateway(self) -> str:
        return self.behind.wanted.gateway

    @property
    def own(self) -> str:
        return self.behind.wanted.own

    @property
    def name(self) -> str:
        return self.subject.far.name


@contextmanager
def opened(subject: Subject) -> Iterator[Beyond]:
    """The program, running, and its guest's port within the block. Raises Failed, Untested, HostError, PortError."""
    assert subject.far.planned is not None
    behind = subject.far.planned.behind
    assert isinstance(behind, Outside)
    with ExitStack() as stack:
        switches = stack.enter_context(switches_of(subject))
        door = [subject.door] if subject.door is not None else []
        if isinstance(switches, Served):
            switches.port(subject.far.planned)
            at_switch = switches.tester(subject.far.planned, subject.mtu)
        else:
            switch = stack.enter_context(switch_of([*door, subject.far.planned], switches.folder))
            at_switch = plugged(switch, subject.mtu)
        port = stack.enter_context(at_switch if subject.near.device is None else guest_at_door(subject))
        yield Beyond(subject, port, mac_of(subject.near), behind)


def _asked(port: Port, question: bytes, answers: Callable[[bytes], bytes | None]) -> bytes | None:
    """What `answers` makes of the first frame that is one; the question is asked again until then, in time."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        port.send(question, timeout=_PAUSE)
        due = time.monotonic() + _PAUSE
        while (left := due - time.monotonic()) > 0:
            for frame in port.recv(left):
                if (found := answers(frame)) is not None:
                    return found
    return None


def arp(beyond: Beyond, _stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Its gateway tells its Ethernet address."""
    who, own = socket.inet_aton(beyond.gateway), socket.inet_aton(beyond.own)
    packet = bytes.fromhex("0001080006040001") + beyond.mac + own + bytes(6) + who

    def answer(frame: bytes) -> bytes | None:
        is_one = frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == who
        return frame[22:28] if is_one and len(frame) >= 42 else None

    found = _asked(beyond.port, (_BROADCAST + beyond.mac + b"\x08\x06" + packet).ljust(60, b"\0"), answer)
    if found is None:
        raise Failed(Code.NO_GATEWAY, f"{beyond.name} does not tell where its gateway {beyond.gateway} is")
    return f"{beyond.gateway} is at {found.hex(':')}", {}


def dhcp(beyond: Beyond, _stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """It offers an address of its network."""
    if not beyond.program.dhcp:
        raise Absent(f"{beyond.name} hands out no addresses")
    number = os.urandom(4)
    message = b"\1\1\6\0" + number + b"\0\0\x80\0" + bytes(16) + beyond.mac + bytes(10 + 192)
    message += _COOKIE + bytes((53, 1, _DISCOVER, 255))
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + bytes(4) + b"\xff" * 4
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]

    def answer(frame: bytes) -> bytes | None:
        reply = frame[42:]
        is_one = frame[12:14] == b"\x08\0" and frame[23:24] == b"\x11" and frame[34:38] == b"\0\x43\0\x44"
        is_offer = bytes((53, 1, _OFFER)) in reply[240:]
        return reply[16:20] if is_one and reply[4:8] == number and is_offer else None

    found = _asked(beyond.port, _BROADCAST + beyond.mac + b"\x08\0" + head + udp, answer)
    if found is None:
        raise Failed(Code.NO_LEASE, f"{beyond.name} offers no address")
    address = ipaddress.IPv4Address(found)
    if address not in beyond.behind.wanted.network:
        raise Failed(
            Code.WRONG_LEASE, f"{beyond.name} offers {address}, which is not in {beyond.behind.wanted.network}"
        )
    return f"it offers {address}", {}


@contextmanager
def _stack(beyond: Beyond, stacks: Stacks) -> Iterator[None]:
    """A real IP stack at the guest's address within the block."""
    own = f"{beyond.own}/{beyond.behind.wanted.network.prefixlen}"
    with (
        stacks.guest("near").nic(beyond.mac.hex(":"), beyond.subject.mtu, (own,)) as nic,
        pumping(beyond.port, nic, beyond.subject.mtu),
    ):
        yield


def ping(beyond: Beyond, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Small and full-size echoes."""
    if beyond.program.echoes_by_host and not _host_lets_ping():
        raise Absent("this host lets no program ping: sysctl net.ipv4.ping_group_range says who may")
    slowest = 0.0
    with _stack(beyond, stacks):
        for packet in (84, beyond.subject.mtu):
            try:
                slowest = max(slowest, stacks.guest("near").ping(beyond.gateway, NIC, packet))
            except Failed as error:
                raise Failed(
                    Code.NO_ECHO, f"{beyond.name}, an echo of {packet} bytes to {beyond.gateway}: {error}"
                ) from None
    return f"up to {beyond.subject.mtu} bytes", {"pings": 2, "slowest_ms": slowest * 1e3}


def _host_lets_ping() -> bool:
    """Whether every group may have ping sockets, icmp(7): the program may have changed its own."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    return first == 0 and last >= 65534


def tcp(beyond: Beyond, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """1 MiB each way between the guest's stack and a listener at the host's 127.0.0.1, one way after the other.

    At once is more than a program can do that sends bytes twice then, as its file says of it.
    """
    if not beyond.behind.wanted.on("loopback", True):
        raise Absent("the host's own addresses are closed to the guest: loopback is off")
    guest, host = stacks.guest("near"), stacks.host(None)
    started = time.monotonic()
    with _stack(beyond, stacks):
        port = host.listen("127.0.0.1", "lo")
        host.serve(_SIZE, 0, turns=True)
        got = guest.connect(beyond.behind.wanted.host, port, NIC, _SIZE, 1, turns=True)
        served = host.served()
    for who, one, seed in (("the guest", got, 0), ("the host", served, 1)):
        if one.failure:
            raise Failed(Code.TCP_FAILED, f"{beyond.name}, TCP with the host: {who}, {one.failure}")
        if one.digest != digest_of(seed, _SIZE):
            came = f"{one.received} bytes came, and not those that were sent"
            raise Failed(Code.TCP_CHANGED, f"{beyond.name}, TCP with the host: {came}")
    megabits = 2 * _SIZE * 8 / (time.monotonic() - started) / 1e6
    return f"{_SIZE >> 20} MiB each way with the host, content equal", {"bytes": 2 * _SIZE, "mbit_per_s": megabits}


Probe = Callable[[Beyond, Stacks], tuple[str, Mapping[str, float]]]
PROBES: dict[str, Probe] = {"arp": arp, "dhcp": dhcp, "ping": ping, "tcp": tcp}
FIRST = "arp"  # without which none of the rest passes
