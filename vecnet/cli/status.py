"""vecnet status: what is there, healthy or not, with the kernel's counters; and the ports of switches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
from vecnet.columns import Cell, Part, Styled, table
from vecnet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.serving.control import PortState


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@json_option
@click.pass_context
def command(ctx: click.Context, subject: str | None, as_json: bool) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made. So with the ports
    of the switches that `vecnet serve` and `vecnet run` of this user serve now.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    topology = subject_topology(subject) if subject is not None and is_file(subject) else None
    name = topology.name if topology else named(subject) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet import host
    from vecnet.serving import control

    report = host.status(name, topology)
    ports = control.states(name)
    if as_json:
        emit_json([entry.as_json() for entry in report] + [port.as_json() for port in ports])
    elif not report and not ports:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        if report:
            _print_table(report)
        if ports:
            _print_ports(ports)
    healthy = all(entry.healthy for entry in report) and all(port.healthy for port in ports)
    if (name and not report and not ports) or not healthy:
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
    _print(_TITLES, _NUMBERS, rows)


_PORT_NUMBERS = ("addresses", "rx", "tx", "flooded", "drops")
_PORT_TITLES = ("topology", "switch", "port", "to", *_PORT_NUMBERS, "state")


def _print_ports(ports: list[PortState]) -> None:
    """`rx` is what has come in there, `tx` what has gone out, as of an interface of the host."""
    rows = [
        (
            port.topology,
            port.switch,
            port.port,
            port.link.removeprefix(f"{port.switch}:{port.port}--").removesuffix(f"--{port.switch}:{port.port}"),
            *map(str, (port.addresses, port.counters.get("rx_frames", 0), port.counters.get("tx_frames", 0))),
            *map(str, (port.counters.get("flooded", 0), port.drops)),
            _state(port),
        )
        for port in ports
    ]
    _print(_PORT_TITLES, _PORT_NUMBERS, rows)


def _state(port: PortState) -> list[Part]:
    state: Part = Styled(port.why, "red") if port.why else "connected" if port.connected else "waits"
    return [state, Styled(f"impaired: {port.impairment}", "yellow")] if port.impairment else [state]


def _print(titles: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    right = {titles.index(number) for number in numbers}
    answer(*table([[Styled(title, bold=True) for title in titles], *rows], width(sys.stdout), right=right))
