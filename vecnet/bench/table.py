"""The figures as tables: one like the HOWTO's, then every figure with its reference and spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vecnet.bench.figures import IN, OUT, PACKETS, Booted, Figure, Figures, Stream, Task
from vecnet.bench.loads import LARGE
from vecnet.bench.wires import samples
from vecnet.columns import Line, paragraph, table

_BESIDE = "bare loop"
_GUESTS = "real guests: TCP in Gbit/s, packets in thousands a second, next to what the topology chooses"


def as_lines(report: Figures, width: int | None = None) -> list[Line]:
    """The tables with their titles, in lines that fit `width`."""
    depth = f" {report.depth} packets a system call;" if report.depth else ""
    head = f"{report.machine}.{depth} medians of runs that take turns with the reference."
    parts = [("Gbit/s, next to the HOWTO's table", _like_the_howto(report))] if report.results else []
    parts = [one for one in parts if len(one[1]) > 1]
    if report.results:
        parts.append(("every figure", _figures(report.results)))
    if report.guests:
        parts.append((_GUESTS, _guests(report.guests)))
    if report.streams:
        parts.append(("TCP streams, Gbit/s", _streams(report.streams)))
    if report.tasks:
        parts.append(("making wires, and starting", _tasks(report.tasks)))
    lines = paragraph(head, width)
    for title, rows in parts:
        lines += ["", *paragraph(title, width), "", *table(rows, width)]
    for sentence in report.unmeasured:
        lines += ["", *paragraph(f"not measured: {sentence}", width)]
    return lines


def _like_the_howto(report: Figures) -> list[tuple[str, ...]]:
    """A row a transport: what a port transmits and receives, in bits, and what TCP carries through it."""
    lengths = sorted({one.length for one in report.results if one.length < LARGE and one.what == "transmit"})
    longest = lengths[-1] if lengths else 0
    rows: list[tuple[str, ...]] = [
        (
            "transport",
            f"transmit, {longest} bytes",
            f"receive, {longest} bytes",
            "transmit, 64 kB",
            "receive, 64 kB",
            "iperf3",
            "iperf3, a real guest",
            "HOWTO, a guest",
        )
    ]
    for transport in dict.fromkeys(one.transport for one in report.results if one.transport in samples()):
        here = [one for one in report.results if one.transport == transport and one.reference == _BESIDE]
        tcp = [one for one in report.streams if one.transport == transport and one.what == "iperf3"]
        rows.append(
            (
                transport,
                _first(here, lambda one: (one.what, one.length) == ("transmit", longest)),
                _first(here, lambda one: (one.what, one.length) == ("receive", longest)),
                _first(here, lambda one: (one.what, one.length) == ("transmit", LARGE))
                or _first(here, lambda one: one.what == "cut and transmit", " cut"),
                _first(here, lambda one: (one.what, one.length) == ("receive", LARGE)),
                *((_giga(tcp[0].bits_per_second), _giga(tcp[0].reference_bits_per_second)) if tcp else ("", "")),
                samples()[transport][1].howto,
            )
        )
    return rows


def _guests(guests: Iterable[Booted]) -> list[tuple[str, ...]]:
    """A row a setting: each rate, and its ratio to that of the topology's choice with the quartiles."""
    rows: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
    for one in guests:
        rate = f"{one.rate / 1e3:.1f}" if one.what == PACKETS else _giga(one.rate)
        ratio = f"{one.ratio:.2f} {_spread(one.spread)}"
        rows.setdefault((one.kernel, one.transport, one.setting), {})[one.what] = rate, ratio
    heads = [word for what in (OUT, IN, PACKETS) for word in (what, "ratio")]
    return [
        ("guest", "transport", "setting", *heads, "HOWTO"),
        *(
            (
                *key,
                *(word for what in (OUT, IN, PACKETS) for word in row.get(what, ("", ""))),
                samples()[key[1]][1].howto,
            )
            for key, row in rows.items()
        ),
    ]


def _figures(results: Iterable[Figure]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (
            "transport",
            "what",
            "bytes",
            "ns",
            "processor ns",
            "Mpps",
            "Gbit/s",
            "reference",
            "ns",
            "processor ns",
            "ratio",
            "quartiles",
        )
    ]
    for one in results:
        rows.append(
            (
                one.transport,
                one.what,
                str(one.length),
                f"{one.nanoseconds:.0f}",
                _whole(one.processor_nanoseconds),
                "" if one.is_latency else f"{one.packets_per_second / 1e6:.2f}",
                "" if one.is_latency else _giga(one.bits_per_second),
                one.reference,
                f"{one.reference_nanoseconds:.0f}",
                _whole(one.reference_processor_nanoseconds),
                f"{one.ratio:.2f}",
                _spread(one.spread),
            )
        )
    return rows


def _streams(streams: Iterable[Stream]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("transport", "what", "Gbit/s", "reference", "Gbit/s", "ratio", "quartiles")]
    rows += [
        (
            one.transport,
            one.what,
            _giga(one.bits_per_second),
            one.reference,
            _giga(one.reference_bits_per_second),
            f"{one.ratio:.2f}",
            _spread(one.spread),
        )
        for one in streams
    ]
    return rows


def _tasks(tasks: Iterable[Task]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("links", "what", "s", "MB", "reference", "s", "MB", "ratio", "quartiles")]
    rows += [
        (
            str(one.links),
            one.what,
            f"{one.seconds:.3f}",
            f"{one.kilobytes / 1000:.0f}",
            one.reference,
            f"{one.reference_seconds:.3f}",
            f"{one.reference_kilobytes / 1000:.0f}",
            f"{one.ratio:.2f}",
            _spread(one.spread),
        )
        for one in tasks
    ]
    return rows


def _first(results: Iterable[Figure], wanted: Callable[[Figure], bool], note: str = "") -> str:
    return next((_giga(one.bits_per_second) + note for one in results if wanted(one)), "")


def _giga(bits: float) -> str:
    return f"{bits / 1e9:.2f}"


def _whole(nanoseconds: float | None) -> str:
    return "" if nanoseconds is None else f"{nanoseconds:.0f}"


def _spread(quartiles: tuple[float, float]) -> str:
    return f"{quartiles[0]:.2f}–{quartiles[1]:.2f}"
