"""Every code that reports name, from the explanations that `vecnet explain` prints."""

from __future__ import annotations

from manual.text import code, plain, table
from vecnet.loopback.explained import TRAP, explanations

_HEAD = """\
# Codes

A probe that fails names the kind of its failure, and those of the causes that were found: in brackets in text and
Markdown, as `codes` in JSON and TAP, as the `type` in JUnit XML. `vecnet explain CODE` says the same as this page.
"""


def pages() -> dict[str, str]:
    every = explanations()
    failures = [
        [code(name), plain(one.means), plain(one.comes), plain(one.mend)]
        for name, one in every.items()
        if not name.startswith(TRAP)
    ]
    traps = [[code(name), plain(one.means)] for name, one in every.items() if name.startswith(TRAP)]
    parts = [
        _HEAD,
        "## Failures and their causes\n",
        table(["code", "means", "comes about", "is mended"], failures),
        "## Traps\n",
        "What a string can bring a guest into; [What guests do](guests.md) has what each generation does then.\n",
        table(["code", "is"], traps),
    ]
    return {"reference/codes.md": "\n".join(parts)}
