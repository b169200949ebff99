"""What is drawn of a topology: a box for each guest, interface, bridge, switch, program; a line for each wire.

::

    guest ── wire ── interface of the host ── bridge          guest ── wire ── switch ── wire ── program outside
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from vecnet.topology import ResolvedLink, Topology
from vecnet.transports.base import DEFAULT_MTU
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, End, HostInterface, named_on


class Kind(StrEnum):
    """What a box stands for."""

    GUEST = "guest"
    INTERFACE = "interface"
    BRIDGE = "bridge"
    SWITCH = "switch"
    OUTSIDE = "outside"
    ELSEWHERE = "elsewhere"


class State(StrEnum):
    """What is there of a wire or an interface, as `status` sees it."""

    UNKNOWN = ""  # nobody looked, or nothing of it is at the host
    UP = "up"
    WRONG = "wrong"
    DOWN = "down"


@dataclass(frozen=True)
class Box:
    """`key` is its own alone; `machine` is the host that it is on, "" where that is said nowhere."""

    key: str
    kind: Kind
    lines: tuple[str, ...]
    machine: str = ""
    state: State = State.UNKNOWN


@dataclass(frozen=True)
class Wire:
    """Between two boxes, with what is written in its middle and at its ends."""

    ends: tuple[str, str]
    lines: tuple[str, ...] = ()
    at_ends: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    state: State = State.UNKNOWN


@dataclass(frozen=True)
class Picture:
    """Boxes and wires, in the order of the file."""

    name: str
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]

    @property
    def machines(self) -> Mapping[str, list[tuple[str, Box]]]:
        """The boxes of each machine, each with a name that means nothing in any language."""
        found: dict[str, list[tuple[str, Box]]] = {}
        for index, box in enumerate(self.boxes):
            found.setdefault(box.machine, []).append((f"n{index}", box))
        return found

    @property
    def names(self) -> Mapping[str, str]:
        """The same names, by the boxes' keys."""
        return {box.key: name for boxes in self.machines.values() for name, box in boxes}


def picture(topology: Topology, states: Mapping[str, State] | None = None) -> Picture:
    """`states` are those of links, and of bridges by `bridge NAME`; without them nobody has looked."""
    boxes: dict[str, Box] = {}
    wires = []
    for bridge in topology.bridges:
        box = _bridge(bridge, states or {})
        boxes[box.key] = box
    for link in topology.links:
        state = (states or {}).get(link.name, State.UNKNOWN)
        keys = []
        for end in link.spec.ends:
            box = _box(topology, link, end, state)
            boxes.setdefault(box.key, box)
            keys.append(box.key)
            if end.bridge is not None:
                member = f"bridge {end.bridge}"
                boxes.setdefault(member, Box(member, Kind.BRIDGE, (end.bridge.rpartition(":")[2],), _machine(end)))
                wires.append(Wire((box.key, member), state=state))
        ends = (_at(link.spec.ends[0]), _at(link.spec.ends[1]))
        wires.append(Wire((keys[0], keys[1]), tuple(_middle(link)), ends, state))
    return Picture(topology.name, tuple(boxes.values()), tuple(wires))


def _bridge(bridge: HostInterface, states: Mapping[str, State]) -> Box:
    name = named_on(bridge.host, bridge.ifname)
    machine = "" if bridge.host == HOST else bridge.host
    state = states.get(bridge.link, State.UNKNOWN)
    return Box(f"bridge {name}", Kind.BRIDGE, (bridge.ifname, *bridge.addresses, *_mtu(bridge.mtu)), machine, state)


def _box(topology: Topology, link: ResolvedLink, end: End, state: State) -> Box:
    machine = _machine(end)
    if end.node is not None:
        kernel = topology.kernels.get(end.node)
        stated = [f"kernel {kernel.stated}"] if kernel is not None and kernel.stated else []
        return Box(f"guest {end.node}", Kind.GUEST, (end.node, *stated), machine)
    if end.switch is not None:
        return Box(f"switch {end.switch}", Kind.SWITCH, (end.switch,), machine)
    if end.where == OUTSIDE:  # each link has one of its own
        return Box(f"outside {link.name}", Kind.OUTSIDE, (end.ifname,), machine)
    if end.where == ELSEWHERE:
        return Box(f"elsewhere {end.ifname}", Kind.ELSEWHERE, (end.ifname, *_outer(end)))
    netns = [f"in {end.given['netns']}"] if end.given.get("netns") else []
    lines = (end.ifname, *end.given.get("ip", ()), *netns)
    return Box(f"interface {link.name} {end}", Kind.INTERFACE, lines, machine, state)


def _machine(end: End) -> str:
    return "" if end.host in (HOST, ELSEWHERE) else end.host


def _outer(end: End) -> list[str]:
    return [str(end.given["local"])] if "local" in end.given else []


def _at(end: End) -> tuple[str, ...]:
    """A guest's device, with its addresses, or a switch's port."""
    if end.node is None and end.switch is None:
        return ()
    return (end.ifname, *end.given.get("ip", ()), *_outer(end))


def _middle(link: ResolvedLink) -> Iterator[str]:
    yield link.transport
    yield from _mtu(link.mtu)
    if link.impairment is not None:
        yield str(link.impairment)


def _mtu(mtu: int) -> list[str]:
    return [] if mtu == DEFAULT_MTU else [f"MTU {mtu}"]
