"""Dataclasses from what others wrote: of the right types, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecnet.plain import Senseless, made, parsed


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    name: str
    raw: bytes = b""


@dataclass(frozen=True)
class Outer:
    number: int
    share: float = 0.5
    on: bool = False
    colour: Colour = Colour.RED
    inner: Inner | None = None
    every: tuple[Inner, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    whatever: object = None


WHOLE = """{"number": 3, "share": 1, "on": true, "colour": "red", "inner": {"name": "x", "raw": "00ff"},
    "every": [{"name": "y"}], "counts": {"a": 1}, "whatever": [1, {}]}"""


def test_what_fits_is_made() -> None:
    expected = Outer(3, 1.0, True, Colour.RED, Inner("x", b"\0\xff"), (Inner("y"),), {"a": 1}, [1, {}])
    assert parsed(Outer, WHOLE) == expected
    for text in (WHOLE.replace('"share"', '"new": 1, "share"'), WHOLE.replace('"name": "y"', '"name": "y", "new": 1')):
        with pytest.raises(Senseless, match="has more than it should"):
            parsed(Outer, text)
        assert parsed(Outer, text, more=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", "null", "{}", "[" * 100_000, '{"number": 3', '{"a": ' * 100_000, b"\xff\xfe{"),
        *('{"number": "3"}', '{"number": true}', '{"number": 3.0}', '{"number": null}', '{"number": Infinity}'),
        *(f'{{"number": 1, "share": {value}}}' for value in ("NaN", "Infinity", "true", '"1"', "1" + "0" * 400)),
        *(f'{{"number": 1, "on": {value}}}' for value in ("1", "null", '"on"')),
        *(f'{{"number": 1, "colour": {value}}}' for value in ('"blue"', "[]", "{}")),
        *(f'{{"number": 1, "inner": {value}}}' for value in ("[]", "{}", '{"name": 1}', '{"name": "", "raw": "x"}')),
        *(f'{{"number": 1, "every": {value}}}' for value in ("{}", "null", "[null]", '"ab"')),
        *(f'{{"number": 1, "counts": {value}}}' for value in ("[]", '{"a": "1"}', '{"a": null}')),
    ],
    ids=lambda text: text[:30] if isinstance(text, str) else "bytes",
)
def test_what_does_not_is_senseless(text: str | bytes) -> None:
    with pytest.raises(Senseless):
        parsed(Outer, text)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Outer.__dataclass_fields__, "name", "raw"]), inner, max_size=8)
    ),
)


@given(ANYTHING)
def test_fuzz_nothing_else_is_raised_and_nothing_else_is_made(told: object) -> None:
    try:
        found = made(Outer, told)
    except Senseless:
        return
    assert type(found.number) is int
    assert type(found.share) is float
    assert type(found.on) is bool
    assert all(isinstance(one.name, str) for one in (*found.every, *([found.inner] if found.inner else [])))
    assert all(type(count) is int for count in found.counts.values())
