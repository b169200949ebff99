"""A picture in Graphviz's language, and by its program `dot` as SVG.

Source: Graphviz's documentation, "DOT Language".
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from vecnet.errors import HostError
from vecnet.graph.picture import Box, Kind, Picture, State, Wire
from vecnet.text import shown

_SHAPES = {
    Kind.GUEST: "box",
    Kind.INTERFACE: "ellipse",
    Kind.BRIDGE: "hexagon",
    Kind.SWITCH: "hexagon",
    Kind.OUTSIDE: "doublecircle",
    Kind.ELSEWHERE: "parallelogram",
}
_FILLS = {
    Kind.GUEST: "#e3f2fd",
    Kind.INTERFACE: "#f5f5f5",
    Kind.BRIDGE: "#fff8e1",
    Kind.SWITCH: "#ede7f6",
    Kind.OUTSIDE: "#e8f5e9",
    Kind.ELSEWHERE: "#fbe9e7",
}
_COLOURS = {State.UNKNOWN: "#546e7a", State.UP: "#2e7d32", State.WRONG: "#c62828", State.DOWN: "#9e9e9e"}
_FONT = 'fontname="Helvetica,Arial,sans-serif"'


def as_dot(picture: Picture) -> str:
    """The text of a graph, which ends with a line's end."""
    return "\n".join(_lines(picture)) + "\n"


def as_svg(picture: Picture) -> str:
    """The picture as Graphviz draws it. Raises HostError where that is missing, or fails."""
    if shutil.which("dot") is None:
        raise HostError("an SVG is drawn by Graphviz's dot, which is not here", "apt-get install graphviz")
    done = subprocess.run(["dot", "-Tsvg"], input=as_dot(picture).encode(), capture_output=True, check=False)
    if done.returncode:
        raise HostError(f"dot fails: {shown(done.stderr.decode(errors='replace').strip())}")
    return done.stdout.decode()


def _lines(picture: Picture) -> Iterator[str]:
    yield f"graph {_text([picture.name])} {{"
    yield f"  graph [rankdir=LR, ranksep=2, nodesep=0.4, {_FONT}]"
    yield f'  node [{_FONT}, fontsize=11, style=filled, margin="0.15,0.06"]'
    yield f'  edge [{_FONT}, fontsize=9, labelfontsize=8, labeldistance=2.5, fontcolor="#37474f"]'
    for index, (machine, boxes) in enumerate(picture.machines.items()):
        if machine:
            yield f"  subgraph cluster_{index} {{ label={_text([machine])}; color={_text([_COLOURS[State.UNKNOWN]])}"
        yield from (f"    {_box(name, box)}" for name, box in boxes)
        if machine:
            yield "  }"
    names = picture.names
    yield from (f"  {_wire(names, wire)}" for wire in picture.wires)
    yield "}"


def _box(name: str, box: Box) -> str:
    colour, fill = _COLOURS[box.state], _FILLS[box.kind]
    return f'{name} [label={_text(box.lines)}, shape={_SHAPES[box.kind]}, color="{colour}", fillcolor="{fill}"]'


def _wire(names: Mapping[str, str], wire: Wire) -> str:
    one, other = (names[key] for key in wire.ends)
    labels = dict(zip(("label", "taillabel", "headlabel"), (wire.lines, *wire.at_ends), strict=True))
    said = "".join(f"{name}={_text(lines)}, " for name, lines in labels.items() if lines)
    return f'{one} -- {other} [{said}color="{_COLOURS[wire.state]}"]'


def _text(lines: Sequence[str]) -> str:
    """A quoted string, in which a backslash begins an escape of its own."""
    return '"' + "\\n".join(shown(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
