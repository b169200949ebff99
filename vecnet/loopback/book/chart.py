"""What was measured as a chart (SVG), a row a link: frames a second by size, and loss by load.

Source: RFC 2544, sections 26.1 and 26.3, which ask for these two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vecnet.loopback.book import KEYS
from vecnet.loopback.book.figures import MISSING
from vecnet.loopback.verdict import Verdicts
from vecnet.svg import COLOURS, box, line, picture, text

_WIDTH, _HEIGHT, _LEFT, _GAP, _TOP, _ROW = 320, 180, 80, 240, 70, 290  # pixels
_DASHED = 'stroke-dasharray="5 3"'
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Curve:
    words: str
    points: Points
    colour: str
    style: str = ""


@dataclass(frozen=True)
class _Panel:
    """Curves with axes, which begin at 0."""

    title: str
    across: str
    curves: Sequence[_Curve]
    most: tuple[float, float]
    unit: str = field(default="", kw_only=True)

    def drawn(self, left: float, top: float) -> Iterator[str]:
        bottom = top + _HEIGHT
        yield text(left, top - 10, self.title, 'font-weight="bold"')
        yield line([(left, top), (left, bottom), (left + _WIDTH, bottom)])
        for share in (0.0, 0.5, 1.0):
            yield text(left - 6, bottom - share * _HEIGHT + 4, self._label(share * self.most[1]), 'text-anchor="end"')
            place = left + share * _WIDTH
            yield text(place, bottom + 16, f"{share * self.most[0]:.0f}", 'text-anchor="middle"')
        yield text(left + _WIDTH / 2, bottom + 34, self.across, 'text-anchor="middle"')
        for number, curve in enumerate(self.curves):
            places = [
                (left + x / self.most[0] * _WIDTH, bottom - min(1.0, y / self.most[1]) * _HEIGHT)
                for x, y in curve.points
            ]
            yield line(places, curve.colour, curve.style)
            yield from (box(x - 1.5, y - 1.5, 3, 3, curve.colour) for x, y in places)
            height = top + 12 * number + 4
            yield line([(left + _WIDTH + 10, height), (left + _WIDTH + 34, height)], curve.colour, curve.style)
            yield text(left + _WIDTH + 40, height + 4, curve.words, 'font-size="10"')

    def _label(self, value: float) -> str:
        return f"{value:,.0f}{self.unit}"


def as_svg(report: Verdicts) -> str:
    """A picture of every link that was measured."""
    parts = [text(10, 20, f"{report.name}: frames by size, and loss by load", 'font-size="14"')]
    top = _TOP
    for link in report.links:
        measured = {int(one.probe): one.figures for one in link.results if "frame_bytes" in one.figures}
        if not measured:
            continue
        parts.append(text(10, top - 28, f"{link.label}, {link.transport}: {link.note}"))
        for panel, left in ((_rates(measured), _LEFT), (_losses(measured), _LEFT + _WIDTH + _GAP)):
            parts += panel.drawn(left, top)
        top += _ROW
    return picture(2 * (_LEFT + _WIDTH + _GAP) - _LEFT, top, parts)


def _rates(measured: Mapping[int, Mapping[str, float]]) -> _Panel:
    curves = []
    for number, key in enumerate(KEYS):
        for name, style in (("ndr", ""), ("pdr", _DASHED)):
            points = [(size, figures[f"{key}_{name}_frames_per_s"]) for size, figures in measured.items()]
            curves.append(_Curve(f"{name.upper()}, {key}", points, COLOURS[2 * number], style))
    highest = max(y for curve in curves for _, y in curve.points)
    return _Panel("frames a second", "bytes of a frame", curves, (max(measured), highest or 1.0))


def _losses(measured: Mapping[int, Mapping[str, float]]) -> _Panel:
    curves = []
    for number, (size, figures) in enumerate(measured.items()):
        for key, style in zip(KEYS, ("", _DASHED), strict=True):
            before = f"{key}_{MISSING}"
            points = [
                (float(name.removeprefix(before)), 100 * share)
                for name, share in figures.items()
                if name.startswith(before)
            ]
            curves.append(_Curve(f"{size} bytes, {key}", points, COLOURS[number % len(COLOURS)], style))
    return _Panel("what does not come", "load, % of what the tester sends", curves, (100.0, 100.0), unit=" %")
