"""vecnet loopback of a topology that names hosts, without --on: an agent on each of them, and one report."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from vecnet.errors import InputError


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


def refuse(options: Sequence[str]) -> None:
    """Raise InputError for options that go with one machine, or with strings, alone."""
    if options:
        message = f"{options[0]} does not go with all hosts of a topology at once"
        raise InputError(message, "leave it out, or give one machine's part with --on HOST")
