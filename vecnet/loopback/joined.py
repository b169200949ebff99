"""The stacks at both ends of a wire, joined by it: addresses resolve, and connections carry.

A simulated guest's stack has a NIC whose frames move to and from the port under test, in C, both ways at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vecnet.loopback.agent import NIC, Transferred
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import Side
from vecnet.loopback.verdict import Absent
from vecnet.loopback.wire import Wire

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

Pair = tuple[str, str]  # addresses of the near and the far end that reach each other


class Speaks(Protocol):
    """A stack as far as probes ask it: see Stack."""

    def ping(self, to: str, interface: str, packet: int) -> float: ...

    def listen(self, address: str, interface: str) -> int: ...

    def serve(self, size: int, seed: int) -> None: ...

    def served(self) -> Transferred: ...

    def connect(self, address: str, port: int, interface: str, size: int, seed: int) -> Transferred: ...


@dataclass(frozen=True)
class StackEnd:
    """A stack at one end: the host's own, or a simulated guest's behind the port under test."""

    name: str
    stack: Speaks
    interface: str


def address_pairs(near: Side, far: Side) -> list[Pair]:
    """An address of each end in one subnet, for IPv4 and for IPv6 where both have them."""
    found: dict[int, Pair] = {}
    for here in map(ipaddress.ip_interface, near.addresses):
        for there in map(ipaddress.ip_interface, far.addresses):
            if here.version == there.version and there.ip in here.network and here.ip in there.network:
                found.setdefault(here.version, (str(here.ip), str(there.ip)))
    return list(found.values())


def pairs_of(near: Side, far: Side) -> list[Pair]:
    """The same. Raises Absent where there is none."""
    pairs = address_pairs(near, far)
    if not pairs:
        which = [side.name for side in (near, far) if not side.addresses and side.planned is None]
        if near.planned is not None and far.planned is not None:
            raise Absent("no guest at the switches has an inner address: give them an ip")
        if which:
            raise Absent(f"no inner address at {' or '.join(which)}: give {'it' if len(which) == 1 else 'both'} an ip")
        raise Absent("no two inner addresses in one subnet: give both ends such an ip")
    return pairs


@contextmanager
def joined_stacks(wire: Wire, stacks: Stacks) -> Iterator[tuple[tuple[StackEnd, StackEnd], list[Pair]]]:
    """Both ends' stacks, near and far, and their pairs of addresses. Raises Absent where there is no such pair."""
    subject = wire.subject
    pairs = pairs_of(subject.near, subject.far)
    with ExitStack() as stack:
        near = stack.enter_context(joined_stack("near", subject.near, wire.near, wire.macs[0], subject.mtu, stacks))
        far = stack.enter_context(joined_stack("far", subject.far, wire.far, wire.macs[1], subject.mtu, stacks))
        yield (near, far), pairs


@contextmanager
def joined_stack(which: str, side: Side, port: Port, mac: bytes, mtu: int, stacks: Stacks) -> Iterator[StackEnd]:
    """One end's: the host's own stack, or a simulated guest's, `which` of them, behind the port."""
    if side.is_host:
        yield StackEnd(side.name, stacks.host(side.netns), side.stack)
        return
    guest = stacks.guest(which)
    with guest.nic(mac.hex(":"), mtu, side.addresses) as nic, pumping(port, nic, mtu):
        yield StackEnd(side.name, guest, NIC)


@contextmanager
def pumping(port: Port, descriptor: int, mtu: int) -> Iterator[None]:
    """Frames go between `port` and the NIC's descriptor within the block."""
    from vecnet.datapath.loops import forward
    from vecnet.datapath.port import open_port

    nic = f"vec0:transport=fd,fd={descriptor},vec=0,mtu={mtu}"  # a tap's descriptor moves one frame a call
    with open_port(nic) as nic_port, forward(port, nic_port), forward(nic_port, port):
        yield
