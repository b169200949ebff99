"""What each generation of guests does in each situation, from their tables."""

from __future__ import annotations

from collections.abc import Iterator

from manual.text import code, plain, table
from vecnet.guests import GENERATIONS, Guest, Situation
from vecnet.guests.guest import ANY, Does, Steps

_HEAD = """\
# What guests do

From the tables that `vecnet check` answers by. Each was measured on a real guest. A row says how far a guest is from
what was meant, and then what it does:

| word | the guest |
|---|---|
| ok, note | comes up as meant |
| ignored | passes over what was written |
| fallback | uses another value |
| drops | comes up, and drops packets in silence |
| refused | has no such device, or cannot bring it up |
| panic | panics when it is brought up |

A word in braces stands for what the string has there.
"""


def pages() -> dict[str, str]:
    parts = [_HEAD, "## Generations\n", _generations()]
    for situation in Situation:
        rows = list(_rows(situation))
        if rows:
            title = situation.value.partition(": {")[0]
            parts += [f"## {title[0].upper()}{title[1:]}\n", table(["option", *map(str, GENERATIONS)], rows)]
    return {"reference/guests.md": "\n".join(parts)}


def _generations() -> str:
    every = sorted({name for guest in GENERATIONS for name in guest.legacy})
    rows = [
        ["tokens in one string", *(str(guest.tokens) for guest in GENERATIONS)],
        ["bytes of the command line", *(str(guest.command_line) for guest in GENERATIONS)],
        ["MTU", *(f"{guest.mtu.start} to {guest.mtu.stop - 1}" for guest in GENERATIONS)],
        ["has no transport", *(", ".join(map(code, sorted(guest.lacks))) for guest in GENERATIONS)],
        [
            "legacy drivers of `eth0=`",
            *(", ".join(code(name) for name in every if name in guest.legacy) or "none" for guest in GENERATIONS),
        ],
    ]
    return table(["from kernel", *map(str, GENERATIONS)], rows)


def _rows(situation: Situation) -> Iterator[list[str]]:
    """A row for each option; what is the same as in the generation before is said once."""
    keys = dict.fromkeys(key for guest in GENERATIONS for key in guest.does.get(situation, {}))
    for key in keys:
        texts = [_text(guest, situation, key) for guest in GENERATIONS]
        shown = [text if not index or text != texts[index - 1] else "same" for index, text in enumerate(texts)]
        if any(texts):
            yield ["any" if key == ANY else code(key), *shown]


def _text(guest: Guest, situation: Situation, key: str) -> str:
    row = guest.does.get(situation, {}).get(key)
    if row is None:
        return ""
    if isinstance(row, Steps):
        return "<br>".join(f"from {low}: {_said(does)}" for low, does in sorted(row.items()))
    return _said(row)


def _said(does: Does) -> str:
    mend = f" ({code(does.word)} mends it)" if does.word else ""
    return f"**{does.severity}** {plain(does.message.replace('!r}', '}'))}".strip() + mend
