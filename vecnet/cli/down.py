"""vecnet down: remove what a topology made, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from vecnet.cli.common import json_option, json_text, load_topology, topology_name
from vecnet.cli.progress import progress


@click.command("down")
@click.argument("subject", metavar="FILE|NAME")
@json_option
def command(subject: str, as_json: bool) -> None:
    """Remove what the topology in FILE, or of that NAME, made in this network namespace, and nothing else."""
    name = load_topology(subject).name if _is_file(subject) else topology_name(subject)
    from vecnet import host

    with progress("down") as report:
        plan = host.down(name, progress=report)
    click.echo(plan.summary(), err=True)
    if not plan.steps:  # the file may have had another name, from which the topology had its own
        others = sorted({entry.topology for entry in host.status()})
        if others:
            click.echo(f"what is up here: {', '.join(others)}", err=True)
    if as_json:
        click.echo(json_text(plan.as_json()))


def _is_file(subject: str) -> bool:
    if subject == "-" or "/" in subject or Path(subject).suffix in (".yaml", ".yml", ".json"):
        return True
    try:
        return Path(subject).is_file()
    except OSError:  # a name that is too long for a file
        return False
