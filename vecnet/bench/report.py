"""The figures as a table like the HOWTO's, as JSON, and as a chart (SVG)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.sax.saxutils import escape

from vecnet.bench.result import Report, Result

# HOWTO, "User Mode Linux networking": what a guest reaches, in Gbit/s
HOWTO = {"tap": "> 8", "hybrid": "> 6", "raw": "> 6", "gre": "> 3", "l2tpv3": "> 3", "bess": "> 3", "fd": "varies"}


def as_json(report: Report) -> str:
    return json.dumps(report.as_json(), indent=2)


def as_text(report: Report) -> str:
    """A line a figure, aligned; the last column is what the HOWTO gives for a guest."""
    head = (
        "transport",
        "what",
        "bytes",
        "ns/packet",
        "Mpps",
        "Gbit/s",
        "reference",
        "ns",
        "ratio",
        "quartiles",
        "HOWTO",
    )
    rows: list[tuple[str, ...]] = [head]
    for one in report.results:
        low, high = one.spread
        echo = one.what.startswith("echo")
        rows.append(
            (
                one.transport,
                one.what,
                str(one.length),
                f"{one.nanoseconds:.0f}",
                "" if echo else f"{one.packets_per_second / 1e6:.2f}",
                "" if echo else f"{one.bits_per_second / 1e9:.2f}",
                one.reference,
                f"{one.reference_nanoseconds:.0f}",
                f"{one.ratio:.2f}",
                f"{low:.2f}–{high:.2f}",
                HOWTO.get(one.transport.split()[0], ""),
            )
        )
    text = _aligned(rows)
    if report.streams:
        streams = [("transport", "stream", "Gbit/s", "reference", "ratio", "")]
        streams += [
            (s.transport, s.what, f"{s.bits_per_second / 1e9:.2f}", s.reference, f"{s.ratio:.2f}", s.note)
            for s in report.streams
        ]
        text += "\n\n" + _aligned(streams)
    return f"{report.machine}\n\n{text}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


_BAR, _GAP, _LEFT, _WIDTH = 14, 6, 250, 420  # pixels


def as_svg(report: Report) -> str:
    """Bars of the ratios to the bare loop; the line is the loop itself, 1.0."""
    shown = [one for one in report.results if one.reference == "bare loop" and not one.what.startswith("echo")]
    most = max([1.25, *(min(one.ratio, 2.0) for one in shown)])
    height = 60 + len(shown) * (_BAR + _GAP)
    scale = _WIDTH / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 90}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="22" font-size="14">vecnet next to a bare recvmmsg/sendmmsg loop on the same sockets</text>',
    ]
    for index, one in enumerate(shown):
        parts += _bar(one, 40 + index * (_BAR + _GAP), scale, most)
    x = _LEFT + scale
    parts.append(f'<line x1="{x:.0f}" y1="32" x2="{x:.0f}" y2="{height - 16}" stroke="black" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x:.0f}" y="{height - 4}" text-anchor="middle">1.0: the bare loop</text></svg>')
    return "\n".join(parts) + "\n"


def _bar(one: Result, y: int, scale: float, most: float) -> list[str]:
    colour = {"transmit": "#4477aa", "receive": "#228833", "forward": "#aa3377"}.get(one.what, "#ccbb44")
    label = escape(f"{one.transport}, {one.what}, {one.length} bytes")
    end = _LEFT + min(one.ratio, most) * scale
    return [
        f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{label}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{end - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<text x="{end + 6:.0f}" y="{y + 11}">{one.ratio:.2f}</text>',
    ]


WRITERS = {"json": as_json, "svg": as_svg}
