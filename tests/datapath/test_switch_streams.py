"""Millions of frames through a switch, both ways at once: each arrives once, in order and unchanged.

a port ══ the switch ══ a port          the other ports of the switch are silent
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

import vecnet
from tests.datapath.switches import BROADCAST, sent, text
from tests.datapath.wires import assert_all_in_order, receive, veth, wait_for
from tests.host.network import ip
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch

_TUNNEL = (
    "vec0:transport=l2tpv3,src={0},dst={1},udp=1,srcport=7,dstport=7,rx_session=1,tx_session=1,counter=1,depth=128"
)
every_pair = pytest.mark.parametrize(
    "kinds", [("fd", "fd"), ("bess", "l2tpv3"), ("gre", "bess"), ("raw", "raw")], ids=str
)


@contextmanager
def end(lan: Switch, kind: str, number: int) -> Iterator[Port]:
    """A port of the switch, and the port at its other end."""
    with ExitStack() as held:
        if kind == "fd":
            near, far = (held.enter_context(half) for half in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            string, other = (f"vec0:transport=fd,fd={half.fileno()},depth=128" for half in (near, far))
        elif kind == "bess":
            string = other = f"vec0:transport=bess,dst=/run/lan{number},depth=128"
        elif kind == "raw":
            veth(f"near{number}", f"far{number}")
            string, other = (f"vec0:transport=raw,ifname={name}{number},gro=1,depth=128" for name in ("near", "far"))
        else:
            here, there = f"127.0.{number}.1", f"127.0.{number}.2"
            form = _TUNNEL if kind == "l2tpv3" else "vec0:transport=gre,src={0},dst={1},rx_key=1,tx_key=1,depth=128"
            string, other = form.format(here, there), form.format(there, here)
        lan.add(string, name=f"end{number}", guests=1)
        yield held.enter_context(vecnet.open_port(other))


def exchange(lan: Switch, ports: list[Port], count: int, seconds: float) -> None:
    """Frames both ways at once, never more under way than queues hold."""
    for number, port in enumerate(ports):
        port.send(sent(BROADCAST, number))
        wait_for(lambda number=number: len(lan.table) > number)  # type: ignore[misc]
    for port in ports:
        receive(port, len(ports) - 1)
    one, other = ports[:2]
    drains = [drain(port, count=count, seconds=seconds, stream=stream) for stream, port in enumerate((one, other))]
    generators = [
        generate(
            port,
            count=count,
            seconds=seconds,
            size=(60, 1514),
            follow=drains[1 - number],
            window=64,
            stream=1 - number,
            target=text(1 - number),
            source=text(number),
        )
        for number, port in enumerate((one, other))
    ]
    for loop in generators:
        assert loop.wait()["frames"] == count
    for loop in drains:
        assert_all_in_order(loop.wait(), count)
    for name, counters in lan.stats.items():
        assert not {cause: n for cause, n in counters.items() if "drop_" in cause and n}, name


@every_pair
def test_frames_each_way_arrive_once_in_order_and_unchanged(kinds: tuple[str, str]) -> None:
    ip("link", "set", "lo", "mtu", "9000")  # or gre's packets would be fragments
    with Switch() as lan, ExitStack() as held:
        ports = [held.enter_context(end(lan, kind, number)) for number, kind in enumerate((*kinds, "fd"), 1)]
        exchange(lan, ports, 100_000, seconds=100)


@pytest.mark.unsanitized  # a minute becomes ten
@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_million_frames_each_way() -> None:
    with Switch() as lan, ExitStack() as held:
        ports = [held.enter_context(end(lan, kind, number)) for number, kind in enumerate(("bess", "fd", "fd"), 1)]
        exchange(lan, ports, 10_000_000, seconds=850)
