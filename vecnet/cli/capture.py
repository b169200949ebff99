"""vecnet capture: a wire as pcapng, while it runs."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import LinkName, ReportFile, count, file_argument, load_part, on_option, once, require_link
from vecnet.cli.terminal import say
from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.capture.sink import Sink
    from vecnet.capture.source import Source

_MEGA = 1_000_000  # bytes
_LOOK = 0.2  # seconds between two looks at whether a signal came
_CHUNK = 1 << 20  # bytes


@click.command("capture")
@file_argument
@on_option
@click.argument("link", type=LinkName())
@once("-w", "--write", "target", type=ReportFile(), metavar="FILE", help="Write to FILE; - is standard output.")
@once("--count", "-c", "most", type=click.IntRange(1), metavar="N", help="End after N packets.")
@once("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds.")
@once("--files", type=click.IntRange(2), metavar="N", help="A ring of files: keep the newest N, each of --size.")
@once("--size", type=click.IntRange(1), metavar="MB", help="Begin another file of the ring after MB megabytes.")
def command(
    file: str,
    on: str | None,
    link: str,
    target: str | None,
    most: int | None,
    seconds: float | None,
    files: int | None,
    size: int | None,
) -> None:
    """Write what crosses LINK of FILE as pcapng, until it is stopped: vecnet capture FILE LINK | wireshark -k -i -

    LINK is a link's name, or one of its ends, such as web:vec0. A port of a switch that `vecnet serve` runs shows also
    what was dropped, and why, and needs no privilege; an interface of the host needs CAP_NET_RAW. In and out are as
    the switch, or the host, sees them. The wire never waits for the capture: what that loses is told at the end.
    """
    topology = load_part(file, on)
    chosen = require_link(topology, link)
    target = target or "-"
    if (files is None) != (size is None) or (files is not None and target == "-"):
        raise InputError("a ring of files needs --files, --size, and a file to name them after", "-w lab.pcapng")
    if target == "-" and sys.stdout.isatty():
        instead = "give -w FILE, or pipe it: vecnet capture … | wireshark -k -i -"
        raise InputError("a terminal shows no packets", instead)
    from vecnet.capture.sink import Ring, Sink, create
    from vecnet.capture.source import source

    with source(topology, chosen) as from_wire:
        if files is not None and size is not None:
            sink: Sink = Ring(target, files, size * _MEGA, most)
        else:
            sink = Sink(os.dup(sys.stdout.fileno()) if target == "-" else create(target), most)
        with closing(sink):
            say(f"capturing {chosen.name} at {from_wire.name}")
            _capture(from_wire, sink, seconds)
        lost = from_wire.finish()
    say(f"{count(sink.packets, 'packet')} captured, {count(lost, 'packet')} lost")


def _capture(source: Source, sink: Sink, seconds: float | None) -> None:
    """Move packets until the end of the source, of the time, of the room, or of whoever reads."""
    from vecnet.signals import handled

    ends: list[int] = []
    until = None if seconds is None else time.monotonic() + seconds
    with handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), ends.append):
        stopped = False
        while True:
            if not stopped and (ends or sink.full or (until is not None and time.monotonic() >= until)):
                source.stop()
                stopped = True
            if not select.select([source.descriptor], [], [], _LOOK)[0]:
                continue
            data = os.read(source.descriptor, _CHUNK)
            if not data:
                return
            try:
                sink.feed(data)
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise
                ends.append(error.errno)  # wireshark was closed: that is the end, and no fault
