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
    on_option,
    once,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.terminal import answer, emit, say, width
from vecnet.columns import Cell, Part, Styled, table
from vecnet.errors import EXIT_FAILED, InputError

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.plugging.report import DeviceState
    from vecnet.serving.control import PortState

_FORMATS = ("table", "json", "prometheus")


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@on_option
@once("--format", "form", type=click.Choice(_FORMATS), help="How to print it.")
@json_option
@click.pass_context
def command(ctx: click.Context, subject: str | None, on: str | None, form: str | None, as_json: bool) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made. So with the ports
    of the switches that `vecnet serve` and `vecnet run` of this user serve now.

    With a FILE, guests of this user whose umid is their name are asked as well, by their management consoles: which of
    their devices are up, and how often each has woken the guest's kernel. `sent` is what the host has sent there: where
    that grows, and a device is down or sleeps on, packets vanish in the guest. Guests do not tell their own counters.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology.

    `--format prometheus` is Prometheus' text format, for a scrape by a textfile collector.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} are two forms of one answer; leave one out.", ctx)
    if subject is None and on is not None:
        raise InputError("--on goes with a FILE that names hosts", "name it, or leave --on out")
    topology = subject_topology(subject, on) if subject is not None and is_file(subject) else None
    name = topology.name if topology else named(subject, on) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet.observing.state import read

    state = read(name, topology)
    if as_json or form == "json":
        emit_json(state.as_json())
    elif form == "prometheus":
        from vecnet.observing import prometheus

        emit(prometheus.text(state))
    elif state.is_empty:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        if state.interfaces:
            _print_table(state.interfaces)
        if state.ports:
            _print_ports(state.ports)
        if state.devices:
            _print_devices(state.devices, state.interfaces)
    if (name and not state.interfaces and not state.ports) or not state.healthy:
        ctx.exit(EXIT_FAILED)


_NUMBERS = ("mtu", "rx", "tx", "errors", "drops")
_TITLES = ("topology", "link", "interface", "kind", *_NUMBERS, "state")


def _print_table(report: Sequence[Report]) -> None:
    rows = [
        (
            entry.topology,
            entry.link,
            f"{entry.ifname} in {entry.netns}" if entry.netns else entry.ifname,
            entry.kind,
            *map(str, (entry.mtu, entry.rx_packets, entry.tx_packets, entry.errors, entry.drops)),
            with_impairment(Styled(entry.why, "red") if entry.why else "healthy", entry.impairment),
        )
        for entry in report
    ]
    _print(_TITLES, _NUMBERS, rows)


_PORT_NUMBERS = ("addresses", "rx", "tx", "flooded", "drops")
_PORT_TITLES = ("topology", "switch", "port", "to", *_PORT_NUMBERS, "state")


def _print_ports(ports: Sequence[PortState]) -> None:
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
    return with_impairment(state, port.impairment)


def with_impairment(state: Part, impairment: str) -> list[Part]:
    """A state in a table, and behind it what frames suffer."""
    return [state, Styled(f"impaired: {impairment}", "yellow")] if impairment else [state]


_DEVICE_NUMBERS = ("sent", "woken")
_DEVICE_TITLES = ("topology", "guest", "device", "link", *_DEVICE_NUMBERS, "state")


def _print_devices(devices: Sequence[DeviceState], report: Sequence[Report]) -> None:
    sent = {entry.link: str(entry.tx_packets) for entry in report}
    rows = [
        (
            one.topology,
            one.guest,
            one.device,
            one.link,
            sent.get(one.link, ""),
            "" if one.woken is None else str(one.woken),
            one.state if one.as_wanted else Styled(one.state, "red"),
        )
        for one in devices
    ]
    _print(_DEVICE_TITLES, _DEVICE_NUMBERS, rows)


def _print(titles: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    right = {titles.index(number) for number in numbers}
    answer(*table([[Styled(title, bold=True) for title in titles], *rows], width(sys.stdout), right=right))
