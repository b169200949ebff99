"""vecnet bench: measure every transport, next to a bare loop on the same sockets, and making wires, next to `ip`."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import click

from vecnet.cli.common import ReportFile, write_report
from vecnet.cli.terminal import answer, width
from vecnet.errors import InputError
from vecnet.signals import handled, held

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("bench")
@click.option("--transport", "-t", "transports", multiple=True, metavar="T", help="Only this one; may be repeated.")
@click.option(
    "--length",
    "lengths",
    type=click.IntRange(60, 1514),
    multiple=True,
    help="Bytes of a frame.  [default: 64, 512, 1400]",
)
@click.option("--gso/--no-gso", default=True, show_default=True, help="Large frames (64 kB) too.")
@click.option("--runs", type=click.IntRange(1, 1000), help="Turns that each side has.  [default: 15]")
@click.option("--depth", type=click.IntRange(1, 1024), default=128, show_default=True, help="Packets per system call.")
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
@click.option("--json", "json_file", type=ReportFile(), metavar="F", help="Write the figures as JSON; - is stdout.")
@click.option("--svg", "svg_file", type=ReportFile(), metavar="F", help="… as a chart.")
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

    from vecnet import bench, lab, sandbox
    from vecnet.bench import wires
    from vecnet.bench.chart import as_svg
    from vecnet.bench.table import as_lines
    from vecnet.cli.progress import progress

    unknown = [name for name in transports if name not in wires.samples()]
    if unknown:
        there = ", ".join(wires.samples())
        raise InputError(f"there is no transport {unknown[0]!r} to measure", f"there are {there}")
    names = transports or tuple(wires.samples())
    effort = bench.QUICK if quick else bench.Effort()
    if runs is not None:
        effort = replace(effort, runs=runs, slow_runs=min(runs, effort.slow_runs))
    wanted = bench.Wanted(names, lengths or bench.LENGTHS, depth, gso, guest, streams, making)
    sandbox.enter()
    with _folder() as folder, progress("bench") as show:
        topology = lab.bring_up(lambda: wires.topology(names, depth, folder))
        report = bench.run(topology, wanted, effort, show)
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

    def note(number: int) -> None:
        got.append(number)
        raise KeyboardInterrupt

    try:
        # held back at either end: what is half made, or half removed, would stay
        with (
            held(_STOPPING) as let_through,
            handled([signal.SIGTERM, signal.SIGHUP], note),
            tempfile.TemporaryDirectory(prefix="vecnet-bench-") as folder,
        ):
            tempfile.tempdir = folder
            try:
                with let_through:
                    yield folder
            finally:
                tempfile.tempdir = None
    finally:
        if got:
            signal.raise_signal(got[0])
