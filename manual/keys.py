"""The keys of the topology file, from the grammar that the loader reads by."""

from __future__ import annotations

from collections.abc import Mapping

from manual.text import code, plain, table
from vecnet.programs import PROGRAMS
from vecnet.topology import grammar
from vecnet.transports import TRANSPORTS
from vecnet.transports.link import SWITCH, Key

_PARTS = (
    ("A link", "besides `transport` and `endpoints`, and what its [transport](../transports/index.md) adds"),
    ("A guest's end", "`web:vec0`"),
    ("The host's end", "`host:tap0`; which of these an interface takes, its transport's page says"),
    ("A guest", "below `guests`"),
    ("A switch", "below `switches`"),
    ("A port of a switch", "`lan:web`, a link's end"),
    ("A bridge", "below `bridges`"),
)


def pages() -> dict[str, str]:
    fd = TRANSPORTS["fd"]  # whose ends have no key of its own at a switch
    own = {"ip": grammar.INTERFACE["ip"], "mac": grammar.INTERFACE["mac"]}
    keys: tuple[Mapping[str, Key], ...] = (
        {key: value for key, value in grammar.link_keys(fd).items() if key not in fd.link_keys},
        own,
        grammar.INTERFACE,
        grammar.GUEST,
        grammar.end_keys(fd, SWITCH),
        grammar.SWITCH_KEYS,
        grammar.BRIDGE,
    )
    ordered = (*keys[:4], keys[5], keys[4], keys[6])
    parts = [
        "# The topology file",
        "",
        "YAML or JSON. Every mistake is told at its line and column, all at once, with what to write instead. The",
        "[JSON Schema](https://json-schema.org/) of it, for editors, is `vecnet/topology/topology.schema.json`.",
        "",
        table(["key", "meaning"], ([code(key), plain(doc)] for key, doc in grammar.TOPOLOGY.items())),
    ]
    for (head, where), some in zip(_PARTS, ordered, strict=True):
        parts += [f"## {head}\n", f"{where}.\n", of_keys(some)]
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
