"""A picture as Mermaid's flowchart. Source: Mermaid's documentation, "Flowcharts" and "Entity codes"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vecnet.graph.picture import Box, Kind, Picture, State
from vecnet.text import shown

_SHAPES = {  # what stands around a box's text
    Kind.GUEST: ('["', '"]'),
    Kind.INTERFACE: ('(["', '"])'),
    Kind.BRIDGE: ('{{"', '"}}'),
    Kind.SWITCH: ('{{"', '"}}'),
    Kind.OUTSIDE: ('(("', '"))'),
    Kind.ELSEWHERE: ('[/"', '"/]'),
}
_COLOURS = {State.UP: "#2e7d32", State.WRONG: "#c62828", State.DOWN: "#9e9e9e"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .:/_-%")


def as_mermaid(picture: Picture) -> str:
    """The text of a flowchart, which ends with a line's end."""
    return "\n".join(_lines(picture)) + "\n"


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    for index, (machine, boxes) in enumerate(picture.machines.items()):
        if machine:
            yield f'  subgraph m{index}["{_text([machine])}"]'
        yield from (f"    {_box(name, box)}" for name, box in boxes)
        if machine:
            yield "  end"
    names = picture.names
    for index, wire in enumerate(picture.wires):
        one, other = (names[key] for key in wire.ends)
        parts = [" ".join(wire.at_ends[0]), " ".join(wire.lines), " ".join(wire.at_ends[1])]
        said = [part for part in parts if part]
        yield f'  {one} ---|"{_text(said)}"| {other}' if said else f"  {one} --- {other}"
        if wire.state in _COLOURS:
            yield f"  linkStyle {index} stroke:{_COLOURS[wire.state]},stroke-width:2px"
    for box in picture.boxes:
        if box.state in _COLOURS:
            yield f"  style {names[box.key]} stroke:{_COLOURS[box.state]},stroke-width:2px"


def _box(name: str, box: Box) -> str:
    before, after = _SHAPES[box.kind]
    return f"{name}{before}{_text(box.lines)}{after}"


def _text(lines: Sequence[str]) -> str:
    """Entity codes for all that may have a meaning there."""
    return "<br/>".join("".join(c if c in _PLAIN else f"#{ord(c)};" for c in shown(line)) for line in lines)
