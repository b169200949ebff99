"""One option of a vec string: what it means, and how the guest's driver reads its value.

The driver (arch/um/drivers/vector_kern.c and vector_user.c) reads numbers in four ways. What a person wrote and what
the guest makes of it differ in places that are easy to miss, so each option states its reading, and what happens when
it fails.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from vecnet.kinds import Flag, Kind

OPTION = "option"  # the key of an Option in a dataclass field's metadata


class Severity(IntEnum):
    """How far a guest is from what was meant; from IGNORED on, it does not come up as meant."""

    OK = 0
    NOTE = 1  # as meant, but worth a word
    IGNORED = 2  # the guest passes over it
    FALLBACK = 3  # the guest uses another value
    DROPS = 4  # the device comes up and drops packets in silence
    REFUSED = 5  # the device does not exist, or cannot be brought up
    PANIC = 6  # bringing it up panics the guest kernel

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Effect:
    """What a guest does, in a sentence, and what to write instead."""

    severity: Severity
    message: str
    instead: str = ""
    tokens: tuple[str, ...] = ()  # the options that it is about


class Reading(Enum):
    """How the guest reads a value."""

    TEXT = "as it stands"
    DECIMAL = "base 10 only"
    SIGNED32 = "signed 32-bit, any base"
    UNSIGNED64 = "unsigned 64-bit, any base"
    TWICE = "base 10 when the socket is opened, any base when headers are formed"


@dataclass(frozen=True, slots=True)
class Option:
    """An option's declaration. `failure` is what the guest does when its reading of the value fails."""

    kind: Kind
    reading: Reading
    doc: str
    failure: Effect
    required: bool = False


def option(kind: Kind, reading: Reading, doc: str, failure: Effect | None = None, **default: Any) -> Any:
    """A dataclass field that declares an option. Without a default the option is required."""
    failure = failure or Effect(Severity.FALLBACK, "the guest falls back to its default")
    declared = Option(kind, reading, doc, failure, required=not default)
    return dataclasses.field(metadata={OPTION: declared}, **default)


def guest_number(reading: Reading, text: str) -> int | None:
    """The number that the guest reads from `text`, or None where its parse fails (lib/kstrtox.c)."""
    if reading is Reading.DECIMAL:
        return _kstrtox(text, bases=(10,), low=0, high=2**64 - 1)
    if reading is Reading.UNSIGNED64:
        return _kstrtox(text, bases=(8, 10, 16), low=0, high=2**64 - 1)
    return _kstrtox(text, bases=(8, 10, 16), low=-(2**31), high=2**31 - 1)


def _kstrtox(text: str, bases: tuple[int, ...], low: int, high: int) -> int | None:
    sign, digits = re.fullmatch(r"([+-]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    base = 10
    if 16 in bases and digits[:2].lower() == "0x":
        base, digits = 16, digits[2:]
    elif 8 in bases and len(digits) > 1 and digits[0] == "0":
        base = 8
    if not re.fullmatch({8: "[0-7]+", 10: "[0-9]+", 16: "[0-9a-fA-F]+"}[base], digits):
        return None
    if sign == "-" and low == 0:
        return None
    value = int(digits, base) * (-1 if sign == "-" else 1)
    return value if low <= value <= high else None


def meant(declared: Option, text: str) -> Any:
    """What a person means by `text`. A negative 32-bit number is its unsigned twin. Raises ValueError."""
    if isinstance(declared.kind, Flag) and re.fullmatch(r"0[xX]0*[01]|0+[01]", text):
        return declared.kind.parse(text[-1])
    if declared.reading is Reading.SIGNED32 and re.fullmatch(r"-[0-9]+", text) and not isinstance(declared.kind, Flag):
        value = int(text)
        if -(2**31) <= value < 0:
            return declared.kind.parse(str(value + 2**32))
    return declared.kind.parse(text)


def write(declared: Option, value: Any) -> str:
    """The text of `value` that the guest reads as meant."""
    if isinstance(value, bool):
        return str(int(value))
    if declared.reading is Reading.SIGNED32 and value > 0x7FFFFFFF:
        return str(value - 2**32)
    return str(value)


def read_by_guest(declared: Option, text: str, value: Any) -> Effect:
    """Compare the guest's reading of `text` with `value`, which is what was meant by it."""
    if declared.reading is Reading.TEXT:
        return Effect(Severity.OK, "")
    number = guest_number(declared.reading, text)
    as_meant = write(declared, value)
    instead = f"write {as_meant}"
    if declared.reading is Reading.TWICE:
        opened = guest_number(Reading.DECIMAL, text)
        if bool(opened) != bool(number):
            return Effect(
                Severity.DROPS,
                f"read in {declared.reading.value}: the socket is opened as {int(bool(opened))}, "
                f"the headers are formed as {int(bool(number))}",
                instead,
            )
        number = opened
    if number is None:
        return dataclasses.replace(declared.failure, instead=instead)
    wrap = 0xFFFFFFFF if declared.reading is Reading.SIGNED32 else 2**64 - 1
    if number & wrap != int(value) & wrap:
        return Effect(Severity.FALLBACK, f"the guest reads {number}", instead)
    return Effect(Severity.OK, "")
