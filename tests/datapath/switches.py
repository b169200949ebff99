"""What the switch's tests share: frames with addresses, and hosts that are plugged in by a pair of sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import vecnet
from tests.datapath.wires import receive, wait_for
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch

BROADCAST = b"\xff" * 6
MULTICAST = bytes.fromhex("01005e000001")
STREAM = bytes.fromhex("88b5")


def mac(number: int) -> bytes:
    """A locally administered address, IEEE 802."""
    return b"\x02\0" + number.to_bytes(4, "big")


def text(number: int) -> str:
    return mac(number).hex(":")


def sent(to: int | bytes, by: int | bytes, number: int = 0, size: int = 60) -> bytes:
    """A frame to an address, or to the one of a host's number."""
    target, source = (one if isinstance(one, bytes) else mac(one) for one in (to, by))
    return (target + source + STREAM + number.to_bytes(4, "big")).ljust(size, b"\x5a")


@contextmanager
def plugged(switch: Switch, name: str, options: str = "", **settings: object) -> Iterator[Port]:
    """A host: the other end of a port that was added, with these options of its vec string."""
    with ExitStack() as held:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, far:
            switch.add(f"vec0:transport=fd,fd={near.fileno()}{options}", name=name, **settings)  # type: ignore[arg-type]
            port = held.enter_context(vecnet.open_port(f"vec0:transport=fd,fd={far.fileno()}{options}"))
        yield port


@contextmanager
def hosts(switch: Switch, count: int) -> Iterator[list[Port]]:
    """Hosts a, b, c, … on the switch."""
    with ExitStack() as held:
        yield [held.enter_context(plugged(switch, chr(ord("a") + i))) for i in range(count)]


def teach(switch: Switch, ports: list[Port]) -> None:
    """Let each host speak once, so that its address, its index, is known, and nothing waits afterwards."""
    for number, port in enumerate(ports):
        port.send(sent(BROADCAST, number))
    wait_for(lambda: len(switch.table) >= len(ports))
    for port in ports:
        assert len(receive(port, len(ports) - 1)) == len(ports) - 1


def nothing(*ports: Port) -> None:
    """Nobody has got anything. What went before has been passed on: the switch takes ports in turn."""
    assert [port.recv(0.05) for port in ports] == [[] for _ in ports]


def counted(switch: Switch, name: str, counter: str) -> int:
    return switch.stats[name][counter]
