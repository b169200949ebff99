"""The ratios to the bare loop as a chart (SVG): a row a transport, a column a direction, a bar a length of frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vecnet.bench.figures import Figure, Figures
from vecnet.bench.loads import LARGE
from vecnet.svg import COLOURS, box, line, picture, text

_COLUMNS = ("transmit", "receive", "forward")
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 9, 8, 110, 200, 66  # pixels
_MOST = 1.5  # the ratio that fills a column; longer bars are cut there, their number says how long


def as_svg(report: Figures) -> str:
    """The ratios of `_COLUMNS`, as a picture. A bar longer than `_MOST` is cut there; its number is not."""
    shown = [one for one in report.results if one.reference == "bare loop" and one.what in _COLUMNS]
    lengths = sorted({one.length for one in shown})
    colours = {length: COLOURS[index % len(COLOURS)] for index, length in enumerate(lengths)}
    parts, y = [], _TOP
    for transport in dict.fromkeys(one.transport for one in shown):
        rows = [one for one in shown if one.transport == transport]
        bars = max(sum(one.what == what for one in rows) for what in _COLUMNS) * _BAR
        parts.append(text(_LEFT - 8, y + bars / 2 + 4, transport, 'text-anchor="end"'))
        for column, what in enumerate(_COLUMNS):
            parts += _bars([one for one in rows if one.what == what], _left(column), y, colours)
        y += bars + _GAP
    for column, what in enumerate(_COLUMNS):
        x = _left(column)
        even = x + _WIDTH / _MOST
        parts.append(text(x, _TOP - 8, what, 'font-weight="bold"'))
        parts.append(line([(even, _TOP - 4), (even, y)], style='stroke-width="0.7"'))
        parts.append(text(even, y + 12, "1.0", 'text-anchor="middle"'))
    for index, length in enumerate(lengths):
        x = 10 + index * 110
        parts.append(box(x, 32, 10, 10, colours[length]))
        parts.append(text(x + 15, 41, "64 kB, whole" if length == LARGE else f"{length} bytes"))
    title = "vecnet's packets a second, next to a bare recvmmsg/sendmmsg loop (1.0) on the same sockets"
    heading = text(10, 20, title, 'font-size="14"')
    return picture(_left(len(_COLUMNS)), y + 20, [heading, *parts])


def _left(column: int) -> int:
    return _LEFT + column * (_WIDTH + 45)


def _bars(results: Sequence[Figure], x: int, y: int, colours: dict[int, str]) -> Iterator[str]:
    for index, one in enumerate(sorted(results, key=lambda one: one.length)):
        width = min(one.ratio, _MOST) / _MOST * _WIDTH
        top = y + index * _BAR
        yield box(x, top, width, _BAR - 1, colours[one.length])
        yield text(x + width + 4, top + _BAR - 1, f"{one.ratio:.2f}", 'font-size="9"')
