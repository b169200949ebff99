"""The vec string, `vecN:transport=…,option=value,…`: parse, format and explain. Nothing else knows the syntax.

How a guest reads one (arch/um/drivers/vector_kern.c and vector_user.c):

1. White space ends the string on the kernel's command line.
2. The text up to the first ":" names the device, by a number in any base. The rest is cut at commas, each piece at
   its "=".
3. A second "=" inside a piece refuses the whole device. A piece without "=", or last and without a value, is as good
   as absent.
4. There is room for a fixed number of pieces.
5. Options compare whole, the first of two wins, unknown ones are passed over. The transport's value compares by
   prefix.

`explain` says this token by token, beside what was most likely meant. What a guest does where the two part is said in
`vecnet/guests/`. `parse` is `explain`, where every deviation is an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from vecnet.errors import Problem, VecStringError
from vecnet.guests import GENERATIONS, Case, Guest, Situation
from vecnet.guests.agreed import agreed, united
from vecnet.guests.judge import Judgement, judge
from vecnet.guests.kernel import EVERY, Kernel, asked
from vecnet.options import FINE, Effect, Option, Severity, Value, kstrtox
from vecnet.records import record
from vecnet.transports import TRANSPORTS, Transport
from vecnet.values import ends_word

MAX_UNIT = 9999


@dataclass(frozen=True, slots=True)
class VecDevice:
    """A guest's NIC: vec`unit`, 0 to 9999, with a transport and its options; a value that can be compared and hashed.

    `str()` is canonical, and always a string that a real guest takes as meant; `parse` is its inverse. Raises
    VecStringError. Source: HOWTO, "Configuring vector transports".
    """

    unit: int
    transport: Transport

    def __post_init__(self) -> None:
        if not 0 <= self.unit <= MAX_UNIT:
            raise VecStringError(f"vec{self.unit}: the number of a device is from 0 to {MAX_UNIT}")

    @property
    def ifname(self) -> str:
        """The device's name in the guest."""
        return f"vec{self.unit}"

    @property
    def overhead(self) -> int:
        """Bytes by which an outer IP packet is larger than the packet inside the frame; 0 where there is none."""
        return self.transport.overhead

    @property
    def words(self) -> tuple[str, ...]:
        """What the guest's command line needs beside the string, such as init_on_alloc=1."""
        return self.transport.words(GENERATIONS)

    def mirror(self) -> VecDevice:
        """The other end of the same wire; mirroring twice gives the same device."""
        return VecDevice(self.unit, self.transport.mirror())

    def __str__(self) -> str:
        values = vars(self.transport)
        declared = _in_order(self.transport.name)
        tokens = [f"{key}={option.write(values[key])}" for key, default, option in declared if values[key] != default]
        return ",".join((f"vec{self.unit}:transport={self.transport.name}", *tokens))


@cache
def _in_order(transport: str) -> list[tuple[str, Value, Option]]:
    """A transport's own options with their defaults, in their declared order, then the common ones."""
    declared, common = TRANSPORTS[transport].options(), Transport.options()
    keys = [*(key for key in declared if key not in common), *common]
    return [(key, declared[key].default, declared[key]) for key in keys]


@record(frozen=True, slots=True)
class Token:
    """One piece of the string and what the guest makes of it. `column` counts from 1."""

    text: str
    column: int
    effect: Effect = FINE


@record(frozen=True, slots=True)
class Explanation:
    """How guests read a string: token by token, then what concerns several tokens or the whole.

    `device` is what was most likely meant and `mended` its canonical string; both are None where that cannot be told,
    or where none of the guests can do it. `kernels` names the generations in question, and `words` what their command
    line needs beside the string.
    """

    text: str
    tokens: tuple[Token, ...]
    effects: tuple[Effect, ...]
    device: VecDevice | None
    kernels: tuple[str, ...]

    @property
    def severity(self) -> Severity:
        """The worst of all effects."""
        own = (token.effect for token in self.tokens)
        return max((effect.severity for effect in (*own, *self.effects)), default=Severity.OK)

    @property
    def as_meant(self) -> bool:
        """Whether the guests come up as meant."""
        return self.severity < Severity.IGNORED

    @property
    def mended(self) -> str | None:
        """The canonical string of what was meant."""
        return str(self.device) if self.device else None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a kernel's command line that make it certain that the device does as meant."""
        return tuple(dict.fromkeys(effect.word for effect in self.effects if effect.word))


