"""The keys of the topology file, from the grammar that the loader reads by."""

from __future__ import annotations

from collections.abc import Mapping

from manual.text import code, plain, table
from vecnet.programs import PROGRAMS
from vecnet.topology import grammar
from vecnet.transports import TRANSPORTS
from vecnet.transports.link import SWITCH, Key

_FD = TRANSPORTS["fd"]  # whose ends have no key of their own at a switch
_PARTS: tuple[tuple[str, str, Mapping[str, Key]], ...] = (
    (
        "A link",
        "Besides `transport` and `endpoints`, and what its [transport](../transports/index.md) adds.",
        {key: value for key, value in grammar.link_keys(_FD).items() if key not in _FD.link_keys},
    ),
    ("A guest's end", "`web:vec0`.", {key: grammar.INTERFACE[key] for key in ("ip", "mac")}),
    (
        "The host's end",
        "`host:tap0`; which of these an interface takes, its transport's page says.",
        grammar.INTERFACE,
    ),
    ("A host", "Below `hosts`; see [From one to many machines](../hosts.md).", grammar.HOST_KEYS),
    ("A guest", "Below `guests`.", grammar.GUEST),
    ("A switch", "Below `switches`.", grammar.SWITCH_KEYS),
    ("A port of a switch", "`lan:web`, a link's end.", grammar.end_keys(_FD, SWITCH)),
    ("A bridge", "Below `bridges`.", grammar.BRIDGE),
)


def pages() -> dict[str, str]:
    parts = [
        "# The topology file",
        "",
        "YAML or JSON. Every mistake is told at its line and column, all at once, with what to write instead. The",
        "[JSON Schema](https://json-schema.org/) of it, for editors, is `vecnet/topology/topology.schema.json`.",
        "",
        table(["key", "meaning"], ([code(key), plain(doc)] for key, doc in grammar.TOPOLOGY.items())),
    ]
    for head, where, keys in _PARTS:
        parts += [f"## {head}\n", f"{where}\n", of_keys(keys)]
    parts += ["## Programs outside\n", "`outside:NAME`, a link's end. No root is needed.\n"]
    for name, program in sorted(PROGRAMS.items()):
        parts += [f"### outside:{name}\n", plain(program.__doc__ or ""), ""]
        parts += [f"By `transport: {program.transport}`. Debian's package is `{program.package}`.\n"]
        parts.append(of_keys(program.keys))
    return {"reference/topology.md": "\n".join(parts)}


def of_keys(keys: Mapping[str, Key]) -> str:
    """Keys with their values and meaning."""
    rows = []
    for name, key in keys.items():
        value = key.kind.expects.removeprefix("a ").removeprefix("an ")
        value += ", or a list" if key.many else ""
        rows.append([code(name) + (" (needed)" if key.required else ""), plain(value), plain(key.doc)])
    return table(["key", "value", "meaning"], rows)
