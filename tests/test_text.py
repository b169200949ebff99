"""What others wrote is shown in one line, escaped and of bounded length; and so is every error."""

from __future__ import annotations

import dataclasses
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecnet.errors import HostError, InputError, Position, Problem
from vecnet.text import LONGEST, a, shown
from vecnet.topology import loads
from vecnet.transports import TRANSPORTS

# C0, DEL, C1, line and paragraph separators, bidi controls, zero widths, a byte that was no UTF-8, a lone surrogate
CONTROLS = "\x00\a\b\t\n\r\x1b\x7f\x85\x9b\xad\u061c\u200b\u200e\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\udcff\ud800"


@pytest.mark.parametrize("char", CONTROLS)
def test_a_control_character_is_escaped(char: str) -> None:
    text = shown(f"a{char}b")
    assert text == f"a{char.encode('unicode_escape').decode()}b"
    assert text.isprintable()


def test_what_can_be_shown_is_left() -> None:
    for text in ("", "plain", "größe 東京 ✓ …", "C:\\path '\"$", "a b"):
        assert shown(text) == text


LONG_TEXTS = st.text(alphabet=CONTROLS + "aé", min_size=LONGEST, max_size=4 * LONGEST)


@given(st.text(st.characters(), max_size=40) | LONG_TEXTS)
def test_any_text_is_one_printable_line_and_stays_as_it_is(text: str) -> None:
    once = shown(text)
    assert once.isprintable()
    assert len(once) <= LONGEST
    assert shown(once) == once
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in once)


def test_a_long_text_is_cut_in_the_middle() -> None:
    assert shown("x" * LONGEST) == "x" * LONGEST
    cut = shown(f"{'x' * 2**24} is not a number")
    assert len(cut) <= LONGEST
    assert cut.startswith("xxx")
    assert cut.endswith("xxx is not a number")
    assert cut.count("…") == 1
    assert shown("\n" * 9999, 20) == shown("\n" * 99, 20)


def test_no_error_can_forget_it() -> None:
    hostile = "\x1b[31mred\nerror: forged"
    problem = Problem(hostile, hostile, Position(hostile, 1, 2))
    for error in (InputError([problem]), HostError(hostile, hostile)):
        assert str(error).isprintable()
        for one in error.problems:
            assert one.message == r"\x1b[31mred\nerror: forged"
            assert one.instead == r"\x1b[31mred\nerror: forged"
    assert problem.where is not None
    assert problem.where.file == hostile  # for programs
    assert dataclasses.replace(problem, where=None) == Problem(hostile, hostile)


def test_a_value_of_a_megabyte_is_cut() -> None:
    for text in (
        f"links: [{{transport: tap, depth: {'9' * 2**20}, endpoints: [a:vec0, host:tap0]}}]",
        f"links: [{{transport: {'t' * 2**20}, endpoints: [a:vec0, host:tap0]}}]",
        f"links: [{{transport: tap, endpoints: [a:vec0, 'host:{'x' * 2**20}']}}]",
        f"{'k' * 2**20}: 1",
        f"links: !<{'y' * 2**20}> []",
        f"links: [{{transport: tap, mac: *{'z' * 2**20}}}]",
    ):
        with pytest.raises(InputError) as caught:
            loads(text)
        for problem in caught.value.problems:
            assert len(str(problem)) < 3 * LONGEST


def test_names_have_the_article_that_they_are_spoken_with() -> None:
    spoken = "a bess, an fd, a gre, a hybrid, an l2tpv3, a raw, a tap, a vde"
    assert ", ".join(a(name) for name in sorted(TRANSPORTS)) == spoken