def parse(text: str, kernel: str | None = None) -> VecDevice:
    """The device that `text`, `vecN:transport=…,option=value,…`, gives a guest.

    Raises VecStringError where a guest would not come up as meant, with every reason and the mended string. `kernel` is
    as in `explain`.
    """
    explanation = explain(text, kernel)
    if explanation.device is not None and explanation.as_meant:
        return explanation.device
    problems = [
        Problem(f"{token.text!r}: {token.effect.message}", token.effect.instead)
        for token in explanation.tokens
        if token.effect.severity >= Severity.IGNORED
    ]
    problems += [Problem(e.message, e.instead) for e in explanation.effects if e.severity >= Severity.IGNORED]
    if explanation.mended:
        problems.append(Problem("the whole string, mended", f"write {explanation.mended}"))
    raise VecStringError(problems)


def explain(text: str, kernel: str | None = None) -> Explanation:
    """What guests do with `text`, token by token: any text has an explanation.

    `kernel` is the version that they boot, such as 7.2, or a kernel's binary, which is asked. Without it, all
    generations are in question that have the string's transport. Raises InputError where the kernel is none.
    """
    return explained(text, EVERY if kernel is None else asked(kernel))


def explained(text: str, kernel: Kernel) -> Explanation:
    """The same for a kernel that is known already."""
    readings = {guest: _Reading(text, guest) for guest in GENERATIONS}
    # what was meant does not depend on who reads it
    device = next((reading.device for reading in readings.values() if reading.device is not None), None)
    name = next((reading.transport.name for reading in readings.values() if reading.transport), "")
    having = kernel.which_has(name)
    of_kernel = {guest: readings[guest] for guest in having.guests}
    (columns, *_) = (reading.tokens for reading in of_kernel.values())
    tokens = tuple(
        Token(text, column, agreed({guest: reading.tokens[place][2] for guest, reading in of_kernel.items()}))
        for place, (text, column, _) in enumerate(columns)
    )
    effects = united({guest: reading.effects for guest, reading in of_kernel.items()})
    effects += (_lacking(guest, name) for guest in kernel.guests if guest not in having.guests)
    if device is not None and any(name in guest.lacks for guest in having.guests):
        device = None
    if device is not None and device.transport.mac is None:
        case = Case(Situation.NO_MAC, "mac", "no mac: ", "add mac=02:…")
        effects.append(agreed({guest: guest.effect(name, case) for guest in having.guests}))
    if kernel.note:
        effects.append(Effect(Severity.NOTE, kernel.note))
    found = tuple(effect for effect in effects if effect.severity > Severity.OK)
    return Explanation(text, tokens, found, device, tuple(map(str, having.guests)))


def _lacking(guest: Guest, transport: str) -> Effect:
    """What is worth a word about a generation that is in question only where no kernel is stated."""
    effect = guest.effect(transport, Case(Situation.NOT_A_TRANSPORT, "", f"{guest} has no transport {transport}: "))
    return dataclasses.replace(effect, severity=Severity.NOTE, instead="boot a later kernel")


class _Reading:
    """How one generation reads a string."""

    def __init__(self, text: str, guest: Guest) -> None:
        self.effects: dict[object, Effect] = {}  # of several tokens or the whole, by what is amiss
        self.device: VecDevice | None = None  # what was meant
        self.transport: type[Transport] | None = None
        self._guest = guest
        string = self._trim(text)
        unit, begin, case = _head(string)
        self._add(case)
        pieces = _pieces(string, begin, first_column=text.find(string) + begin + 1)
        reader = _Reader(pieces, guest)
        self.transport = reader.transport
        self.tokens = reader.tokens
        if _overflows(pieces, guest.tokens):
            self._add(Case(Situation.TOKENS, instead="leave out what is default"))
        if "transport" not in reader.found:
            instead = f"add transport= with one of {', '.join(TRANSPORTS)}"
            self._add(Case(Situation.NO_TRANSPORT, instead=instead))
        if self.transport is not None:
            if reader.is_opened:
                for case in _together(self.transport, reader.found, reader.values):
                    if reader.untold.isdisjoint(case.options):
                        self._add(case)
            if not reader.untold and reader.is_complete:
                with contextlib.suppress(VecStringError):  # the effects say what is wrong
                    self.device = VecDevice(unit, self.transport(**reader.meant))  # type: ignore[arg-type]
        if any(effect.unopened for effect in self._all()):
            self._add(Case(Situation.FAILED_OPEN))

    @property
    def severity(self) -> Severity:
        return max((effect.severity for effect in self._all()), default=Severity.OK)

    def _all(self) -> Iterator[Effect]:
        yield from (effect for _, _, effect in self.tokens)
        yield from self.effects.values()

    def _add(self, case: Case | None) -> None:
        if case is not None:
            name = self.transport.name if self.transport else ""
            self.effects[case.situation, case.option, case.lead] = self._guest.effect(name, case)

    def _trim(self, text: str) -> str:
        """The string without what a kernel's command line takes off."""
        string = text.strip(" \t\n\v\f\r")
        if len(string) > 1 and string[0] == string[-1] == '"':
            string = string[1:-1]
        if string != text:
            self._add(Case(Situation.UNSEEN))
        if '"' in string:
            self._add(Case(Situation.QUOTE, instead="leave it out"))
        space = next((place for place, char in enumerate(string) if ends_word(char)), None)
        if space is not None:
            words = {"char": string[space], "before": string[:space]}
            effect = self._guest.effect("", Case(Situation.SPACE, instead="leave it out", words=words))
            severity = max(effect.severity, _Reading(string[:space], self._guest).severity)
            self.effects[Situation.SPACE] = dataclasses.replace(effect, severity=severity)
        return string


