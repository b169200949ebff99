"""The wires that are measured: two of each transport, so that one can be forwarded to the other.

::

    far ports: raw on the host's interface, or the other end's string
    wire 1:  far ══ near ─┐ forward
    wire 2:  far ══ near ─┘
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vecnet.datapath.port import Offload
from vecnet.loopback.subject import Subject, of_topology
from vecnet.loopback.wire import Wire, opened
from vecnet.topology import Topology, loads

_TUNNEL = "endpoints: {{'a:vec{0}': {{local: '{1}'}}, 'b:vec{0}': {{local: '{2}'}}}}"
_HOST = "endpoints: ['a:vec{0}', 'host:{3}{0}']"
_KINDS = {
    "tap": "{{transport: tap, " + _HOST,
    "hybrid": "{{transport: hybrid, " + _HOST,
    "raw": "{{transport: raw, " + _HOST,
    "gre": "{{transport: gre, key: on, sequence: on, " + _TUNNEL,
    "gre v6": "{{transport: gre, " + _TUNNEL,
    "l2tpv3 udp": "{{transport: l2tpv3, cookie: 64, counter: on, " + _TUNNEL,
    "l2tpv3 udp v6": "{{transport: l2tpv3, " + _TUNNEL,
    "l2tpv3 ip": "{{transport: l2tpv3, encap: ip, cookie: 64, counter: on, " + _TUNNEL,
    "bess": "{{transport: bess, endpoints: {{'a:vec{0}': {{}}, 'host:port{0}': {{path: {4}/switch{0}}}}}",
    "fd": "{{transport: fd, endpoints: ['a:vec{0}', 'b:vec{0}']",
}
TRANSPORTS = tuple(_KINDS)
WHOLE = ("tap", "hybrid", "raw")  # those that carry large frames


def topology(transports: tuple[str, ...], depth: int, folder: str) -> Topology:
    """Two links of each transport, named after it; `folder` is for sockets."""
    links = []
    for index, transport in enumerate(transports):
        for half in (1, 2):
            unit = 2 * index + half
            here, there = (
                (f"fd0b::{unit:x}:1", f"fd0b::{unit:x}:2")
                if transport.endswith("v6")
                else (f"127.11.{unit}.1", f"127.11.{unit}.2")
            )
            name = f"{transport.replace(' ', '-')}-{half}"
            link = _KINDS[transport].format(unit, here, there, transport[:3], folder)
            links.append(f"  - {link}, name: {name}, depth: {depth}}}")
    return loads("name: bench\nlinks:\n" + "\n".join(links))


@contextmanager
def pair(lab: Topology, transport: str) -> Iterator[tuple[Wire, Wire]]:
    """Both wires of a transport, open."""
    one, two = _subjects(lab, transport)
    with opened(one) as first, opened(two) as second:
        yield first, second


@contextmanager
def whole_pair(lab: Topology, transport: str) -> Iterator[tuple[Wire, Wire]]:
    """… with ports that take a frame with its virtio-net header. The far end of one that has none gets segments."""
    one, two = _subjects(lab, transport)
    far: Offload = "raw" if transport in WHOLE else "software"
    with opened(one, "raw", far) as first, opened(two, "raw", far) as second:
        yield first, second


@contextmanager
def single(lab: Topology, transport: str) -> Iterator[Wire]:
    """The first of both wires, open."""
    with opened(_subjects(lab, transport)[0]) as wire:
        yield wire


def _subjects(lab: Topology, transport: str) -> list[Subject]:
    name = transport.replace(" ", "-")
    return of_topology(lab, [f"{name}-1", f"{name}-2"])
