"""vecnet check: validate a topology, or explain what a guest would do with a vec string."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import count, emit_json, json_option, load_topology
from vecnet.cli.terminal import answer, show, width
from vecnet.columns import Part, Styled, table
from vecnet.errors import EXIT_INPUT, InputError
from vecnet.guests import GENERATIONS
from vecnet.options import Effect, Severity
from vecnet.text import shown
from vecnet.vecstring import Explanation, explain

if TYPE_CHECKING:
    from vecnet.topology import Topology

_ROOM = min(guest.command_line for guest in GENERATIONS)  # bytes of a command line
_LONGEST_TOKEN = 120  # characters: the longest that is right is bess's, with a Unix socket's path

_COLOURS = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.IGNORED: "yellow", Severity.FALLBACK: "yellow"}


@click.command("check")
@click.argument("subjects", nargs=-1, required=True, metavar="FILE|STRING…")
@json_option
@click.pass_context
def command(ctx: click.Context, subjects: tuple[str, ...], as_json: bool) -> None:
    """Validate a topology FILE, or explain a vec STRING token by token as a guest reads it.

    Exits with 2 where the guest would not come up as meant.
    """
    reports = []
    for subject in subjects:
        if re.match(r"vec\w*:", subject) or "transport=" in subject:
            report = _check_string(subject, quiet=as_json)
        else:
            report = _check_file(subject, quiet=as_json)
        reports.append(report)
    if as_json:
        emit_json(reports if len(reports) > 1 else reports[0])
    ctx.exit(0 if all(report["ok"] for report in reports) else EXIT_INPUT)


def _check_file(file: str, quiet: bool) -> dict[str, object]:
    try:
        topology = load_topology(file)
    except InputError as error:
        if not quiet:
            show(error)
        return {"file": file, "ok": False, "problems": [asdict(problem) for problem in error.problems]}
    notes = list(_notes(topology))
    if not quiet:
        guests = ", ".join(topology.guests) or "none"
        links = count(len(topology.links), "link")
        answer(f"{file}: topology {topology.name} is valid: {links}, guests: {guests}", *notes)
    names = list(topology.guests)
    return {"file": file, "ok": True, "name": topology.name, "guests": names, "notes": notes, "problems": []}


def _notes(topology: Topology) -> Iterator[str]:
    """What is valid and does not boot in one go, or not here."""
    for link in topology.links:
        if netns := link.options[0].opened_in(link.spec):
            end, other = link.spec.ends
            there = f"vecnet run starts {end.node} there; by hand: ip netns exec {netns}"
            yield f"note: {other} is in the network namespace {netns}: {there}"
    for guest in topology.guests:
        size = sum(len(str(device).encode()) + 1 for device in topology.devices(guest))
        if size >= _ROOM:
            yield (
                f"note: the strings of {guest} take {size} bytes, and a guest's command line has room for "
                f"{_ROOM}: hot-plug some of them, with uml_mconsole's config"
            )


def _check_string(text: str, quiet: bool) -> dict[str, object]:
    explanation = explain(text)
    if not quiet:
        _print_explanation(explanation)
    return {
        "string": text,
        "ok": explanation.as_meant,
        "severity": str(explanation.severity),
        "tokens": [{"token": t.text, "column": t.column, **_effect(t.effect)} for t in explanation.tokens],
        "effects": [_effect(effect) for effect in explanation.effects],
        "mended": explanation.mended,
    }


def _effect(effect: Effect) -> dict[str, str]:
    return {"severity": str(effect.severity), "message": effect.message, "instead": effect.instead}


def _print_explanation(explanation: Explanation) -> None:
    answer(shown(explanation.text, _ROOM))
    rows = [(shown(token.text, _LONGEST_TOKEN), token.effect) for token in explanation.tokens]
    rows += [("", effect) for effect in explanation.effects]
    answer(*table([_row(text, effect) for text, effect in rows], width(sys.stdout), margin=2))
    if explanation.mended and explanation.severity > Severity.OK and explanation.mended != explanation.text:
        answer(f"  {'mended' if not explanation.as_meant else 'canonical'}: {explanation.mended}")
    elif not explanation.as_meant:
        answer("  what was meant cannot be told, so no mended string is given")


def _row(text: str, effect: Effect) -> tuple[Part, ...]:
    label = Styled(f"{effect.severity!s:<8}", _COLOURS.get(effect.severity, "red"), bold=True)
    words = "; ".join(part for part in (effect.message, effect.instead) if part)
    return label, text, words
