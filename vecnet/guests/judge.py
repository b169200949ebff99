"""What is meant by an option's text, laid beside what a guest makes of it."""

from __future__ import annotations

import re

from vecnet.errors import Refused
from vecnet.guests.guest import Guest
from vecnet.guests.situation import Case, Situation
from vecnet.options import Option, Reading, Value, guest_number, strtol
from vecnet.records import record
from vecnet.values import Flag


@record(frozen=True, slots=True)
class Judgement:
    """What a person means by a value, None where that cannot be told, and the case that the guest is in."""

    value: Value
    case: Case | None = None  # None where the guest takes it as meant

    @property
    def unread(self) -> bool:
        """Whether the guest makes nothing of the text."""
        return self.case is not None and self.case.situation in _UNREAD


_UNREAD = {Situation.UNREADABLE, Situation.UNREADABLE_TOO, Situation.UNREADABLE_DEFAULT}


def judge(guest: Guest, key: str, option: Option, text: str) -> Judgement:
    """What is meant by the `text` of the option `key`, and the case that it brings the guest into."""
    if option.reading is Reading.TEXT:
        return _judge_text(guest, key, option, text)
    number = guest_number(option.reading, text)
    twice = option.reading is Reading.TWICE
    opened, formed = strtol(text) > 0, (number or 0) > 0
    if twice and opened and not formed:
        return Judgement(None, Case(Situation.OPENED_WITH, key, instead="write 1, or leave it out"))
    try:
        value = option.meant(text)
    except Refused as error:
        return Judgement(None, _refused(key, option, text, number, error))
    instead = f"write {option.write(value)}"
    if twice and formed and not opened:
        return Judgement(value, Case(Situation.FORMED_WITH, key, instead=instead))
    if number is None and value != option.default:
        return Judgement(value, Case(Situation.UNREADABLE, key, instead=instead))
    if number is None:
        return Judgement(value, Case(Situation.UNREADABLE_DEFAULT, key, instead=instead, words={"text": text}))
    if isinstance(option.kind, Flag) and number > 1:
        return Judgement(value, Case(Situation.ANY_NUMBER, key, instead=instead, words={"number": number}))
    return Judgement(value)


def _judge_text(guest: Guest, key: str, option: Option, text: str) -> Judgement:
    try:
        return Judgement(option.kind.parse(text))
    except Refused as error:
        value = guest.misread(option.kind, text)
        situation = Situation.UNREADABLE if value is None else Situation.MISREAD
        return Judgement(value, Case(situation, key, f"{error.message}; ", error.instead, words={"value": value}))


def _refused(key: str, option: Option, text: str, number: int | None, error: Refused) -> Case:
    """The case of a number or a flag of which nobody can tell what is meant."""
    if number is not None and re.fullmatch(r"[+-]?0[0-7]+", text) and option.reading is not Reading.DECIMAL:
        instead = f"write {number}, or it without the 0"
        return Case(Situation.OCTAL, key, instead=instead, words={"number": number})
    expected = "1 or 0" if isinstance(option.kind, Flag) else option.kind.expects
    situation = Situation.UNREADABLE if number is None else Situation.OUTSIDE
    instead = error.instead or f"write {expected}"
    return Case(situation, key, f"{error.message}; ", instead, words={"number": number})
