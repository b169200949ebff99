"""One option of a vec string: what it means, and how the guest's driver reads its value.

The driver (arch/um/drivers/vector_kern.c, vector_user.c and vector_transports.c) reads numbers in four ways, the same
in all generations. What a person wrote and what the guest makes of it differ in places that are easy to miss, so each
option states its reading.
"""

from __future__ import annotations

import dataclasses
import re
from enum import Enum, IntEnum
from typing import TypeVar, overload

from vecnet.records import record
from vecnet.values import Flag, Kind

Value = str | int | bool | None  # of an option; None where it is left out and has no default
V = TypeVar("V", str, int, bool)

OPTION = "option"  # the key of an Option in a dataclass field's metadata


class Severity(IntEnum):
    """How far a guest is from what was meant. Up to NOTE it comes up as meant, from IGNORED on it does not."""

    OK = 0
    NOTE = 1  # as meant, but worth a word
    IGNORED = 2  # the guest passes over it
    FALLBACK = 3  # the guest uses another value
    DROPS = 4  # the device comes up and drops packets in silence
    REFUSED = 5  # the device does not exist, or cannot be brought up
    PANIC = 6  # bringing it up panics the guest kernel

    def __str__(self) -> str:
        return self.name.lower()


@record(frozen=True, slots=True)
class Effect:
    """What a guest does, in a sentence, and what to write instead.

    Where generations of guests part, `parts` has what each of them does, by their versions, and the rest the worst.
    """

    severity: Severity
    message: str
    instead: str = ""
    options: tuple[str, ...] = ()  # those that it follows from, where they are several
    word: str = ""  # of the kernel's command line, without which the guest is not sure to do as meant
    unopened: bool = False  # opening the device fails, whatever is mended outside
    lead: str = ""  # the sentence's beginning, which says what is amiss, and is the same for all guests
    parts: tuple[tuple[tuple[str, ...], Effect], ...] = ()


FINE = Effect(Severity.OK, "")


class Reading(Enum):
    """How the guest reads a value."""

    TEXT = "as it stands"
    DECIMAL = "base 10 only"
    SIGNED32 = "signed 32-bit, any base"
    UNSIGNED64 = "unsigned 64-bit, any base"
    TWICE = "base 10 when the socket is opened, any base when headers are formed"


@record(frozen=True, slots=True)
class Option:
    """An option's declaration: its values, how the guest reads them, and what they mean."""

    kind: Kind[Value]
    reading: Reading
    doc: str
    other: str  # the option that has this one's value at the wire's other end; "" where it is the same one
    default: Value
    required: bool  # whether a string is incomplete without it

    def write(self, value: Value) -> str:
        """The text of `value` that the guest reads as meant."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return str(int(value))
        if self.reading is Reading.SIGNED32 and isinstance(value, int) and value > 0x7FFFFFFF:
            return str(value - 2**32)  # the kernel's parse fails above
        return str(value)

    def meant(self, text: str) -> Value:
        """What a person means by a number or a flag. Raises Refused.

        A negative 32-bit number is its unsigned twin, which is how high ones must be written. Leading zeros are octal
        to some readings and to some people, so they mean nothing where the guest does not read base 10 only.
        """
        if isinstance(self.kind, Flag):
            if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text):
                return int(text, 16) != 0  # whichever its base is
            return self.kind.parse(text)
        if self.reading is Reading.DECIMAL and re.fullmatch(r"0[0-9]+", text):
            return self.kind.parse(text.lstrip("0") or "0")
        if self.reading is Reading.SIGNED32 and text.startswith("-"):
            twin = guest_number(self.reading, text)
            if twin:
                return self.kind.parse(str(twin + 2**32))
        return self.kind.parse(text)


class _Required:
    """What stands for the default of an option that has none."""


_REQUIRED = _Required()


@overload
def option(kind: Kind[V], reading: Reading, doc: str, *, other: str = ...) -> V: ...
@overload
def option(kind: Kind[V], reading: Reading, doc: str, *, other: str = ..., default: V) -> V: ...
@overload
def option(kind: Kind[V], reading: Reading, doc: str, *, other: str = ..., default: None) -> V | None: ...
def option(
    kind: Kind[Value], reading: Reading, doc: str, *, other: str = "", default: Value | _Required = _REQUIRED
) -> object:
    """A dataclass field that declares an option. Without a default the option is required."""
    if isinstance(default, _Required):
        return dataclasses.field(metadata={OPTION: Option(kind, reading, doc, other, None, required=True)})
    declared = Option(kind, reading, doc, other, default, required=False)
    return dataclasses.field(metadata={OPTION: declared}, default=default)


def guest_number(reading: Reading, text: str) -> int | None:
    """The number that the guest's kernel reads from `text`, or None where its parse fails."""
    if reading is Reading.DECIMAL:
        return kstrtox(text, 0, 2**64 - 1, any_base=False)
    if reading is Reading.UNSIGNED64:
        return kstrtox(text, 0, 2**64 - 1)
    return kstrtox(text, -(2**31), 2**31 - 1)


def kstrtox(text: str, low: int, high: int, *, any_base: bool = True) -> int | None:
    """What lib/kstrtox.c reads: the whole text or None; with `any_base`, 0x… is base 16 and 0… base 8."""
    sign, digits = re.fullmatch(r"([+-]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    base = 10
    if any_base and digits[:2].lower() == "0x":
        base, digits = 16, digits[2:]
    elif any_base and len(digits) > 1 and digits[0] == "0":
        base = 8
    if not re.fullmatch({8: "[0-7]+", 10: "[0-9]+", 16: "[0-9a-fA-F]+"}[base], digits):
        return None
    if (sign == "-" and low == 0) or len(digits.lstrip("0")) > 22:  # 22 octal digits hold 64 bits
        return None
    value = int(digits, base) * (-1 if sign == "-" else 1)
    return value if low <= value <= high else None


def strtol(text: str) -> int:
    """What strtol(3) reads in base 10: the digits that the text begins with."""
    found = re.match(r"[+-]?[0-9]{1,18}", text)
    return int(found.group()) if found else 0
