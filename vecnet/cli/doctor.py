"""vecnet doctor: what this machine lacks, and what to type."""

from __future__ import annotations

import sys

import click

from vecnet.cli.common import emit_json, json_option, load_part, on_option, once
from vecnet.cli.terminal import answer, width
from vecnet.columns import Part, Styled, table
from vecnet.doctor.finding import Finding, State
from vecnet.errors import EXIT_FAILED, InputError

_COLOURS = {State.OK: "green", State.NOTE: "yellow", State.UNKNOWN: "yellow", State.MISSING: "red"}


@click.command("doctor")
@click.argument("file", required=False, type=click.Path())
@on_option
@once("--linux", metavar="PATH", help="The guests' kernel; left out, linux or linux.uml of PATH. It boots, for 2 s.")
@json_option
@click.pass_context
def command(ctx: click.Context, file: str | None, on: str | None, linux: str | None, as_json: bool) -> None:
    """Say what this machine lacks for FILE, or for all that vecnet can do, and the command that mends it.

    It looks at the kernel's modules, /dev/net/tun, user namespaces, the capabilities that strings need, settings that
    keep packets back, programs, and boots a guest. It changes nothing. What is up, and fits, `plan` and `status` say.

    Exits with 1 where something is missing that FILE needs, with 3 where that cannot be told.
    """
    if file is None and on is not None:
        raise InputError("--on goes with a FILE that names hosts", "leave it out, or give the FILE")
    topology = load_part(file, on) if file is not None else None
    from vecnet.doctor import examine

    found = list(examine(topology, linux))
    if as_json:
        emit_json([one.as_json() for one in found])
    else:
        answer(*table([_row(one) for one in found], width(sys.stdout)))
    states = {one.state for one in found if one.needed}
    if State.MISSING in states:
        ctx.exit(EXIT_FAILED)
    if State.UNKNOWN in states:
        from vecnet.loopback.verdict import EXIT_UNTESTED

        ctx.exit(EXIT_UNTESTED)


def _row(one: Finding) -> list[Part | list[Part]]:
    needed = f"needed by {one.needed[0]}{' and more' if len(one.needed) > 1 else ''}" if one.needed else ""
    said = f"{one.said}; {needed}" if needed and one.state is not State.OK else one.said
    return [Styled(str(one.state), _COLOURS[one.state]), one.what, said, Styled(one.mend, "green")]
