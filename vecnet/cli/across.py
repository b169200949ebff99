"""vecnet loopback of a topology that names hosts, without --on: an agent on each of them, and one report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.loopback import Verdicts
    from vecnet.progress import Progress
    from vecnet.topology import Topology

AGENT = ("loopback", "--agent")


def _be_the_agent(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from vecnet.loopback.across.agent import main

        if os.isatty(0):
            raise click.UsageError("--agent is for vecnet itself, which speaks to it through pipes.", ctx)
        main()
        ctx.exit()


agent_option = click.option(
    "--agent", is_flag=True, hidden=True, is_eager=True, expose_value=False, callback=_be_the_agent
)


def prove(
    topology: Topology,
    inventory: str | None,
    links: Sequence[str],
    probes: Sequence[str],
    live: bool,
    jobs: int,
    progress: Progress,
) -> Verdicts:
    """Prove all hosts' links, and those between them. Raises InputError and HostError."""
    from vecnet.fleet import reach
    from vecnet.loopback import across
    from vecnet.loopback.across.machine import started

    reaches = reach.by_inventory(inventory, topology) if inventory is not None else reach.by_address(topology)
    ends = {end.host for link in topology.links if not links or link.name in links for end in link.spec.ends}
    with started({host: one.command(*AGENT) for host, one in reaches.items() if host in ends}) as machines:
        return across.prove(topology, machines, links=links, probes=probes, live=live, jobs=jobs, progress=progress)


def refuse(options: Sequence[str]) -> None:
    """Raise InputError for options that go with one machine, or with strings, alone."""
    if options:
        message = f"{options[0]} does not go with all hosts of a topology at once"
        raise InputError(message, "leave it out, or give one machine's part with --on HOST")
