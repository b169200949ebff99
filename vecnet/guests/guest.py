"""A generation of guests: what a guest with this kernel does in each situation, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from vecnet.guests.situation import Case, Situation
from vecnet.options import Effect, Severity
from vecnet.records import record
from vecnet.values import Kind

ANY = "*"  # in a table: every option that has no row of its own


@record(frozen=True, slots=True)
class Does:
    """A row: how far the guest is from what was meant, and the sentence's end, with words in braces."""

    severity: Severity
    message: str
    word: str = ""  # of the kernel's command line, which makes it certain that the guest does as meant
    unopened: bool = False  # opening the device fails, whatever is mended outside


class Steps(dict[int, Does]):
    """A row for each range of numbers, by the lowest of the range."""

    def at(self, number: object) -> Does:
        """The row for a number; that of the lowest range where it is lower still."""
        assert isinstance(number, int)
        return self[max((low for low in self if low <= number), default=min(self))]


def fine(message: str) -> Does:
    return Does(Severity.OK, message)


def note(message: str, word: str = "") -> Does:
    return Does(Severity.NOTE, message, word)


def ignored(message: str) -> Does:
    return Does(Severity.IGNORED, message)


def fallback(message: str) -> Does:
    return Does(Severity.FALLBACK, message)


def drops(message: str) -> Does:
    return Does(Severity.DROPS, message)


def refused(message: str) -> Does:
    return Does(Severity.REFUSED, message)


def unopened(message: str) -> Does:
    return Does(Severity.REFUSED, message, unopened=True)


def panics(message: str) -> Does:
    return Does(Severity.PANIC, message)


Rows = Mapping[str, Does | Steps]  # by "transport.option", "option", "transport" or ANY, the first that fits
Misreading = Callable[[str], str | None]


@record(frozen=True, slots=True, eq=False)
class Guest:
    """A generation, by the first kernel version that is known to behave so.

    `tokens` is how many the driver has room for, `command_line` the bytes of a kernel's command line with its closing
    NUL, `mtu` what a guest takes, in bytes. `misreadings` has, for kinds of values, what a guest takes a text for that
    is none: another value, or None where it makes nothing of it. `lacks` names the transports that it has not,
    `legacy` the drivers of eth0=… that it has. `counts_all` tells whether the words that the kernel itself reads, such
    as mem=256M, count in the command line.
    """

    version: tuple[int, int]
    tokens: int
    command_line: int
    mtu: range
    misreadings: Mapping[type[Kind[object]], Misreading]
    does: Mapping[Situation, Rows]
    lacks: frozenset[str]
    legacy: frozenset[str]
    counts_all: bool

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    def __repr__(self) -> str:
        return f"<guest {self}>"

    def but(
        self,
        version: tuple[int, int],
        does: Mapping[Situation, Rows],
        *,
        misreadings: Mapping[type[Kind[object]], Misreading] | None = None,
        lacks: frozenset[str] | None = None,
        legacy: frozenset[str] | None = None,
        counts_all: bool | None = None,
    ) -> Guest:
        """A later generation, which differs from this one in these rows and steps, and in what else is stated."""
        rows = {situation: {**self.does.get(situation, {})} for situation in Situation}
        for situation, by_option in does.items():
            for key, row in by_option.items():
                older = rows[situation].get(key)
                both = isinstance(row, Steps) and isinstance(older, Steps)
                rows[situation][key] = Steps({**older, **row}) if both else row  # type: ignore[dict-item]
        return dataclasses.replace(
            self,
            version=version,
            does=rows,
            misreadings={**self.misreadings, **(misreadings or {})},
            lacks=self.lacks if lacks is None else lacks,
            legacy=self.legacy if legacy is None else legacy,
            counts_all=self.counts_all if counts_all is None else counts_all,
        )

    def row(self, transport: str, case: Case) -> tuple[str, Does]:
        """The row for a case, with a device of this transport, and its key. Raises LookupError where there is none."""
        rows = self.does.get(case.situation, {})
        for key in (f"{transport}.{case.option}", case.option, transport, ANY):
            if key in rows:
                break
        else:
            where = f"{transport}.{case.option}".strip(".")
            raise LookupError(f"the table of {self} does not say what a guest does: {case.situation.name} {where}")
        row = rows[key]
        return key, row.at(case.words["number"]) if isinstance(row, Steps) else row

    def effect(self, transport: str, case: Case) -> Effect:
        """What the guest does in a case, with a device of this transport. Raises LookupError where no row says it."""
        _, row = self.row(transport, case)
        return Effect(
            row.severity,
            case.lead + row.message.format_map(case.words),
            case.instead,
            case.options,
            word=row.word,
            unopened=row.unopened,
            lead=case.lead,
        )

    def misread(self, kind: Kind[object], text: str) -> str | None:
        """The value of `kind` that the guest takes a text for which is none; None where it makes nothing of it."""
        for one in type(kind).__mro__:
            if one in self.misreadings:
                value = self.misreadings[one](text)
                return value if value is not None and kind.accepts(value) else None
        return None
