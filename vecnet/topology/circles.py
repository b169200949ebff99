"""Switches and bridges in a circle, which would carry a broadcast for ever; and what a switch's ports say of others."""

from __future__ import annotations

from vecnet.topology.document import Document
from vecnet.topology.read import Draft
from vecnet.topology.resolve import Wire
from vecnet.transports.link import OUTSIDE, End

_EVERY = "all"  # as a port that is mirrored


def check(doc: Document, draft: Draft, wires: list[Wire]) -> None:
    """Report the links that close a circle, switches that have no link, and ports that cannot mirror."""
    if not draft.bridges and not draft.switches:
        return
    joined: dict[str, str] = {}  # each to another of the same part

    def part(of: str) -> str:
        while joined.get(of, of) != of:
            of = joined[of]
        return of

    between = [
        (wire, near, far)
        for wire in wires
        if (far := _ethernet(wire.spec.ends[1])) and (near := _ethernet(wire.spec.ends[0]))
    ]
    for wire, near, far in sorted(between, key=lambda one: doc.at(one[0].draft.node)):
        one, other = part(near), part(far)
        if one == other:
            message = f"{wire.draft.name} closes a circle: {near} and {far} are joined already"
            doc.wrong(wire.draft.node, message, "leave one of the links out: a broadcast would go round for ever")
        joined[one] = other
    used = {end.switch for link in draft.links for end in link.spec.ends}
    for name, stated in draft.switches.items():
        if name not in used and draft.is_whole:
            doc.wrong(stated.node, f"no link has an end at the switch {name}", "leave it out")
    for wire in wires:
        _mirror(doc, wires, wire)


def _ethernet(end: End) -> str:
    """The switch or bridge that an end is at; "" where there is none."""
    if end.switch:
        return f"the switch {end.switch}"
    return f"the bridge {end.bridge}" if end.bridge else ""


def _mirror(doc: Document, wires: list[Wire], wire: Wire) -> None:
    """A monitor is a port that is there from the beginning, and names ports of its own switch."""
    for index, end in enumerate(wire.spec.ends):
        node = wire.draft.ends[index].at("mirror")
        for name in end.given.get("mirror", ()):
            known = [e.ifname for other in wires for e in other.spec.ends if e.switch == end.switch and e != end]
            if name != _EVERY and name not in known:
                instead = f"write {_EVERY}, or of {', '.join(known)}" if known else "leave it out"
                doc.wrong(node, f"mirror: the switch {end.switch} has no other port {name}", instead)
        far = wire.spec.ends[1 - index]
        if "mirror" in end.given and (far.node is not None or far.kind == OUTSIDE):
            message = f"mirror: {end} is not connected all the time, and cannot be the monitor"
            doc.wrong(node, message, "give it to a port whose other end is at the host")
