"""vecnet bench: measure every transport, next to a bare loop on the same sockets, and making wires, next to `ip`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile

import click

from vecnet.cli.common import ReportFile, once, refuse_one_place_for_two, write_report
from vecnet.cli.terminal import answer, say, width
from vecnet.errors import HostError, InputError

VARIED = ("depth", "gro", "mtu", "pinned")
_GUEST_SECONDS = 7  # to boot, be measured and halt


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
    "--kernel",
    "kernels",
    type=click.Path(),
    multiple=True,
    metavar="LINUX",
    help="Real guests of this kernel alone, with every setting; may be repeated.",
)
@click.option(
    "--vary",
    "varied",
    type=click.Choice(VARIED),
    multiple=True,
    help="With --kernel: this setting alone, next to what a topology chooses; may be repeated.",
)
@click.option("--switch", is_flag=True, help="The switch; without -t it alone.")
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
    kernels: tuple[str, ...],
    varied: tuple[str, ...],
    switch: bool,
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
    from vecnet.bench import settings, wires
    from vecnet.bench.chart import as_svg
    from vecnet.bench.table import as_lines
    from vecnet.cli.progress import progress
    from vecnet.loopback.verdict import Outcome

    refuse_one_place_for_two({"json": json_file, "svg": svg_file})
    unknown = [name for name in transports if name not in wires.samples()]
    if unknown:
        there = ", ".join(wires.samples())
        raise InputError(f"there is no transport {unknown[0]!r} to measure", f"there are {there}")
    if varied and not kernels:
        raise InputError("--vary says what real guests are to differ in", "give --kernel ./linux, too")
    found = [shutil.which(kernel) for kernel in kernels]
    if missing := [kernel for kernel, path in zip(kernels, found, strict=True) if path is None]:
        raise InputError(f"there is no kernel {missing[0]!r} that can be run", "name the binary of one")
    binaries = [os.path.abspath(path) for path in found if path is not None]  # noqa: PTH100 - a link stays one
    names = transports or (() if switch else tuple(wires.samples()))
    effort = bench.QUICK if quick else bench.Effort()
    if runs is not None:
        effort = replace(effort, runs=runs, slow_runs=min(runs, effort.slow_runs))
    wanted = bench.Wanted(names, lengths or bench.LENGTHS, depth, gso, guest, streams, making, switch)
    settings_of = {name: settings.of(name, varied or VARIED) for name in names} if kernels else {}
    if kernels:
        for binary in binaries:
            settings.version(binary)
        if not shutil.which("iperf3"):
            raise HostError("TCP of guests is measured with iperf3, which is not here", "install it")
        guests = settings.steps(binaries, settings_of, effort)
        say(f"{guests} guests boot; this takes about {max(1, guests * _GUEST_SECONDS // 60)} min")
    elif quick:
        say(f"this takes about {wanted.quick_seconds} s")
    sandbox.enter()
    with sandbox.folder() as folder, progress("bench") as show:
        tempfile.tempdir = folder  # whatever ends this process, no file is left
        try:
            if kernels:
                topology = lab.bring_up(lambda: settings.topology(settings_of, folder))
                report = settings.measured(topology, binaries, settings_of, effort, show)
            else:
                topology = lab.bring_up(lambda: wires.topology(wanted.wires, depth, folder))
                report = bench.run(topology, wanted, effort, show)
        except Outcome as outcome:
            raise HostError(f"a wire to be measured does not carry: {outcome}") from None
    if "-" not in (json_file, svg_file):
        answer(*as_lines(report, width(sys.stdout)))
    if json_file:
        write_report(json_file, json.dumps(report.as_json(), indent=2) + "\n")
    if svg_file:
        write_report(svg_file, as_svg(report))
