"""vecnet status: what is there, healthy or not, with the kernel's counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vecnet.cli.common import echo_json, json_option
from vecnet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from vecnet.host.health import Report

_WIDE = 1000  # columns, so that nothing is cut short; the table takes what it needs


@click.command("status")
@click.argument("name", required=False)
@json_option
@click.pass_context
def command(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Show the interfaces of the topology NAME, or of all that vecnet made: healthy or not, and their counters.

    Exits with 1 where something is not healthy, or NAME has made nothing here.
    """
    from vecnet import host

    report = host.status(name)
    if as_json:
        echo_json([entry.as_json() for entry in report])
    elif not report:
        click.echo(f"nothing of {name} is up here" if name else "nothing of vecnet is up here", err=True)
    else:
        _print_table(report)
    if (name and not report) or not all(entry.healthy for entry in report):
        ctx.exit(EXIT_FAILED)


def _print_table(report: list[Report]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    numbers = ("mtu", "rx", "tx", "errors", "drops")
    for title in ("topology", "link", "interface", "kind", *numbers, "state"):
        table.add_column(title, justify="right" if title in numbers else "left", no_wrap=True)
    for entry in report:
        state = "healthy" if entry.healthy else f"[red]{entry.why}[/red]"
        counters = map(str, (entry.mtu, entry.rx_packets, entry.tx_packets, entry.errors, entry.drops))
        table.add_row(entry.topology, entry.link, entry.ifname, entry.kind, *counters, state)
    Console(width=_WIDE).print(table)
