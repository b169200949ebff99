"""What is answered and said, and how the terminal shows it. No other file of this folder prints.

1. Every line for people passes through `shown` (text.py): what others wrote begins no line and no colour. Colours are
   `Styled`.
2. A character that the stream's encoding lacks is replaced by one like it, or escaped. It never ends a run.
3. Colours are for a terminal alone, unless NO_COLOR is set (no-color.org) or TERM is dumb.
4. Tables fit the terminal, or COLUMNS where a person says so. A pipe has no width: programs look for whole lines.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TextIO

import click

from vecnet.columns import Line, Styled
from vecnet.errors import VecnetError
from vecnet.text import shown

_ERRORS = "vecnet.like"
_LIKE = {"✓": "+", "✗": "x", "·": ".", "…": "...", "–": "-", "—": "-", "→": "->", "±": "+-", "─": "-"}


def answer(*lines: Line) -> None:
    """Print an answer's lines for people."""
    click.echo(_text(lines, sys.stdout), nl=False)


def emit(text: str) -> None:
    """Print an answer for programs, as it is. It is UTF-8 in any locale, since a kernel's names are bytes."""
    click.echo(text.encode(), nl=False)


def say(*lines: Line) -> None:
    """Print what is for people, not for programs, on stderr."""
    click.echo(_text(lines, sys.stderr), nl=False, err=True)


def show(error: VecnetError) -> None:
    """Say every problem, one a line, with its place first."""
    for problem in error.problems:
        place = Styled(f"{problem.where}: " if problem.where else "", bold=True)
        mend = Styled(f"; {problem.instead}" if problem.instead else "", "green")
        say([place, Styled("error: ", "red"), problem.message, mend])


def is_coloured(stream: TextIO) -> bool:
    """Whether colours are welcome there."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    """Whether the terminal shows text alone, a line after a line."""
    return os.environ.get("TERM") == "dumb"


def width(stream: TextIO) -> int | None:
    """The columns of a terminal, None where nothing limits a line."""
    if not stream.isatty():
        return None
    return stated_width() or os.get_terminal_size(stream.fileno()).columns or None


def stated_width() -> int | None:
    """The columns that a person says there are."""
    stated = os.environ.get("COLUMNS", "")
    return int(stated) or None if stated.isdecimal() else None


def prepare() -> None:
    """Let the standard streams show what they can of any character."""
    codecs.register_error(_ERRORS, _like)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)


def _like(error: UnicodeError) -> tuple[str, int]:
    """Text for what an encoding lacks: codecs(3), register_error."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_LIKE.get(char) or char.encode("unicode_escape").decode() for char in lacking), error.end


def _text(lines: tuple[Line, ...], stream: TextIO) -> str:
    coloured = is_coloured(stream)
    return "".join(f"{''.join(_part(part, coloured) for part in line)}\n" for line in map(_parts, lines))


def _parts(line: Line) -> Line:
    return [line] if isinstance(line, str) else line


def _part(part: str | Styled, coloured: bool) -> str:
    text = shown(str(part), sys.maxsize)
    if coloured and isinstance(part, Styled):
        return click.style(text, fg=part.colour, bold=part.bold or None)
    return text
