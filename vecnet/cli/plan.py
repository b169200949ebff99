"""vecnet plan: what `up` would change, as a difference against the kernel."""

from __future__ import annotations

import sys

import click

from vecnet.cli import elsewhere, everywhere
from vecnet.cli.common import emit_json, file_argument, inventory_option, json_option, load_topology, on_option, part
from vecnet.cli.terminal import answer, width


@click.command("plan")
@file_argument
@on_option
@inventory_option
@json_option
def command(file: str, on: str | None, inventory: str | None, as_json: bool) -> None:
    """Show what `vecnet up FILE` would change. Nothing to do says so.

    Where FILE names hosts all of them are asked, through Ansible, unless --on chooses one.
    """
    whole = load_topology(file)
    if everywhere.meant(whole, on, inventory):
        everywhere.plan(whole, inventory, as_json)
        return
    topology = part(whole, on)
    from vecnet import host

    plan = host.plan(topology)
    if as_json:
        emit_json({**plan.as_json(), "elsewhere": elsewhere.as_json(topology)})
    else:
        answer(*plan.describe().split("\n"), *elsewhere.lines(topology, width(sys.stdout)))
