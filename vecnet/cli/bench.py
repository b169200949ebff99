"""vecnet bench: measure every transport, next to a bare loop on the same sockets, and making wires, next to `ip`."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import ReportFile, once, refuse_one_place_for_two, write_report
from vecnet.cli.terminal import answer, width
from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.bench.result import Effort, Result, Stream, Task
    from vecnet.cli.progress import Report as Progress
    from vecnet.topology import Topology

_LENGTHS = (64, 512, 1400)
_LARGEST_BATCH = 128  # packets; twice as many do not fit the queues that a user without rights has
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("bench")
@click.option("--transport", "-t", "transports", multiple=True, metavar="T", help="Only this one; may be repeated.")
@click.option(
    "--length",
    "lengths",
    type=click.IntRange(60, 1514),
    multiple=True,
    help=f"Bytes of a frame.  [default: {_LENGTHS}]",
)
@click.option("--gso/--no-gso", default=True, show_default=True, help="Large frames (64 kB) too.")
@once("--runs", type=click.IntRange(1, 1000), help="Turns that each side has.  [default: 15]")
@once("--depth", type=click.IntRange(1, 1024), default=[128], show_default=True, help="Packets per system call.")
@click.option("--guest/--no-guest", default=True, show_default=True, help="A real guest too, if there is one.")
@click.option(
    "--streams/--no-streams", default=True, show_default=True, help="TCP through forward, and the kernel's bridge."
)
@click.option(
    "--making/--no-making", default=True, show_default=True, help="Thousands of raw's links made and removed, and ip."
)
@click.option(
    "--quick", is_flag=True, help="One short run of everything, to see that it works; the figures mean little."
)
@once("--json", "json_file", type=ReportFile(), metavar="F", help="Write the figures as JSON; - is stdout.")
@once("--svg", "svg_file", type=ReportFile(), metavar="F", help="… as a chart.")
def command(
    transports: tuple[str, ...],
    lengths: tuple[int, ...],
    gso: bool,
    runs: int | None,
    depth: int,
    guest: bool,
    streams: bool,
    making: bool,
    quick: bool,
    json_file: str | None,
    svg_file: str | None,
) -> None:
    """Measure how fast ports move frames and wires are made, in a private network, which needs no root.

    Ratios are to a bare loop of recvmmsg and sendmmsg on the same sockets, measured in the same run, taking turns: 1.0
    is as fast as the loop that forms and checks no header. Figures of different machines do not compare; ratios do.
    """
    from dataclasses import replace

    from vecnet import host, sandbox
    from vecnet.bench import wires
    from vecnet.bench.chart import as_svg
    from vecnet.bench.result import QUICK, Effort, Report, Result, Stream, Task
    from vecnet.bench.table import as_lines
    from vecnet.cli.progress import progress

    refuse_one_place_for_two({"json": json_file, "svg": svg_file})
    unknown = [name for name in transports if name not in wires.TRANSPORTS]
    if unknown:
        raise InputError(f"there is no transport {unknown[0]!r} to measure; there are {', '.join(wires.TRANSPORTS)}")
    chosen = transports or wires.TRANSPORTS
    effort = QUICK if quick else Effort()
    if runs is not None:
        effort = replace(effort, runs=runs, slow_runs=min(runs, effort.slow_runs))
    sandbox.enter()
    with _folder() as folder, progress("bench") as show:
        lab = wires.topology(chosen, depth, folder)
        host.prepare_sandbox(lab)
        host.up(lab)
        found = list(_measured(lab, chosen, lengths or _LENGTHS, gso, guest, streams, making, effort, depth, show))
    report = Report(
        f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors",
        depth,
        [one for one in found if isinstance(one, Result)],
        [one for one in found if isinstance(one, Stream)],
        [one for one in found if isinstance(one, Task)],
    )
    if "-" not in (json_file, svg_file):
        answer(*as_lines(report, width(sys.stdout)))
    if json_file:
        write_report(json_file, json.dumps(report.as_json(), indent=2) + "\n")
    if svg_file:
        write_report(svg_file, as_svg(report))


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for the run, where all others are made, too. SIGTERM and SIGHUP end guests, iperf3 and the folder first,
    as an interrupt does, and then the process."""
    got: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        got.append(number)
        raise KeyboardInterrupt

    # held back at either end: what is half made, or half removed, would stay
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    old = {
        number: signal.signal(number, note)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        with tempfile.TemporaryDirectory(prefix="vecnet-bench-") as folder:
            tempfile.tempdir = folder
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                yield folder
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
                tempfile.tempdir = None
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if got:
            signal.raise_signal(got[0])


def _measured(
    lab: Topology,
    transports: tuple[str, ...],
    lengths: tuple[int, ...],
    gso: bool,
    guest: bool,
    streams: bool,
    making: bool,
    effort: Effort,
    depth: int,
    show: Progress,
) -> Iterator[Result | Stream | Task]:
    """Every transport, step by step. All that one thread does runs on one processor, always the same."""
    from vecnet.bench import ends, guests, wires
    from vecnet.bench.making import wires_made
    from vecnet.bench.streams import stream

    batch = min(depth, _LARGEST_BATCH)
    guest = guest and guests.available()
    making = making and "raw" in transports
    steps = len(transports) * (len(lengths) + gso + guest) + streams * len(set(transports) & set(wires.WHOLE)) + making
    done = 0

    def step() -> None:
        nonlocal done
        show(done, steps)
        done += 1

    for name in transports:
        with ends.on(ends.FAR_PROCESSOR):
            for length in lengths:
                step()
                yield from _small(lab, name, length, effort, batch)
            if gso:
                step()
                yield from _large(lab, name, effort)
            if guest:
                step()
                yield from guests.next_to_guest(name, lab, lengths, effort, batch)
        if streams and name in wires.WHOLE:
            step()
            yield stream(name, effort)
    if making:
        step()
        yield from wires_made(effort)


def _small(lab: Topology, name: str, length: int, effort: Effort, batch: int) -> Iterator[Result]:
    from vecnet.bench import measure, python, wires

    with wires.pair(lab, name) as (first, second):
        yield from measure.transport(name, first, second, length, effort, batch)
        if name.startswith("l2tpv3 udp"):
            yield measure.port_to_port(name, first, length, effort, 2 * batch)
        yield from python.from_python(name, first, length, effort, batch)
        if name == "raw":
            yield from python.next_to_python(name, first, length, effort, batch)


def _large(lab: Topology, name: str, effort: Effort) -> Iterator[Result]:
    from vecnet.bench import measure, wires

    with wires.whole_pair(lab, name) as (first, second):
        if name in wires.WHOLE:
            yield from measure.large(name, first, second, effort)
        else:
            yield measure.cut(name, first, effort)
