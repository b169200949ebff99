"""The vec string, `vecN:transport=…,option=value,…`: parse, format and explain. Nothing else knows the syntax.

How a guest reads one (arch/um/drivers/vector_kern.c and vector_user.c; measured on 6.1):

1. The text up to the first ":" names the device. The rest is cut at commas, each piece at its "=".
2. A second "=" inside a piece refuses the whole device. A piece without "=" or without a value is as good as absent.
3. At most 20 pieces: more overwrite memory.
4. Options compare whole, the first of two wins, unknown ones are passed over. The transport's value compares by
   prefix.

`explain` says this token by token, beside what was most likely meant. `parse` is `explain`, where every deviation is an
error.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vecnet.errors import Problem, VecStringError
from vecnet.options import Effect, Severity, meant, read_by_guest, write
from vecnet.transports import TRANSPORTS, Transport

MAX_TOKENS = 20  # MAXVARGS in the driver
MAX_UNIT = 9999
_FINE = Effect(Severity.OK, "")


@dataclass(frozen=True, slots=True)
class VecDevice:
    """A guest's NIC: vec`unit` with a transport and its options.

    `str()` is canonical, and always a string that a real guest takes as meant. Raises VecStringError.
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
        """Bytes by which an outer IP packet is larger than the packet inside the frame."""
        return self.transport.overhead

    def mirror(self) -> VecDevice:
        """The other end of the same wire; mirroring twice gives the same device."""
        return VecDevice(self.unit, self.transport.mirror())

    def __str__(self) -> str:
        return f"vec{self.unit}:" + ",".join(f"{key}={value}" for key, value in _tokens(self.transport))


def _tokens(transport: Transport) -> Iterator[tuple[str, str]]:
    """The canonical tokens: the transport, its own options in their declared order, then the common ones."""
    yield "transport", transport.name
    declared = transport.options()
    common = Transport.options()
    for key in [*(key for key in declared if key not in common), *common]:
        value = getattr(transport, key)
        default = transport.__dataclass_fields__[key].default
        if value != default:
            yield key, write(declared[key], value)


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the string and what the guest makes of it. `column` counts from 1."""

    text: str
    column: int
    effect: Effect = _FINE


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a guest reads a string: token by token, then what concerns several tokens or the whole.

    `device` is what was most likely meant and `mended` its canonical string; both are None where that cannot be told.
    """

    text: str
    tokens: tuple[Token, ...]
    effects: tuple[Effect, ...]
    device: VecDevice | None
    all_effects: tuple[Effect, ...] = field(init=False)

    def __post_init__(self) -> None:
        own = (token.effect for token in self.tokens)
        object.__setattr__(self, "all_effects", tuple(e for e in (*own, *self.effects) if e.severity > Severity.OK))

    @property
    def severity(self) -> Severity:
        """The worst of all effects."""
        return max((effect.severity for effect in self.all_effects), default=Severity.OK)

    @property
    def as_meant(self) -> bool:
        """Whether the guest comes up as meant."""
        return self.severity < Severity.IGNORED

    @property
    def mended(self) -> str | None:
        """The canonical string of what was meant."""
        return str(self.device) if self.device else None


def parse(text: str) -> VecDevice:
    """The device that `text` gives a guest. Raises VecStringError where the guest would not come up as meant."""
    explanation = explain(text)
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


def explain(text: str) -> Explanation:
    """What a guest does with `text`, token by token. Never raises: any text has an explanation."""
    head, colon, body = text.partition(":")
    unit = re.fullmatch(r"vec(0|[1-9][0-9]{0,3})", head)
    effects: list[Effect] = []
    if not colon or not unit:
        effects.append(
            Effect(
                Severity.REFUSED,
                f"{head!r} names no vector device, so the guest has none",
                "begin with vec0: and count up",
            )
        )
        if not colon:
            return Explanation(text, (), tuple(effects), None)
    space = re.search(r"\s", text)
    if space:
        message = f"white space at column {space.start() + 1} ends the string on a kernel's command line"
        effects.append(Effect(Severity.REFUSED, message, "leave it out"))

    pieces = _pieces(body, offset=len(head) + 1)
    transport, transport_effects = _transport(pieces)
    tokens, values = _read_tokens(pieces, transport, transport_effects)
    if len(pieces) > MAX_TOKENS:
        message = (
            f"{len(pieces)} tokens: beyond {MAX_TOKENS} the guest overwrites memory and cannot bring the device up"
        )
        effects.append(Effect(Severity.REFUSED, message, f"leave out what is default; {MAX_TOKENS} is the limit"))
    if "transport" not in (piece.partition("=")[0] for piece, _ in pieces):
        message = "no transport is named, so opening the device fails: Invalid argument"
        effects.append(Effect(Severity.REFUSED, message, f"add transport= with one of {', '.join(TRANSPORTS)}"))

    device = None
    if transport is not None:
        effects += _whole(transport, values, tokens)
        try:
            device = VecDevice(int(unit.group(1)) if unit else 0, transport(**values))
        except (VecStringError, TypeError):
            device = None  # the effects say what is wrong
    if device is not None and device.transport.mac is None and not any(p.startswith("mac=") for p, _ in pieces):
        effects.append(
            Effect(Severity.NOTE, "no mac: the guest has a random Ethernet address on every boot", "add mac=02:…")
        )
    return Explanation(text, tuple(tokens), tuple(effects), device)


