"""The wires that are measured: two of each transport's samples, so that one can be forwarded to the other.

::

    far ports: raw on the host's interface, or the other end's string
    wire 1:  far ══ near ─┐ forward
    wire 2:  far ══ near ─┘
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from vecnet.datapath.port import Offload
from vecnet.loopback.subject import Subject, of_topology
from vecnet.loopback.wire import Wire, opened
from vecnet.topology import Topology, loads
from vecnet.transports import TRANSPORTS, Transport
from vecnet.transports.answers import Sample


@cache
def samples() -> Mapping[str, tuple[Sample, type[Transport]]]:
    """Every sample of every transport, by its name."""
    return {sample.name: (sample, kind) for kind in TRANSPORTS.values() for sample in kind.samples}


def topology(names: Iterable[str], depth: int, folder: str) -> Topology:
    """Two links of each sample, named after it; `folder` is for sockets."""
    links = []
    for index, name in enumerate(tuple(names) or ("fd",)):  # a topology has a link at the least
        for half in (1, 2):
            links.append(stated(name, 2 * index + half, folder, f"name: {_link(name, half)}, depth: {depth}"))
    return loads("name: bench\n" + "\n".join(["links:", *links]))


def stated(name: str, unit: int, folder: str, words: str) -> str:
    """The file's line for a link of a sample, with `words` of its own; `unit` keeps it apart from others."""
    sample, kind = samples()[name]
    link = sample.link.format(
        unit=unit,
        folder=folder,
        near=f"127.11.{unit}.1",
        far=f"127.11.{unit}.2",
        near6=f"fd0b::{unit:x}:1",
        far6=f"fd0b::{unit:x}:2",
    )
    return f"  - {{transport: {kind.name}, {words}, {link}}}"


def _link(name: str, half: int) -> str:
    return f"{name.replace(' ', '-')}-{half}"


@contextmanager
def pair(lab: Topology, name: str) -> Iterator[tuple[Wire, Wire]]:
    """Both wires of a sample, open."""
    one, two = _subjects(lab, name)
    with opened(one) as first, opened(two) as second:
        yield first, second


@contextmanager
def whole_pair(lab: Topology, name: str) -> Iterator[tuple[Wire, Wire]]:
    """… with ports that take a frame with its virtio-net header. The far end of one that has none gets segments."""
    one, two = _subjects(lab, name)
    far: Offload = "raw" if samples()[name][1].vnet else "software"
    with opened(one, "raw", far) as first, opened(two, "raw", far) as second:
        yield first, second


@contextmanager
def single(lab: Topology, name: str) -> Iterator[Wire]:
    """The first of both wires, open; a guest may take the place of its near end."""
    with opened(_subjects(lab, name)[0], guest_follows=True) as wire:
        yield wire


def _subjects(lab: Topology, name: str) -> list[Subject]:
    return of_topology(lab, [_link(name, half) for half in (1, 2)])
