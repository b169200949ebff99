"""The ratios to the bare loop as a chart (SVG): a row a transport, a column a direction, a bar a length of frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from vecnet.bench.figures import Figure, Figures
from vecnet.bench.loads import LARGE

_COLUMNS = ("transmit", "receive", "forward")
_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#aa3377")  # of the lengths, shortest first
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 9, 8, 110, 200, 66  # pixels
_MOST = 1.5  # the ratio that fills a column; longer bars are cut there, their number says how long


def as_svg(report: Figures) -> str:
    """The ratios of `_COLUMNS`, as a picture. A bar longer than `_MOST` is cut there; its number is not."""
    shown = [one for one in report.results if one.reference == "bare loop" and one.what in _COLUMNS]
    lengths = sorted({one.length for one in shown})
    colours = {length: _COLOURS[index % len(_COLOURS)] for index, length in enumerate(lengths)}
    parts, y = [], _TOP
    for transport in dict.fromkeys(one.transport for one in shown):
        rows = [one for one in shown if one.transport == transport]
        bars = max(sum(one.what == what for one in rows) for what in _COLUMNS) * _BAR
        parts.append(_text(_LEFT - 8, y + bars / 2 + 4, transport, 'text-anchor="end"'))
        for column, what in enumerate(_COLUMNS):
            parts += _bars([one for one in rows if one.what == what], _left(column), y, colours)
        y += bars + _GAP
    for column, what in enumerate(_COLUMNS):
        x = _left(column)
        line = x + _WIDTH / _MOST
        parts.append(_text(x, _TOP - 8, what, 'font-weight="bold"'))
        parts.append(
            f'<line x1="{line:.0f}" y1="{_TOP - 4}" x2="{line:.0f}" y2="{y}" stroke="black" stroke-width="0.7"/>'
        )
        parts.append(_text(line, y + 12, "1.0", 'text-anchor="middle"'))
    for index, length in enumerate(lengths):
        x = 10 + index * 110
        parts.append(f'<rect x="{x}" y="32" width="10" height="10" fill="{colours[length]}"/>')
        parts.append(_text(x + 15, 41, "64 kB, whole" if length == LARGE else f"{length} bytes"))
    title = "vecnet's packets a second, next to a bare recvmmsg/sendmmsg loop (1.0) on the same sockets"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_left(len(_COLUMNS))}" height="{y + 20}" '
            'font-family="sans-serif" font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(10, 20, title, 'font-size="14"'),
            *parts,
            "</svg>\n",
        ]
    )


def _left(column: int) -> int:
    return _LEFT + column * (_WIDTH + 45)


def _bars(results: Sequence[Figure], x: int, y: int, colours: dict[int, str]) -> Iterator[str]:
    for index, one in enumerate(sorted(results, key=lambda one: one.length)):
        width = min(one.ratio, _MOST) / _MOST * _WIDTH
        top = y + index * _BAR
        yield f'<rect x="{x}" y="{top}" width="{width:.1f}" height="{_BAR - 1}" fill="{colours[one.length]}"/>'
        yield _text(x + width + 4, top + _BAR - 1, f"{one.ratio:.2f}", 'font-size="9"')


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(text)}</text>'