def _near(word: str, known: Iterable[str], count: int) -> list[str]:
    import difflib  # for mistakes alone

    return difflib.get_close_matches(word, list(known), count)


def _pieces(body: str, offset: int) -> list[tuple[str, int]]:
    """The pieces between commas, each with its column. A trailing comma leaves no piece."""
    pieces = []
    column = offset + 1
    for piece in body.split(","):
        pieces.append((piece, column))
        column += len(piece) + 1
    if pieces[-1][0] == "":
        pieces.pop()
    return pieces


def _transport(pieces: list[tuple[str, int]]) -> tuple[type[Transport] | None, Effect]:
    """The transport that was meant, and what the guest does with the value that names it."""
    value = next((piece.partition("=")[2] for piece, _ in pieces if piece.startswith("transport=")), "")
    if value in TRANSPORTS:
        return TRANSPORTS[value], _FINE
    for name, transport in TRANSPORTS.items():
        if value.startswith(name):
            return transport, Effect(
                Severity.FALLBACK, f"compared by prefix: the guest opens {name}", f"write transport={name}"
            )
    known = f"the transports are {', '.join(TRANSPORTS)}"
    near = _near(value.lower(), TRANSPORTS, 1)
    instead = f"write transport={near[0]}" if near else known
    message = f"there is no transport {value!r}: opening the device fails"
    return TRANSPORTS[near[0]] if near else None, Effect(Severity.REFUSED, message, instead)


def _read_tokens(
    pieces: list[tuple[str, int]], transport: type[Transport] | None, transport_effect: Effect
) -> tuple[list[Token], dict[str, Any]]:
    """Judge every piece, and gather the values that were meant."""
    options = transport.options() if transport else Transport.options()
    seen: dict[str, str] = {}
    values: dict[str, Any] = {}
    tokens = []

    def judge(piece: str) -> Effect:
        key, equals, value = piece.partition("=")
        if "=" in value:
            message = "a second '=' in one value: the guest refuses the whole device"
            return Effect(Severity.REFUSED, message, "a value cannot hold '='")
        if not piece:
            return Effect(Severity.NOTE, "an empty token is passed over", "leave the second comma out")
        if not equals or not value:
            return Effect(
                Severity.IGNORED, "a token without a value is as good as absent", f"write {key}=…, or leave it out"
            )
        if key in seen:
            severity = Severity.NOTE if seen[key] == value else Severity.FALLBACK
            return Effect(severity, f"given twice, and the first one, {key}={seen[key]}, wins", "leave one out")
        seen[key] = value
        if key == "transport":
            return transport_effect
        if key not in options:
            return unknown(key, value)
        try:
            values[key] = meant(options[key], value)
        except ValueError as error:
            failure = options[key].failure
            return Effect(failure.severity, f"{error}: {failure.message}", f"{key} is {options[key].kind.expects}")
        return read_by_guest(options[key], value, values[key])

    def unknown(key: str, value: str) -> Effect:
        if transport is None:
            return Effect(Severity.IGNORED, "without a transport nothing reads this option")
        near = _near(key.lower().replace("_", ""), options, 1) or _near(key, options, 1)
        if not near:
            return Effect(Severity.IGNORED, f"{transport.name} knows no such option: it is ignored", "leave it out")
        if not any(piece.startswith(near[0] + "=") for piece, _ in pieces):
            with contextlib.suppress(ValueError):  # the mended name will show what is wrong with the value
                values[near[0]] = meant(options[near[0]], value)
        return Effect(
            Severity.IGNORED, f"{transport.name} knows no such option: it is ignored", f"write {near[0]}={value}"
        )

    for piece, column in pieces:
        tokens.append(Token(piece, column, judge(piece)))
    return tokens, values


def _whole(transport: type[Transport], values: dict[str, Any], tokens: list[Token]) -> Iterator[Effect]:
    """What concerns several options at once: those that are missing, and those that do not go together."""
    refused = {token.text.partition("=")[0] for token in tokens}
    complete = {key: field.default for key, field in transport.__dataclass_fields__.items()} | values
    missing = [key for key, declared in transport.options().items() if declared.required and key not in values]
    for key in missing:
        if key not in refused:
            failure = transport.options()[key].failure
            message = f"{transport.name} needs {key}: {failure.message.removeprefix('the parse fails, ')}"
            yield Effect(failure.severity, message, f"add {key}=, {transport.options()[key].doc}", (key,))
    if missing:
        return
    derived = transport.derived(complete)
    for key, value in derived.items():
        if key not in values:
            failure = transport.options()[key].failure
            instead = f"add {key}={write(transport.options()[key], value)}"
            yield Effect(
                failure.severity, f"without {key} {failure.message.removeprefix('read as 0: ')}", instead, (key,)
            )
        elif values[key] != value:
            yield Effect(
                Severity.DROPS,
                f"{key}={write(transport.options()[key], values[key])} does not fit the addresses",
                "",
                (key,),
            )
    yield from transport.effects(complete | derived)
