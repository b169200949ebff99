"""vecnet explain: what a code means that a report names, how it comes about, how it is mended."""

from __future__ import annotations

import sys

import click

from vecnet.cli.common import emit_json, json_option
from vecnet.cli.terminal import answer, width
from vecnet.columns import Line, grouped, paragraph
from vecnet.errors import InputError


@click.command("explain")
@click.argument("code", required=False)
@json_option
def command(code: str | None, as_json: bool) -> None:
    """Explain a CODE of `vecnet loopback`, such as misfit, or a trap that guests fall into, such as trap-octal.

    Without one, list them all.
    """
    from vecnet.loopback.explained import explanations

    every = explanations()
    if code is None:
        if as_json:
            emit_json({name: one.as_json() for name, one in every.items()})
        else:
            rows: list[tuple[Line, ...]] = [(name, one.means) for name, one in every.items()]
            answer(*(line for row in grouped(rows, width(sys.stdout)) for line in row))
        return
    if code not in every:
        import difflib

        near = difflib.get_close_matches(code.lower(), every, 1)
        instead = f"did you mean {near[0]}?" if near else "`vecnet explain` lists them all"
        raise InputError(f"there is no code {code!r}", instead)
    found = every[code]
    if as_json:
        emit_json(found.as_json())
        return
    room = width(sys.stdout)
    lines = [*paragraph(f"{code}: {found.means}", room)]
    lines += paragraph(f"How it comes about: {found.comes}", room) if found.comes else []
    lines += paragraph(f"How to mend it: {found.mend}", room) if found.mend else []
    for guest, text in found.guests:
        lines += paragraph(f"Linux {guest}: {text}", room)
    answer(*lines)
