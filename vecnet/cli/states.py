"""What is there, as tables: interfaces, ports of switches, devices of guests that run; of one machine or of several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecnet.cli.terminal import answer, width
from vecnet.columns import Cell, Part, Styled, table

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.observing.state import State
    from vecnet.plugging.report import DeviceState
    from vecnet.serving.control import PortState

Row = Sequence[Cell]


def print_tables(states: Sequence[State]) -> None:
    """Print what is there, of all machines in one table each: interfaces, ports, devices of guests."""
    _print(_TITLES, _NUMBERS, [(one.host, *row) for one in states for row in _interfaces(one.reports)])
    _print(_PORT_TITLES, _PORT_NUMBERS, [(one.host, *row) for one in states for row in _ports(one.ports)])
    devices = [(one.host, *row) for one in states for row in _guests_devices(one.devices, one.reports)]
    _print(_DEVICE_TITLES, _DEVICE_NUMBERS, devices)


_NUMBERS = ("mtu", "rx", "tx", "errors", "drops")
_TITLES = ("topology", "link", "interface", "kind", *_NUMBERS, "state")


def _interfaces(report: Sequence[Report]) -> list[Row]:
    return [
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


_PORT_NUMBERS = ("addresses", "rx", "tx", "flooded", "drops")
_PORT_TITLES = ("topology", "switch", "port", "to", *_PORT_NUMBERS, "state")


def _ports(ports: Sequence[PortState]) -> list[Row]:
    """`rx` is what has come in there, `tx` what has gone out, as of an interface of the host."""
    return [
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


def _state(port: PortState) -> list[Part]:
    state: Part = Styled(port.why, "red") if port.why else "connected" if port.connected else "waits"
    return with_impairment(state, port.impairment)


def with_impairment(state: Part, impairment: str) -> list[Part]:
    """A state in a table, and behind it what frames suffer."""
    return [state, Styled(f"impaired: {impairment}", "yellow")] if impairment else [state]


_DEVICE_NUMBERS = ("sent", "woken")
_DEVICE_TITLES = ("topology", "guest", "device", "link", *_DEVICE_NUMBERS, "state")


def _guests_devices(devices: Sequence[DeviceState], report: Sequence[Report]) -> list[Row]:
    sent = {entry.link: str(entry.tx_packets) for entry in report}
    return [
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


def _print(titles: Sequence[str], numbers: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows, if any, each of which begins with its host, and of all but the first column where none has one."""
    if not rows:
        return
    titles = ("host", *titles)
    if not any(row[0] for row in rows):
        titles, rows = titles[1:], [row[1:] for row in rows]
    right = {titles.index(number) for number in numbers}
    answer(*table([[Styled(title, bold=True) for title in titles], *rows], width(sys.stdout), right=right))
