"""vecnet watch: rates, drops and health, refreshed."""

from __future__ import annotations

import itertools
import queue
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import click

from vecnet.cli.common import is_file, named, on_option, once, part, say_what_is_meant, subject_topology
from vecnet.cli.states import with_impairment
from vecnet.cli.terminal import answer, is_dumb, width
from vecnet.columns import Cell, Line, Styled, table
from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.observing.rates import DeviceRate, WireRate
    from vecnet.observing.state import State

_USUAL, _SHORTEST = 1.0, 0.1  # seconds


@click.command("watch")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@on_option
@once("--interval", type=click.FloatRange(min=_SHORTEST), metavar="SECONDS", help="How often; 1 if left out.")
@once("--count", type=click.IntRange(min=1), metavar="N", help="End after so many tables.")
def command(subject: str | None, on: str | None, interval: float | None, count: int | None) -> None:
    """Show what passes every wire of a topology, or of all, a second: packets, bits, drops; and whether it is healthy.

    The interfaces of the host, the ports of switches that this user serves, and with a FILE the devices of guests that
    run: the same as `vecnet status` has. On a terminal one table is drawn over and over, until Ctrl-C; elsewhere one
    after another.
    """
    if subject is None and on is not None:
        raise InputError("--on goes with a FILE that names hosts", "name it, or leave --on out")
    topology = part(subject_topology(subject), on) if subject is not None and is_file(subject) else None
    name = topology.name if topology else named(subject, on) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet.observing.state import read
    from vecnet.signals import queued

    with queued((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)) as signals, _screen() as screen:
        before = read(name, topology)
        for _ in itertools.count() if count is None else range(count):
            with suppress(queue.Empty):
                signals.get(timeout=interval or _USUAL)
                break
            after = read(name, topology)
            screen.show(_lines(before, after, name))
            before = after


class _Screen(Protocol):
    def show(self, lines: Sequence[Line]) -> None: ...


class _Page:
    """One table after another."""

    def show(self, lines: Sequence[Line]) -> None:
        answer(*lines, "")
        sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[_Screen]:
    if not sys.stdout.isatty() or is_dumb():
        yield _Page()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()

    class Drawn:
        """One table, drawn over the one before: as many of its lines as there is room for."""

        def show(self, lines: Sequence[Line]) -> None:
            room = max(console.size.height - 1, 1)
            if len(lines) > room:
                lines = [*lines[: room - 1], f"{len(lines) - room + 1} lines more than there is room for"]
            text = Text(no_wrap=True, overflow="crop")
            for number, line in enumerate(lines):
                text.append("\n" if number else "")
                for piece in [line] if isinstance(line, str | Styled) else line:
                    text.append(str(piece), _style(piece))
            live.update(text, refresh=True)

    with Live(console=console, auto_refresh=False) as live:
        yield Drawn()


def _style(part: str | Styled) -> str:
    if not isinstance(part, Styled):
        return ""
    return " ".join(filter(None, ("bold" if part.bold else "", part.colour)))


def _lines(before: State, after: State, name: str | None) -> list[Line]:
    from vecnet.observing import rates

    if not after.is_up and not after.devices:
        return [f"nothing of {name} is up here" if name else "nothing of vecnet is up here"]
    wires, devices = [*rates.wires(before, after)], [*rates.devices(before, after)]
    lines = _table(_TITLES, _NUMBERS, [_wire(wire) for wire in wires]) if wires else []
    return [*lines, *(_table(_DEVICE_TITLES, _DEVICE_NUMBERS, [_device(one) for one in devices]) if devices else [])]


_NUMBERS = ("rx/s", "tx/s", "rx bit/s", "tx bit/s", "drops/s", "drops")
_TITLES = ("topology", "link", "at", *_NUMBERS, "state")
_DEVICE_NUMBERS = ("sent/s", "woken/s")
_DEVICE_TITLES = ("topology", "guest", "device", *_DEVICE_NUMBERS, "state")


def _wire(wire: WireRate) -> Sequence[Cell]:
    dropping = _number(wire.dropping)
    return (
        *(wire.topology, wire.link, wire.at),
        *map(_number, (wire.rx, wire.tx, wire.rx_bits, wire.tx_bits)),
        Styled(dropping, "red") if wire.dropping else dropping,
        str(wire.drops),
        with_impairment(Styled(wire.why, "red") if wire.why else wire.state, wire.impairment),
    )


def _device(one: DeviceRate) -> Sequence[Cell]:
    state = one.device.state if one.device.as_wanted else Styled(one.device.state, "red")
    return (one.device.topology, one.device.guest, one.device.device, _number(one.sent), _number(one.woken), state)


def _table(titles: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[Line]:
    right = {titles.index(number) for number in numbers}
    return table([[Styled(title, bold=True) for title in titles], *rows], width(sys.stdout), right=right)


def _number(rate: float | None) -> str:
    """With three digits that count; "" where it is not known."""
    if rate is None:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if rate >= 0.9995 * size:
            return f"{rate / size:.3g}{unit}" if rate < 999.5 * size else f"{rate / size:.0f}{unit}"
    return f"{rate:.3g}" if rate < 999.5 else f"{rate:.0f}"
