"""What was measured as tables for people: one a link, a row a size and direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vecnet.columns import Line, paragraph, table
from vecnet.loopback.book import KEYS
from vecnet.loopback.report import as_lines as probes_as_lines
from vecnet.loopback.verdict import HIGH, LOW, LinkReport, Verdicts

_HEAD = (
    "bytes",
    "way",
    "NDR frames/s",
    "Mbit/s",
    "searches",
    "PDR frames/s",
    "µs, median",
    "99.9 %",
    "variation",
    "in a burst",
    "buffered",
)
_RIGHT = (0, 2, 3, 5, 6, 7, 8, 9, 10)


def as_lines(report: Verdicts, width: int | None = None) -> list[Line]:
    """What passed and what did not, the tables, and how all of it was measured."""
    lines = probes_as_lines(replace(report, note=""), width=width)
    for link in report.links:
        rows = list(_rows(link))
        if rows:
            lines += ["", link.label, "", *table([_HEAD, *rows], width, right=_RIGHT)]
    return [*lines, "", *paragraph(report.note, width)]


def _rows(link: LinkReport) -> Iterator[tuple[str, ...]]:
    for result in link.results:
        for key in KEYS:
            own = {name.removeprefix(f"{key}_"): value for name, value in result.figures.items()}
            if "ndr_frames_per_s" in own:
                yield result.probe, key, *_cells(own)


def _cells(figures: Mapping[str, float]) -> tuple[str, ...]:
    ndr, pdr = "ndr_frames_per_s", "pdr_frames_per_s"
    burst = figures.get("burst_frames_at_least")
    return (
        _rate(figures, ndr),
        _digits(figures["ndr_mbit_per_s"]),
        f"{figures[ndr + LOW]:.0f}–{figures[ndr + HIGH]:.0f}",
        _rate(figures, pdr),
        *(_whole(figures.get(name)) for name in ("latency_p50_us", "latency_p999_us", "pdv_us")),
        _whole(figures.get("burst_frames")) if burst is None else f"≥ {burst:.0f}",
        _whole(figures.get("buffer_frames")),
    )


def _rate(figures: Mapping[str, float], name: str) -> str:
    """One that the sender does not exceed is what the wire carries at the least."""
    return f"{'≥ ' if figures[name] >= figures['sender_frames_per_s'] else ''}{figures[name]:.0f}"


def _digits(value: float) -> str:
    """Four of them, or all before the point."""
    return f"{value:.4g}" if value < 1e4 else f"{value:.0f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
