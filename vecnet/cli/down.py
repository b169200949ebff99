"""vecnet down: remove what a topology made, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from vecnet.cli.common import load_topology
from vecnet.cli.progress import progress


@click.command("down")
@click.argument("subject", metavar="FILE|NAME")
def command(subject: str) -> None:
    """Remove what the topology in FILE, or of that NAME, made in this network namespace, and nothing else."""
    is_file = Path(subject).suffix in (".yaml", ".yml", ".json") or "/" in subject or Path(subject).is_file()
    name = load_topology(subject).name if is_file else subject
    from vecnet import host

    with progress("down") as report:
        plan = host.down(name, progress=report)
    click.echo(plan.summary(), err=True)
