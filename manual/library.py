"""The library: what it exports, its exceptions, and what its counters count."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import vecnet
from manual.text import block, code, plain, table
from vecnet import errors
from vecnet.datapath import loops, record
from vecnet.datapath.native import counter_meanings
from vecnet.datapath.native_switch import MEANINGS

_FUNCTIONS = ("parse", "explain", "load", "open_port")
_CLASSES = ("VecDevice", "Explanation", "Topology", "Port", "Switch")


def pages() -> dict[str, str]:
    return {"reference/library.md": _library(), "reference/counters.md": _counters()}


def _library() -> str:
    parts = ["# The library\n", "`import vecnet` gives these names; each is loaded when it is first used.\n"]
    for name in _FUNCTIONS:
        parts += _described(f"vecnet.{name}", getattr(vecnet, name), "##")
    for name in _CLASSES:
        parts += _class(f"vecnet.{name}", getattr(vecnet, name))
    for module in (loops, record):
        parts += [f"## {module.__name__}\n"]
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                parts += _described(name, value, "###")
    tree = inspect.cleandoc(errors.__doc__ or "").partition("::\n")[2]
    parts += ["## Exceptions\n", "Below `vecnet.errors`; `problems` of each holds everything that is wrong.\n"]
    return "\n".join([*parts, block(textwrap.dedent(tree).strip("\n"))])


def _class(name: str, value: type) -> Iterator[str]:
    yield from (f"## {name}\n", _doc(value))
    for attribute, inner in vars(value).items():
        if attribute.startswith("_") or not inspect.getdoc(inner):
            continue
        if isinstance(inner, property):
            yield from (f"### .{attribute}\n", _doc(inner))
        elif inspect.isfunction(inner):
            yield from _described(f".{attribute}", inner, "###")


def _described(name: str, value: object, level: str) -> Iterator[str]:
    assert callable(value)
    signature = inspect.signature(value)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    text = str(signature.replace(parameters=own)).replace("''", '""').replace("'", "")
    yield from (f"{level} {name}\n", block(f"{name}{text}"), _doc(value))


def _doc(value: object) -> str:
    """A docstring; its paragraphs that stand in from the margin stay as they are."""
    paragraphs = (inspect.getdoc(value) or "").split("\n\n")
    return "\n\n".join(text if text.startswith("    ") else plain(text) for text in paragraphs) + "\n"


def _counters() -> str:
    head = ["counter", "counts"]
    port = ((code(name), plain(meaning)) for name, meaning in counter_meanings().items())
    switch = ((code(name), plain(meaning)) for name, meaning in MEANINGS.items())
    return "\n".join(
        [
            "# Counters\n",
            "## Of a port\n",
            "`Port.stats`; `rx_` is what the port took in, `tx_` what it sent.\n",
            table(head, port),
            "## Of a switch's port\n",
            "`Switch.stats`, beside the port's own.\n",
            table(head, switch),
        ]
    )
