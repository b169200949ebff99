"""Tables and paragraphs as lines of text that fit a width, which is None where nothing limits it: in a pipe, a file.

Nothing is ever left out. Columns that do not fit beside the others go to a second line, and a third, indented:

    transport  what      ns   Gbit/s            transport  what
    gre        transmit  200   40.00     ──>    gre        transmit
                                                   ns  Gbit/s
                                                  200   40.00

rich.table, which the progress bars' library has, breaks every cell into scraps instead, and takes a tenth of a second
to load.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from vecnet.records import record
from vecnet.text import shown

_GAP = 2  # spaces between columns
_INDENT = 2  # spaces before a row's further lines
_NARROWEST = 20  # no terminal that is looked at has fewer columns


@record(frozen=True, slots=True)
class Styled:
    """Text with a colour of `click.style`, and bold or not, which `str` and a pipe do without."""

    text: str
    colour: str | None = None
    bold: bool = False

    def __str__(self) -> str:
        return self.text


Part = str | Styled
Line = Sequence[Part]  # a str is one, too
Cell = Part | Sequence[Part]  # of several parts, each is kept whole where that can be, a space behind the one before it


def plain(lines: Sequence[Line]) -> str:
    """Lines without colours, as one text."""
    return "\n".join("".join(map(str, line)) for line in lines)


def table(
    rows: Sequence[Sequence[Cell]], width: int | None = None, *, margin: int = 0, right: Collection[int] = ()
) -> list[Line]:
    """`grouped`, in one list."""
    return [line for row in grouped(rows, width, margin=margin, right=right) for line in row]


def grouped(
    rows: Sequence[Sequence[Cell]], width: int | None = None, *, margin: int = 0, right: Collection[int] = ()
) -> list[list[Line]]:
    """For each row its lines, with the cells in columns, those of `right` aligned to the right. Short rows end early.

    `margin` spaces stand before every line.
    """
    cells = [[_words(cell) for cell in row] for row in rows]
    count = max(map(len, cells), default=0)
    widths = [max(_width(row[at]) for row in cells if at < len(row)) for at in range(count)]
    if width is not None:
        width = max(width, _NARROWEST) - margin
        widths = [min(one, width - _INDENT) for one in widths]
    bands = _bands(widths, width)
    groups: list[list[Line]] = []
    for row in cells:
        groups.append(lines := [])
        for number, band in enumerate(bands):
            folded = [_fold(row[at], widths[at]) if at < len(row) else [] for at in band]
            for piece in range(max(map(len, folded))):
                line: list[Part] = [" " * (margin + _INDENT if number else margin)]
                for at, pieces in zip(band, folded, strict=True):
                    words = pieces[piece] if piece < len(pieces) else []
                    space = " " * (widths[at] - _width(words))
                    gap = "" if at == band[0] else " " * _GAP
                    line += [gap, space, *_spaced(words)] if at in right else [gap, *_spaced(words), space]
                if any(str(part).strip() for part in line):
                    lines.append(_without_trailing_space(line))
    return groups


def paragraph(text: str, width: int | None = None, *, indent: str = "") -> list[Line]:
    """Lines of a sentence, all of them behind `indent`."""
    room = None if width is None else max(width, _NARROWEST) - len(indent)
    return [[indent, *_spaced(line)] for line in _fold([shown(text)], room)]


def _bands(widths: Sequence[int], width: int | None) -> list[list[int]]:
    """The columns of each of a row's lines."""
    bands: list[list[int]] = [[]]
    used = 0
    for at, one in enumerate(widths):
        gap = _GAP if bands[-1] else 0
        if width is not None and bands[-1] and used + gap + one > width:
            bands.append([])
            used, gap = _INDENT, 0
        bands[-1].append(at)
        used += gap + one
    return bands


def _words(cell: Cell) -> list[Part]:
    words = [cell] if isinstance(cell, str | Styled) else cell
    return [_like(word, shown(str(word))) for word in words]


def _like(part: Part, text: str) -> Part:
    """Another text in the style of `part`."""
    return Styled(text, part.colour, part.bold) if isinstance(part, Styled) else text


def _spaced(words: Sequence[Part]) -> list[Part]:
    return [part for word in words for part in (" ", word)][1:]


def _fold(words: Sequence[Part], room: int | None) -> list[list[Part]]:
    """A cell's lines, each with words that fit."""
    lines: list[list[Part]] = [[]]
    for word in words:
        for piece in _broken(word, room):
            if room is not None and lines[-1] and _width([*lines[-1], piece]) > room:
                lines.append([])
            lines[-1].append(piece)
    return lines


def _broken(word: Part, room: int | None) -> list[Part]:
    """A text that is too long by itself, broken at its spaces where that can be."""
    text = str(word)
    if room is None or _columns(text) <= room:
        return [word]
    import textwrap

    # a wide character takes two columns: with one among them, half as many fit for sure
    most = room if _columns(text) == len(text) else max(room // 2, 1)
    return [_like(word, piece) for piece in textwrap.wrap(text, most, break_on_hyphens=False)]


def _width(words: Sequence[Part]) -> int:
    return sum(_columns(str(part)) for part in _spaced(words))


def _columns(text: str) -> int:
    """The columns that a terminal gives a text (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _without_trailing_space(line: list[Part]) -> Line:
    while line and not str(line[-1]).strip():
        line.pop()
    if line:
        line[-1] = _like(line[-1], str(line[-1]).rstrip())
    return line
