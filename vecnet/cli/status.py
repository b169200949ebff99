"""vecnet status: what is there, healthy or not, with the kernel's counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vecnet.cli.common import json_option, json_text, table, topology_name
from vecnet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from vecnet.host.health import Report


@click.command("status")
@click.argument("name", required=False)
@json_option
@click.pass_context
def command(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Show the interfaces of the topology NAME, or of all that vecnet made: healthy or not, and their counters.

    Exits with 1 where something is not healthy, or NAME has made nothing here.
    """
    if name is not None:
        topology_name(name)
    from vecnet import host

    report = host.status(name)
    if as_json:
        click.echo(json_text([entry.as_json() for entry in report]))
    elif not report:
        click.echo(f"nothing of {name} is up here" if name else "nothing of vecnet is up here", err=True)
    else:
        _print_table(report)
    if (name and not report) or not all(entry.healthy for entry in report):
        ctx.exit(EXIT_FAILED)


_NUMBERS = ("mtu", "rx", "tx", "errors", "drops")


def _print_table(report: list[Report]) -> None:
    titles = ("topology", "link", "interface", "kind", *_NUMBERS, "state")
    rows = [
        (
            entry.topology,
            entry.link,
            f"{entry.ifname} in {entry.netns}" if entry.netns else entry.ifname,
            entry.kind,
            *map(str, (entry.mtu, entry.rx_packets, entry.tx_packets, entry.errors, entry.drops)),
            entry.why or "healthy",
        )
        for entry in report
    ]
    heading, *lines = table(titles, rows, right=_NUMBERS)
    click.secho(heading, bold=True)
    for line, entry in zip(lines, report, strict=True):
        click.echo(line.removesuffix(entry.why) + click.style(entry.why, fg="red"))
