"""Wires of every kind, and a topology that has them all.

Each wire is a network of its own, 10.1.N.0/24. Those that have outer addresses have a pair of their own too, since a
guest's raw socket receives every packet of its protocol: 127.1.N.x on the loopback interface, fd00:N::x on a bridge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

_PER_GUEST = 18  # a guest's command line has 4096 bytes


@dataclass(frozen=True)
class Wire:
    """A link of a topology: its own keys and its ends'; between two guests, or a guest and the interface `host`."""

    name: str
    transport: str
    keys: dict[str, Any] = field(default_factory=dict)
    ends: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    host: str = ""
    outer: str = ""  # v4 or v6

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Place:
    """Where a wire is: the device `vec` of `guest`, and at its other end `peer`, a guest or "host", with `address`."""

    guest: str
    vec: str
    peer: str
    address: str


def _gre() -> Iterator[Wire]:
    for outer, key, sequence in itertools.product(("v4", "v6"), (False, True), ("off", "on", "pinned")):
        name = f"gre-{outer}{'-key' * key}-sequence-{sequence}"
        yield Wire(name, "gre", {"key": key, "sequence": sequence}, outer=outer)


def _l2tpv3() -> Iterator[Wire]:
    choices = itertools.product(("udp", "ip"), ("v4", "v6"), (0, 32, 64), ("off", "on", "pinned"))
    for encap, outer, cookie, counter in choices:
        name = f"l2tpv3-{encap}-{outer}-cookie-{cookie}-counter-{counter}"
        yield Wire(name, "l2tpv3", {"encap": encap, "cookie": cookie, "counter": counter}, outer=outer)


HOST_WIRES = [
    Wire("tap", "tap", host="tap-gro"),
    Wire("tap-without-gro", "tap", {"gro": False}, host="tap-plain"),
    Wire("tap-jumbo", "tap", {"mtu": 9000}, host="tap-jumbo"),
    Wire("tap-small", "tap", {"mtu": 576, "depth": 1}, host="tap-small"),
    Wire("hybrid", "hybrid", host="hybrid"),
    Wire("raw", "raw", host="veth-gro"),
    Wire("raw-without-gro", "raw", {"gro": False}, host="veth-plain"),
]

TUNNELS = [
    *_gre(),
    Wire("gre-high-keys", "gre", {}, ({"key": 0xFFFFFFFF}, {"key": 0x80000000}), outer="v4"),
    Wire("gre-key-0", "gre", {}, ({"key": 0}, {"key": 1}), outer="v6"),
    Wire("gre-jumbo", "gre", {"mtu": 9000}, outer="v4"),
    *_l2tpv3(),
    Wire(
        "l2tpv3-high-udp",
        "l2tpv3",
        {"encap": "udp"},
        ({"session": 0xFFFFFFFF, "cookie": 0xFFFFFFFF}, {"session": 0xFFFFFFFE, "cookie": 0x80000000}),
        outer="v4",
    ),
    Wire(
        "l2tpv3-high-ip",
        "l2tpv3",
        {"encap": "ip", "cookie": 64},
        ({"session": 0xFFFFFFFF, "cookie": 2**64 - 1}, {"session": 0x80000000, "cookie": 2**63}),
        outer="v6",
    ),
]

WIRES = [
    *HOST_WIRES,
    Wire("raw-between-guests", "raw"),
    Wire("raw-one-at-a-time", "raw", {"vec": False}),
    *TUNNELS,
]


def topology(wires: Sequence[Wire]) -> tuple[str, dict[str, Place]]:
    """A topology with all wires, as YAML, and where each of them is. Guests are named a0, b0, a1, b1, …"""
    links: list[dict[str, Any]] = []
    places: dict[str, Place] = {}
    outer_v6: list[str] = []
    for number, wire in enumerate(wires):
        pair, unit = divmod(number, _PER_GUEST)
        here, there = {"ip": f"10.1.{number}.1/24"}, {"ip": f"10.1.{number}.2/24"}
        for which, end in enumerate((here, there), start=1):
            end |= wire.ends[which - 1]
            if wire.outer:
                end["local"] = f"127.1.{number}.{which}" if wire.outer == "v4" else f"fd00:{number:x}::{which}"
            if wire.outer == "v6":
                outer_v6.append(end["local"] + "/64")
        guest, vec = f"a{pair}", f"vec{unit}"
        other = f"host:{wire.host}" if wire.host else f"b{pair}:{vec}"
        places[wire.name] = Place(guest, vec, other.partition(":")[0], f"10.1.{number}.2")
        links.append({"transport": wire.transport, **wire.keys, "endpoints": {f"{guest}:{vec}": here, other: there}})
    document = {"name": "wires", "links": links, "bridges": {"under6": {"ip": outer_v6}}}
    return yaml.safe_dump(document, sort_keys=False), places
