"""A page for each transport, from its own file and from the example topologies of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import vecnet
from manual.keys import of_keys
from manual.text import block, code, plain, table
from vecnet.options import Option
from vecnet.topology import Topology, grammar
from vecnet.transports import TRANSPORTS, Transport
from vecnet.transports.link import ELSEWHERE, HOST, OUTSIDE, SWITCH, Key

ROOT = Path(__file__).parents[1]
_ENDS = {"": "a guest's end", HOST: "the host's end", SWITCH: "a switch's end", ELSEWHERE: "the end elsewhere"}


def pages() -> dict[str, str]:
    return {
        "transports/index.md": _index(),
        **{f"transports/{name}.md": _page(TRANSPORTS[name]) for name in TRANSPORTS},
    }


def _index() -> str:
    rows = (
        [f"[{name}]({name}.md)", plain(_short(kind)), plain(_privilege(kind)), plain(kind.far_end.value)]
        for name, kind in TRANSPORTS.items()
    )
    text = "How frames travel between a guest and the other end. Each page has the wiring drawn.\n"
    return "\n".join(["# Transports\n", text, table(["transport", "is", "privilege", "at the other end"], rows)])


def _short(kind: type[Transport]) -> str:
    return (kind.__doc__ or "").partition(" Privilege:")[0]


def _privilege(kind: type[Transport]) -> str:
    return (kind.__doc__ or "").partition("Privilege: ")[2].partition("\n")[0].partition(". ")[0].rstrip(".")


def _page(kind: type[Transport]) -> str:
    parts = [f"# {kind.name}\n", f"{plain(_short(kind))}\n", _facts(kind)]
    for file, topology in _examples(kind.name):
        parts += [f"## `topologies/{file.name}`\n", block(file.read_text()), *_strings(topology)]
    parts += ["## Options of the string\n", _options(kind.options())]
    parts += ["## Keys in a topology\n", *_keys(kind)]
    return "\n".join(parts)


def _facts(kind: type[Transport]) -> str:
    rows = {"Privilege": _privilege(kind), "Ends": kind.sides.value, "At the other end": kind.far_end.value}
    sizes = {device.overhead for _, topology in _examples(kind.name) for device in _devices(topology)}
    if any(sizes):
        rows["Overhead"] = f"{_range(sizes)} bytes of the outer packet, in the examples below"
        rows["MTU inside"] = "what the way between the outer addresses carries, less the overhead"
    else:
        rows["Overhead"] = "none: no outer packet"
    rows["Offloads"] = (
        "large frames and open checksums pass whole, behind a virtio-net header"
        if kind.vnet
        else "none: a frame is at most as large as the MTU, and its checksums are filled in"
    )
    if kind.howto:
        rows["Speed of a guest"] = f"{kind.howto} Gbit/s, by the HOWTO; measured figures are in [Speed](../speed.md)"
    return table(["", ""], ([f"**{what}**", plain(text) if what[0] != "S" else text] for what, text in rows.items()))


def _range(sizes: set[int]) -> str:
    return " to ".join(map(str, sorted({min(sizes), max(sizes)})))


@cache
def _examples(name: str) -> tuple[tuple[Path, Topology], ...]:
    """The example topologies that have links of this transport alone."""
    loaded = ((file, vecnet.load(file)) for file in sorted((ROOT / "topologies").glob("*.yaml")))
    return tuple((file, one) for file, one in loaded if {device.transport.name for device in _devices(one)} == {name})


def _devices(topology: Topology) -> list[vecnet.VecDevice]:
    return [device for guest in topology.guests for device in topology.devices(guest)]


def _strings(topology: Topology) -> Iterator[str]:
    words = [f"{guest}  {device}" for guest in topology.guests for device in topology.devices(guest)]
    words += [f"{guest}  {word}" for guest in topology.guests for word in topology.words(guest)]
    yield from ("The guests' strings:\n", block("\n".join(words)))


def _options(options: Mapping[str, Option]) -> str:
    rows = []
    for name, declared in options.items():
        default = "needed" if declared.required else "" if declared.default is None else str(declared.default)
        rows.append([code(name), plain(declared.kind.expects), default, declared.reading.value, plain(declared.doc)])
    return table(["option", "value", "default", "the guest reads it", "meaning"], rows)


def _keys(kind: type[Transport]) -> Iterator[str]:
    if kind.link_keys:
        yield from ("At the link:\n", of_keys(kind.link_keys))
    for where, head in _ENDS.items():
        keys: dict[str, Key] = grammar.end_keys(kind, where)
        if keys and (where != SWITCH or kind.at_switch):
            yield from (f"At {head}:\n", of_keys(keys))
    if kind.program:
        yield from (f"At `outside:{kind.program}`:\n", of_keys(grammar.end_keys(kind, OUTSIDE, kind.program)))
