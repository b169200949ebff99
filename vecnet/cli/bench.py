"""vecnet bench: measure every transport, next to a bare loop on the same sockets."""

from __future__ import annotations

import os
import platform
import tempfile

import click

from vecnet.errors import HostError, InputError


@click.command("bench")
@click.option("--transport", "-t", "transports", multiple=True, metavar="T", help="Only this one; may be repeated.")
@click.option("--length", "lengths", type=click.IntRange(60, 1514), multiple=True, help="Bytes of a frame.")
@click.option("--runs", type=click.IntRange(1, 1000), default=15, show_default=True, help="Turns that each side has.")
@click.option("--depth", type=click.IntRange(1, 1024), default=64, show_default=True, help="Packets per system call.")
@click.option("--guest/--no-guest", default=True, show_default=True, help="Measure a real guest too, if there is one.")
@click.option("--json", "json_file", type=click.Path(), metavar="F", help="Write the figures as JSON; - is stdout.")
@click.option("--svg", "svg_file", type=click.Path(), metavar="F", help="… as a chart.")
def command(
    transports: tuple[str, ...],
    lengths: tuple[int, ...],
    runs: int,
    depth: int,
    guest: bool,
    json_file: str | None,
    svg_file: str | None,
) -> None:
    """Measure how fast ports move frames, in a private network, which needs no root.

    Ratios are to a bare loop of recvmmsg and sendmmsg on the same sockets, measured in the same run, taking turns: 1.0
    is as fast as the loop that forms and checks no header. Figures of different machines do not compare; ratios do.
    """
    from vecnet import host, sandbox
    from vecnet.bench import guests, measure, references, stream, wires
    from vecnet.bench.report import WRITERS, as_text
    from vecnet.bench.result import Report, Result
    from vecnet.cli.progress import progress

    unknown = [name for name in transports if name not in wires.TRANSPORTS]
    if unknown:
        raise InputError(f"there is no transport {unknown[0]!r} to measure; there are {', '.join(wires.TRANSPORTS)}")
    chosen = transports or wires.TRANSPORTS
    sizes = lengths or (64, 512, 1400)
    sandbox.enter()
    every_processor = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(every_processor)})  # one processor, and always the same
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="vecnet-bench-") as folder, progress("bench") as report_progress:
        host.prepare_sandbox(wires.topology(chosen, depth, folder))
        lab = wires.topology(chosen, depth, folder)
        host.up(lab)
        total = len(chosen) * len(sizes)
        for done, (name, length) in enumerate((name, length) for name in chosen for length in sizes):
            report_progress(done, total)
            with wires.pair(lab, name) as (first, second):
                results += measure.transport(name, first, second, length, runs, min(depth, 64))
                if name.startswith("l2tpv3 udp"):
                    results.append(measure.port_to_port(name, first, length, runs, 4 * depth))
                results += references.from_python(name, first, length, runs, min(depth, 64))
                if name == "raw":
                    ifname = first.subject.far.ifname
                    results += references.next_to_python(name, first, ifname, length, runs, min(depth, 64))
                if guest and name != "fd" and guests.available():
                    os.sched_setaffinity(0, every_processor)
                    results += guests.transmit(name, first, length, 5)
                    os.sched_setaffinity(0, {min(every_processor)})
        os.sched_setaffinity(0, every_processor)
        streams = [*stream.streams(max(runs // 3, 1))] if not transports else []
    report = Report(f"{platform.machine()}, Linux {platform.release()}, {os.cpu_count()} processors", results, streams)
    files = {"json": json_file, "svg": svg_file}
    if "-" not in files.values():
        click.echo(as_text(report))
    for form, file in files.items():
        if file is None:
            continue
        try:
            with click.open_file(file, "w", encoding="utf-8") as out:
                out.write(WRITERS[form](report))
        except OSError as error:
            raise HostError(f"the figures cannot be written to {file}: {error.strerror}") from None