def _head(string: str) -> tuple[int, int, Case | None]:
    """The device's number, where its options begin, and what is amiss with the text before them."""
    name, colon = re.match(r"([^:=,]*)([:=,]?)", string).groups()  # type: ignore[union-attr]
    begin = len(name) + len(colon)
    number = kstrtox(name.removeprefix("vec"), 0, 2**32 - 1) if name.startswith("vec") else None
    first = "begin with vec0: and count up"
    if number is None and colon == ":":
        return 0, begin, Case(Situation.NOT_A_DEVICE, instead=first, words={"name": name})
    if number is None:
        return 0, 0, Case(Situation.NO_DEVICE, instead="begin with vec0:")
    if number > MAX_UNIT:
        signed = number - 2**32 if number >= 2**31 else number  # as the guest prints it
        words = {"name": name, "number": signed, "last": MAX_UNIT}
        return 0, begin, Case(Situation.LARGE_UNIT, instead=first, words=words)
    if colon != ":":
        return number, begin, Case(Situation.NO_COLON, instead=f"write vec{number}:", words={"name": name})
    if name == f"vec{number}":
        return number, begin, None
    meant = int(name[3:]) if re.fullmatch("vec[0-9]+", name) else number
    situation = Situation.SAME_NUMBER if meant == number else Situation.OTHER_BASE
    return meant, begin, Case(situation, instead=f"write vec{meant}:", words={"number": number})


def _pieces(string: str, begin: int, first_column: int) -> list[tuple[str, int]]:
    """The pieces between commas, each with its column. A trailing comma leaves no piece."""
    pieces = []
    column = first_column
    for piece in string[begin:].split(","):
        pieces.append((piece, column))
        column += len(piece) + 1
    if pieces[-1][0] == "":
        pieces.pop()
    return pieces


def _overflows(pieces: list[tuple[str, int]], slots: int) -> bool:
    """Whether a piece begins behind the last of the driver's slots; one without "=" leaves its slot to the next."""
    slot = 0
    for piece, _ in pieces:
        if slot == slots:
            return True
        slot += "=" in piece
    return False


