"""vecnet status: what is there, healthy or not, with the kernel's counters; and the ports of switches."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vecnet import runtime
from vecnet.cli.common import (
    emit_json,
    is_file,
    json_option,
    named,
    on_option,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.terminal import answer, say, width
from vecnet.columns import Cell, Part, Styled, table
from vecnet.errors import EXIT_FAILED, InputError

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.plugging.report import DeviceState
    from vecnet.serving.control import PortState
    from vecnet.topology import Topology


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@on_option
@json_option
@click.pass_context
def command(ctx: click.Context, subject: str | None, on: str | None, as_json: bool) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made. So with the ports
    of the switches that `vecnet serve` and `vecnet run` of this user serve now.

    With a FILE, guests of this user whose umid is their name are asked as well, by their management consoles: which of
    their devices are up, and how often each has woken the guest's kernel. `sent` is what the host has sent there: where
    that grows, and a device is down or sleeps on, packets vanish in the guest. Guests do not tell their own counters.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    if subject is None and on is not None:
        raise InputError("--on goes with a FILE that names hosts", "name it, or leave --on out")
    topology = subject_topology(subject, on) if subject is not None and is_file(subject) else None
    name = topology.name if topology else named(subject, on) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet import host
    from vecnet.serving import control

    report = host.status(name, topology)
    ports = control.states(name)
    devices = _devices(topology) if topology else []
    if as_json:
        emit_json([e.as_json() for e in report] + [p.as_json() for p in ports] + [d.as_json() for d in devices])
    elif not report and not ports and not devices:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        if report:
            _print_table(report)
        if ports:
            _print_ports(ports)
        if devices:
            _print_devices(devices, report)
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
            _impaired(Styled(entry.why, "red") if entry.why else "healthy", entry.impairment),
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
    return _impaired(state, port.impairment)


def _impaired(state: Part, impairment: str) -> list[Part]:
    return [state, Styled(f"impaired: {impairment}", "yellow")] if impairment else [state]


def _devices(topology: Topology) -> list[DeviceState]:
    if not any(os.path.exists(runtime.console(guest)) for guest in topology.guests):  # noqa: PTH110 - most have none
        return []
    from vecnet.plugging.report import states

    return states(topology)


_DEVICE_NUMBERS = ("sent", "woken")
_DEVICE_TITLES = ("topology", "guest", "device", "link", *_DEVICE_NUMBERS, "state")


def _print_devices(devices: list[DeviceState], report: list[Report]) -> None:
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
