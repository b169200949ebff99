"""What is not YAML, or not a mapping."""

from __future__ import annotations

from tests.topology.broken.texts import tap

SYNTAX = {
    "empty": ("▸", "the file is empty", "write links:"),
    "nothing said": ("▸~\n", "a topology needs links", "add links:"),
    "only a comment": ("▸# nothing\n", "the file is empty", "write links:"),
    "unclosed": ("links: [\n▸", "this is not YAML", "close every bracket"),
    "unclosed mapping": ("links:\n  - {transport: tap\n▸", "this is not YAML", "close the bracket that line 2 opens"),
    "an unclosed quote": ('name: "lab\nlinks: []\n▸', "this is not YAML", "close the quote that line 1 opens"),
    "an address unquoted": ("links: {local: ▸::1}\n", "this is not YAML", "put quotes around"),
    "a sign at the start": ("name: ▸@lab\n", "this is not YAML", "put quotes around"),
    "indented less": ("links:\n  - transport: tap\n   ▸endpoints: []\n", "this is not YAML", "indent the keys"),
    "indented more": ("name: lab\n  links▸: []\n", "this is not YAML", "indent the keys"),
    "a list behind a key": ("name: ▸- a\n", "this is not YAML", "on a line of its own"),
    "a backslash": ('name: "a▸\\q"\n', "this is not YAML", "within single quotes"),
    "a tag on a list": (tap().replace("links:", "links: ▸!wires"), "has no meaning in a topology", "leave it out"),
    "a tab": ("links:\n▸\t- transport: tap\n", "this is not YAML", "indent with spaces"),
    "two documents": ("links: []\n▸---\nlinks: []\n", "single document", "leave the second '---' out"),
    "an unknown alias": ("links: ▸*nothing\n", "undefined alias", "write &name"),
    "nested too deeply": ("links: " + "[" * 995 + "▸" + "[" * 9000, "this is not YAML", ""),
    "a control character": ("name: a▸\x07b\n", "U+0007 cannot stand", "plain text"),
    "a list on top": ("▸- transport: tap\n", "the topology is a list, and takes a mapping", "key: value"),
    "a word on top": ("▸lab\n", "the topology is a single value", "key: value"),
}