class _Reader:
    """Reads the pieces of a string as a guest does."""

    def __init__(self, pieces: list[tuple[str, int]], guest: Guest) -> None:
        self._guest = guest
        self.found: dict[str, str] = {}  # the text of each option that the guest finds: the first one's
        self.transport: type[Transport] | None  # the one that was meant
        self.values: dict[str, Value] = {}  # the values of the transport's options
        self.meant: dict[str, Value] = {}  # the same, and those of misspelt options
        self.untold: set[str] = set()  # the keys of tokens of which nobody can tell what was meant
        self.tokens: list[tuple[str, int, Effect]] = []  # each with its column

        tokens = [(piece.strip(), column) for piece, column in pieces]
        owners = {}  # the place of the token that the guest finds for each option
        for place, (token, _) in enumerate(tokens):
            key, equals, value = token.partition("=")
            if equals and (value or place < len(tokens) - 1) and key not in self.found:
                self.found[key] = value
                owners[key] = place
        self.transport, self._transport_case = _transport(self.found.get("transport", ""), guest)
        self.is_opened = self._does(self._transport_case).severity < Severity.REFUSED
        self._options = (self.transport or Transport).options()
        self._judged = self._judge()
        for place, (token, column) in enumerate(tokens):
            is_found = owners.get(token.partition("=")[0]) == place
            self.tokens.append((token, column, self._does(self._case(token, is_found))))

    @property
    def is_complete(self) -> bool:
        """Whether every option that the transport needs was meant to be there."""
        return all(key in self.meant for key, declared in self._options.items() if declared.required)

    def _does(self, case: Case | None) -> Effect:
        return FINE if case is None else self._guest.effect(self.transport.name if self.transport else "", case)

    def _judge(self) -> dict[str, Judgement]:
        """The transport's options; what a guest does with one that it cannot read may depend on the others."""
        judged = {
            key: judge(self._guest, key, self._options[key], text)
            for key, text in self.found.items()
            if key in self._options
        }
        unread = {key for key, judgement in judged.items() if judgement.unread}
        for key, judgement in judged.items():
            case = judgement.case
            if self.transport is not None and case is not None and case.situation is Situation.UNREADABLE:
                situation = self.transport.unread(key, unread)
                judged[key] = Judgement(judgement.value, dataclasses.replace(case, situation=situation))
            if judgement.value is None:
                self.untold.add(key)
            else:
                self.values[key] = self.meant[key] = judgement.value
        return judged

    def _case(self, token: str, is_found: bool) -> Case | None:
        """What is amiss with a token; `is_found` tells whether it is the one that the guest takes for its option."""
        key, equals, value = token.partition("=")
        if "=" in value:
            self.untold.add(key)
            return Case(Situation.SECOND_EQUALS, instead="a value cannot hold '='")
        if not token:
            return Case(Situation.NOTHING, instead="leave the second comma out")
        if not equals or not (is_found or value):
            return Case(Situation.NO_VALUE, key, instead=f"write {key}=…, or leave it out")
        if not is_found:
            situation = Situation.REPEATED if value == self.found[key] else Situation.TWICE
            words = {"first": f"{key}={self.found[key]}"}
            return Case(situation, key, instead="leave one out", words=words)
        if key == "transport":
            return self._transport_case
        return self._judged[key].case if key in self._judged else self._unknown(key, value)

    def _unknown(self, key: str, value: str) -> Case:
        """An option that the transport does not have: most likely misspelt, or another transport's."""
        if self.transport is None:
            return Case(Situation.UNREAD, key)
        lead = f"{self.transport.name} knows no such option"
        others = [name for name in TRANSPORTS if key in TRANSPORTS[name].options()]
        if others:
            lead = f"{lead}, but {' and '.join(others)} {'does' if len(others) == 1 else 'do'}: "
            return Case(Situation.UNKNOWN, key, lead, "leave it out")
        near = _near(key.lower().replace("_", ""), self._options) or _near(key.lower(), self._options)
        if near is None:
            return Case(Situation.UNKNOWN, key, f"{lead}: ", "leave it out")
        if near not in self.found:
            self.meant[near] = judge(self._guest, near, self._options[near], value).value
            if self.meant[near] is None:
                self.untold.add(key)
        return Case(Situation.UNKNOWN, key, f"{lead}: ", f"write {near}={value}")


def _transport(value: str, guest: Guest) -> tuple[type[Transport] | None, Case | None]:
    """The transport that was meant, and what is amiss with the value that names it."""
    for name, transport in TRANSPORTS.items():
        if value.startswith(name) and name in guest.lacks:
            lead = f"{guest} has no transport {name}: "
            return transport, Case(Situation.NOT_A_TRANSPORT, "", lead, "boot a later kernel")
        if value == name:
            return transport, None
        if value.startswith(name):
            return transport, Case(Situation.PREFIX, instead=f"write transport={name}", words={"name": name})
    lead = f"there is no transport {value!r}: "
    near = _near(value.lower(), TRANSPORTS)
    if near is None:
        return None, Case(Situation.NOT_A_TRANSPORT, "", lead, f"the transports are {', '.join(TRANSPORTS)}")
    return TRANSPORTS[near], Case(Situation.NOT_A_TRANSPORT, "", lead, f"write transport={near}")


def _near(word: str, known: Iterable[str]) -> str | None:
    import difflib  # for mistakes alone

    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


def _together(transport: type[Transport], found: Mapping[str, str], values: Mapping[str, Value]) -> Iterator[Case]:
    """What concerns several options at once: those that are missing, and those that do not go together."""
    options = transport.options()
    for key, declared in options.items():
        if declared.required and key not in found:
            lead = f"{transport.name} needs {key}: "
            yield Case(Situation.MISSING, key, lead, f"add {key}=, {declared.doc}")
    if any(declared.required and key not in values for key, declared in options.items()):
        return
    complete = {key: values.get(key, declared.default) for key, declared in options.items()}
    derived = transport.derived(complete)
    for key, value in derived.items():
        token = f"{key}={options[key].write(value)}"
        if key not in found:
            yield Case(Situation.MISSING, key, f"without {key} ", f"add {token}")
        elif key in values and values[key] != value:
            lead = f"{key}={found[key]} does not fit the addresses: "
            yield Case(Situation.MISSING, key, lead, f"write {token}")
    yield from transport.cases(complete | derived)
