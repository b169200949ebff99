"""Tables fit the width that they are given, and leave nothing out."""

from __future__ import annotations

from unicodedata import combining, east_asian_width

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.test_bench import REPORT as FIGURES
from tests.loopback.test_loopback import REPORT as VERDICTS
from vecnet.bench.table import as_lines as figures
from vecnet.columns import Cell, Styled, grouped, paragraph, plain, table
from vecnet.loopback.report import as_lines as verdicts

WORDS = st.text(st.sampled_from("ab é東\u0301\x1b\n"), max_size=30)
CELLS: st.SearchStrategy[Cell] = WORDS | st.builds(Styled, WORDS) | st.lists(WORDS, max_size=5)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=4)


def columns(text: str) -> int:
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def letters(text: str) -> list[str]:
    return sorted(char for char in text if not char.isspace())


@given(ROWS, st.integers(20, 90), st.integers(0, 4))
def test_any_table_fits_and_leaves_nothing_out(rows: list[list[Cell]], width: int, margin: int) -> None:
    whole = plain(table(rows))
    fitting = plain(table(rows, width, margin=margin, right={1}))
    for line in fitting.split("\n"):
        assert columns(line) <= width
        assert line == line.rstrip()
        assert not line or line.startswith(" " * margin)
        assert line.isprintable()
    assert letters(fitting) == letters(whole)
    assert len(grouped(rows, width)) == len(rows)


def test_columns_stand_under_each_other_whatever_their_characters() -> None:
    rows: list[tuple[str | Styled, ...]] = [
        ("name", "n", "state"),
        ("東京", "5", "up"),
        ("e\u0301", "12", Styled("down", "red")),
        ("x",),
    ]
    assert plain(table(rows, right={1})).split("\n") == [
        "name   n  state",
        "東京   5  up",
        "e\u0301     12  down",
        "x",
    ]


def test_what_does_not_fit_goes_to_the_next_line_in_its_own_columns() -> None:
    rows = [("transport", "what", "ns", "Gbit/s"), ("gre", "transmit", "200", "40.00")]
    assert plain(table(rows, 21, right={2, 3})).split("\n") == [
        *("transport  what", "   ns  Gbit/s"),
        *("gre        transmit", "  200   40.00"),
    ]


def test_a_cell_of_several_words_is_broken_between_them() -> None:
    signs: list[str | Styled] = [Styled("✓ open", "green"), Styled("✗ frames", "red"), "? mtu"]
    assert plain(table([("x", signs)])) == "x  ✓ open ✗ frames ? mtu"
    assert plain(table([("x", signs)], 20)).split("\n") == ["x", "  ✓ open ✗ frames", "  ? mtu"]
    assert Styled("✗ frames", "red") in table([("x", signs)], 20)[1]


def test_a_paragraph_hangs_behind_its_indent() -> None:
    assert plain(paragraph("no frame came at all", 20, indent="    ")).split("\n") == [
        "    no frame came at",
        "    all",
    ]
    assert plain(paragraph("one\nline", None, indent=" ")) == " one\\nline"


@pytest.mark.parametrize("width", [40, 80])
def test_every_table_of_a_command(width: int) -> None:
    """Those of status and check are tested in a terminal: tests/cli/."""
    for fitting, whole in (
        (verdicts(VERDICTS, verbose=True, width=width), verdicts(VERDICTS, verbose=True)),
        (figures(FIGURES, width), figures(FIGURES)),
    ):
        assert max(map(len, plain(fitting).split("\n"))) <= width
        assert letters(plain(fitting)) == letters(plain(whole))
