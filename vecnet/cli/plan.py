"""vecnet plan: what `up` would change, as a difference against the kernel."""

from __future__ import annotations

import click

from vecnet.cli.common import file_argument, json_option, json_text, load_topology


@click.command("plan")
@file_argument
@json_option
def command(file: str, as_json: bool) -> None:
    """Show what `vecnet up FILE` would change. Nothing to do says so."""
    topology = load_topology(file)
    from vecnet import host

    plan = host.plan(topology)
    click.echo(json_text(plan.as_json()) if as_json else plan.describe())
