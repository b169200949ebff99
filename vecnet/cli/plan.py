"""vecnet plan: what `up` would change, as a difference against the kernel."""

from __future__ import annotations

import sys

import click

from vecnet.cli import elsewhere
from vecnet.cli.common import emit_json, file_argument, json_option, load_part, on_option
from vecnet.cli.terminal import answer, width


@click.command("plan")
@file_argument
@on_option
@json_option
def command(file: str, on: str | None, as_json: bool) -> None:
    """Show what `vecnet up FILE` would change. Nothing to do says so."""
    topology = load_part(file, on)
    from vecnet import host

    plan = host.plan(topology)
    if as_json:
        emit_json({**plan.as_json(), "elsewhere": elsewhere.as_json(topology)})
    else:
        answer(*plan.describe().split("\n"), *elsewhere.lines(topology, width(sys.stdout)))
