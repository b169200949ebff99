"""vecnet status: what is there, healthy or not, with the kernel's counters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import (
    emit_json,
    is_file,
    json_option,
    named,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.terminal import answer, say, width
from vecnet.columns import Styled, table
from vecnet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from vecnet.host.health import Report


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@json_option
@click.pass_context
def command(ctx: click.Context, subject: str | None, as_json: bool) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    topology = subject_topology(subject) if subject is not None and is_file(subject) else None
    name = topology.name if topology else named(subject) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet import host

    report = host.status(name, topology)
    if as_json:
        emit_json([entry.as_json() for entry in report])
    elif not report:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        _print_table(report)
    if (name and not report) or not all(entry.healthy for entry in report):
        ctx.exit(EXIT_FAILED)


_NUMBERS = ("mtu", "rx", "tx", "errors", "drops")
_TITLES = ("topology", "link", "interface", "kind", *_NUMBERS, "state")


def _print_table(report: list[Report]) -> None:
    rows = [
        (
            entry.topology,
            entry.link,
            f"{entry.ifname} in {entry.netns}" if entry.netns else entry.ifname,
            entry.kind,
            *map(str, (entry.mtu, entry.rx_packets, entry.tx_packets, entry.errors, entry.drops)),
            Styled(entry.why, "red") if entry.why else "healthy",
        )
        for entry in report
    ]
    titles = [Styled(title, bold=True) for title in _TITLES]
    right = {_TITLES.index(number) for number in _NUMBERS}
    answer(*table([titles, *rows], width(sys.stdout), right=right))
