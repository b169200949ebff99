"""vecnet capture: a wire as pcapng, while it runs."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import LinkName, ReportFile, count, file_argument, load_part, on_option, once, require_link
from vecnet.cli.terminal import say
from vecnet.errors import InputError, Refused

if TYPE_CHECKING:
    from vecnet.capture.sink import Sink
    from vecnet.kernel.bpf import Filter

_MEGA = 1_000_000  # bytes


@click.command("capture")
@file_argument
@on_option
@click.argument("link", type=LinkName())
@click.argument("expression", metavar="[FILTER]", required=False)
@once("-w", "--write", "target", type=ReportFile(), metavar="FILE", help="Write to FILE; - is standard output.")
@once("--count", "-c", "most", type=click.IntRange(1), metavar="N", help="End after N packets.")
@once("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds.")
@once("--files", type=click.IntRange(2), metavar="N", help="A ring of files: keep the newest N, each of --size.")
@once("--size", type=click.IntRange(1), metavar="MB", help="Begin another file of the ring after MB megabytes.")
@click.option("--outer", is_flag=True, help="Write a tunnel's packets beside the frames in them.")
def command(
    file: str,
    on: str | None,
    link: str,
    expression: str | None,
    target: str | None,
    most: int | None,
    seconds: float | None,
    files: int | None,
    size: int | None,
    outer: bool,
) -> None:
    """Write what crosses LINK of FILE as pcapng, until it is stopped: vecnet capture FILE LINK | wireshark -k -i -

    LINK is a link's name, or one of its ends, such as web:vec0. A port of a switch that `vecnet serve` runs shows also
    what was dropped, and why, and needs no privilege; an interface of the host needs CAP_NET_RAW. A tunnel between
    guests has no interface, and is heard where the host carries its packets: the frames in them are written, and the
    packets that an end drops, with the cause; so is any tunnel with --outer. In and out are as the switch, the host,
    or the first of two guests sees them. The wire never waits for the capture: what that loses is told at the end.

    FILTER is in pcap's language, such as 'tcp port 80', which tcpdump compiles: packets that it lets pass are written
    alone, dropped ones among them. It judges a tunnel's outer packets as they are.
    """
    topology = load_part(file, on)
    chosen = require_link(topology, link)
    target = target or "-"
    if (files is None) != (size is None) or (files is not None and target == "-"):
        raise InputError("a ring of files needs --files, --size, and a file to name them after", "-w lab.pcapng")
    if target == "-" and sys.stdout.isatty():
        instead = "give -w FILE, or pipe it: vecnet capture … | wireshark -k -i -"
        raise InputError("a terminal shows no packets", instead)
    from vecnet.capture.move import move
    from vecnet.capture.sink import Ring, Sink, create
    from vecnet.capture.source import source

    with ExitStack() as opened:
        passed = opened.enter_context(closing(judge(expression))) if expression is not None else None
        from_wire = opened.enter_context(source(topology, chosen, outer))
        if files is not None and size is not None:
            sink: Sink = Ring(target, files, size * _MEGA, most, passed)
        else:
            sink = Sink(os.dup(sys.stdout.fileno()) if target == "-" else create(target), most, passed)
        with closing(sink):
            say(f"capturing {chosen.name} at {from_wire.name}")
            move(from_wire, sink, seconds)
        lost = from_wire.finish()
    say(f"{count(sink.packets, 'packet')} captured, {count(lost, 'packet')} lost", *from_wire.notes())


def judge(expression: str) -> Filter:
    """What lets the packets of a filter in pcap's language pass. Raises InputError."""
    from vecnet.kernel.bpf import Filter, compiled

    try:
        return Filter(compiled(expression))
    except Refused as error:
        raise InputError(error.message, error.instead) from None
