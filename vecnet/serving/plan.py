"""Which switches and ports a topology asks for: plain data, so that a reload can tell what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vecnet.impairment import Impairment
from vecnet.programs import PROGRAMS
from vecnet.programs.base import Wanted
from vecnet.topology.model import ResolvedLink, Switching, Topology
from vecnet.transports.base import Transport
from vecnet.transports.bess import Bess
from vecnet.transports.link import OUTSIDE, HostInterface


@dataclass(frozen=True)
class Door:
    """The switch listens, and a guest or another switch comes in."""

    options: Bess


@dataclass(frozen=True)
class Wire:
    """The switch opens a string, as a guest would."""

    options: Transport
    netns: str | None


@dataclass(frozen=True)
class Tapped:
    """The switch opens an interface whose descriptor a guest would inherit."""

    options: Transport
    interface: HostInterface


@dataclass(frozen=True)
class Outside:
    """A program that is started for this port alone."""

    program: str
    wanted: Wanted


@dataclass(frozen=True)
class PlannedPort:
    """A port of a switch, by its name there."""

    name: str
    link: str
    behind: Door | Wire | Tapped | Outside
    isolated: bool = False
    storm: int | None = None  # None as the switch has it
    mirror: tuple[str, ...] = ()
    impairment: Impairment | None = field(default=None, compare=False)  # which changes while its frames move


@dataclass(frozen=True)
class PlannedSwitch:
    """A switch: the one of that name, or the one between a guest's interface and a program."""

    name: str
    settings: Switching
    ports: tuple[PlannedPort, ...]


def planned(topology: Topology) -> tuple[PlannedSwitch, ...]:
    """All switches that a topology asks for, in the order of their names."""
    ports: dict[str, list[PlannedPort]] = {name: [] for name in topology.switches}
    for link in topology.links:
        for switch, port in ports_of(link):
            ports.setdefault(switch, []).append(port)
    return tuple(
        PlannedSwitch(name, topology.switches.get(name, Switching()), tuple(ports[name])) for name in sorted(ports)
    )


def ports_of(link: ResolvedLink) -> Iterator[tuple[str, PlannedPort]]:
    """The ports of a link, each with its switch's name. One end impairs, as by netem: the first that is at a switch."""
    near, far = link.spec.ends
    for index, end in enumerate(link.spec.ends):
        if end.switch and link.is_here(index):
            given = end.given
            yield (
                end.switch,
                PlannedPort(
                    end.ifname,
                    link.name,
                    _behind(link, index),
                    bool(given.get("isolated", False)),
                    given.get("storm"),
                    tuple(given.get("mirror", ())),
                    link.impairment if index == 0 or not near.switch else None,
                ),
            )
    if near.node is not None and far.kind == OUTSIDE and far.ifname in PROGRAMS:
        yield str(near), PlannedPort(near.ifname, link.name, _door(link), impairment=link.impairment)
        yield str(near), PlannedPort(far.ifname, link.name, _outside(link))


def _behind(link: ResolvedLink, index: int) -> Door | Wire | Tapped | Outside:
    options, far = link.options[index], link.spec.ends[1]
    if far.kind == OUTSIDE and far.ifname in PROGRAMS:
        return _outside(link)
    if index == 1 and options.at_switch:
        return _door(link)
    if options.inherits() is not None and link.interfaces:
        return Tapped(options, link.interfaces[0])
    return Wire(options, options.opened_in(link.spec))


def _door(link: ResolvedLink) -> Door:
    assert link.spec.door is not None
    return Door(Bess(dst=link.spec.door, mtu=link.mtu, depth=link.options[1].depth))


def _outside(link: ResolvedLink) -> Outside:
    near, far = link.spec.ends
    places = PROGRAMS[far.ifname].places
    return Outside(far.ifname, Wanted(dict(far.given), link.mtu, tuple(near.given.get("ip", ())), places))
