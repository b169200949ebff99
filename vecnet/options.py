"""One option of a vec string: what it means, and how the guest's driver reads its value.

The driver (arch/um/drivers/vector_kern.c, vector_user.c and vector_transports.c) reads numbers in four ways. What a
person wrote and what the guest makes of it differ in places that are easy to miss, so each option states its reading,
and what the guest does where the reading fails. `Option.judge` lays the two beside each other.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from vecnet.errors import Refused
from vecnet.values import Flag, Kind

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
    options: tuple[str, ...] = ()  # those that it follows from, where they are several


FINE = Effect(Severity.OK, "")
_DEFAULT = Effect(Severity.FALLBACK, "the guest falls back to its default")
_TAKEN = Effect(Severity.FALLBACK, "the guest takes it all the same")


class Reading(Enum):
    """How the guest reads a value."""

    TEXT = "as it stands"
    DECIMAL = "base 10 only"
    SIGNED32 = "signed 32-bit, any base"
    UNSIGNED64 = "unsigned 64-bit, any base"
    TWICE = "base 10 when the socket is opened, any base when headers are formed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person means by a value, None where that cannot be told, and what the guest does with it."""

    value: Any
    effect: Effect = FINE
    unread: bool = False  # the guest makes nothing of the text: `effect` is the option's `failure`


@dataclass(frozen=True, slots=True)
class Option:
    """An option's declaration: its values, how the guest reads them, and what it does where something is amiss."""

    kind: Kind[object]
    reading: Reading
    doc: str
    failure: Effect  # the guest can make nothing of the value
    missing: Effect  # the option is not there, although it is needed
    outside: Effect  # the guest reads a number, but not one of the kind's
    default: Any  # dataclasses.MISSING where the option is required

    @property
    def required(self) -> bool:
        """Whether a string is incomplete without it."""
        return self.default is dataclasses.MISSING

    def write(self, value: Any) -> str:
        """The text of `value` that the guest reads as meant."""
        if isinstance(value, bool):
            return str(int(value))
        if self.reading is Reading.SIGNED32 and value > 0x7FFFFFFF:
            return str(value - 2**32)  # the kernel's parse fails above
        return str(value)

    def judge(self, text: str) -> Judgement:
        """What is meant by `text`, and what the guest does with it."""
        if self.reading is Reading.TEXT:
            return self._judge_text(text)
        number = guest_number(self.reading, text)
        twice = self.reading is Reading.TWICE
        opened, formed = _strtol(text) > 0, (number or 0) > 0
        if twice and opened and not formed:
            message = "the socket is opened with it and headers are formed without it: every packet is dropped"
            return Judgement(None, Effect(Severity.DROPS, message, "write 1, or leave it out"))
        try:
            value = self._meant(text)
        except Refused as error:
            return self._refuse(text, number, error)
        instead = f"write {self.write(value)}"
        if twice and formed and not opened:
            message = (
                "read in base 10 when the socket is opened, as 0, and in any base when headers are formed, as 1: "
                "the device cannot be opened, or no packet fits"
            )
            return Judgement(value, Effect(Severity.REFUSED, message, instead))
        if number is None:
            if value != self.default:
                return Judgement(value, dataclasses.replace(self.failure, instead=instead), unread=True)
            same = f"the guest cannot read {text!r}, and its default is the same"
            return Judgement(value, Effect(Severity.NOTE, same, instead), unread=True)
        if isinstance(self.kind, Flag) and number > 1:
            return Judgement(value, Effect(Severity.NOTE, f"the guest reads {number} as on", instead))
        return Judgement(value)

    def _judge_text(self, text: str) -> Judgement:
        try:
            return Judgement(self.kind.parse(text))
        except Refused as error:
            misread = self.kind.misread(text)
            if misread is None:
                return Judgement(None, _but(error, self.failure), unread=True)
            return Judgement(
                misread, Effect(Severity.FALLBACK, f"{error.message}; the guest takes it for {misread}", error.instead)
            )

    def _meant(self, text: str) -> Any:
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

    def _refuse(self, text: str, number: int | None, error: Refused) -> Judgement:
        expected = "write 1 or 0" if isinstance(self.kind, Flag) else f"write {self.kind.expects}"
        if number is None:
            return Judgement(None, _but(error, self.failure, expected), unread=True)
        if re.fullmatch(r"[+-]?0[0-7]+", text) and self.reading is not Reading.DECIMAL:
            message = f"a leading 0 makes it octal: the guest reads {number}"
            return Judgement(None, Effect(Severity.FALLBACK, message, f"write {number}, or it without the 0"))
        return Judgement(None, _but(error, self.outside, expected))


def _but(error: Refused, effect: Effect, instead: str = "") -> Effect:
    return Effect(effect.severity, f"{error.message}; {effect.message}", error.instead or instead)


def option(
    kind: Kind[object],
    reading: Reading,
    doc: str,
    failure: Effect = _DEFAULT,
    *,
    missing: Effect | None = None,
    outside: Effect = _TAKEN,
    default: Any = dataclasses.MISSING,
) -> Any:
    """A dataclass field that declares an option. Without a default the option is required.

    `missing` is what a guest does without an option that it needs; left out, the same as with a value that it cannot
    read.
    """
    declared = Option(kind, reading, doc, failure, missing or failure, outside, default)
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


def _strtol(text: str) -> int:
    """What strtol(3) reads in base 10: the digits that the text begins with."""
    found = re.match(r"[+-]?[0-9]{1,18}", text)
    return int(found.group()) if found else 0
