"""vecnet down: remove what a topology made, and nothing else."""

from __future__ import annotations

import click

from vecnet.cli import everywhere
from vecnet.cli.common import (
    emit_json,
    inventory_option,
    is_file,
    json_option,
    named,
    on_option,
    part,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.progress import progress
from vecnet.cli.terminal import say


@click.command("down")
@click.argument("subject", metavar="FILE|NAME")
@on_option
@inventory_option
@json_option
def command(subject: str, on: str | None, inventory: str | None, as_json: bool) -> None:
    """Remove what a topology made in this network namespace, and what a server of it left that was killed.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is a topology's NAME, and needs no file.
    One that names hosts is taken down on all of them that can be reached, through Ansible, unless --on chooses one.
    """
    if is_file(subject):
        topology = subject_topology(subject)
        if everywhere.meant(topology, on, inventory):
            everywhere.down(topology, inventory, as_json)
            return
        name = part(topology, on).name
    else:
        name = named(subject, on, inventory)
    say_what_is_meant(subject)
    from vecnet import host
    from vecnet.serving.sweep import sweep

    with progress("down") as report:
        plan = host.down(name, progress=report)
    say(*plan.summary().split("\n"))
    for line in sweep(name):
        say(line)
    if not plan.steps:  # the file may have had another name, from which the topology had its own
        say_what_is_up()
    if as_json:
        emit_json(plan.as_json())
