"""Dataclasses from plain data that somebody else wrote: JSON of another process, of another machine, in a file.

Each value is of its field's type, or nothing is made at all: what uses it afterwards need not look again. There is
nothing else either, unless `more` is allowed, which is left out. Bytes are hexadecimal digits there: JSON has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Senseless(ValueError):
    """It is not what it should be; in a few words, which may be anybody's."""


def parsed(kind: type[T], text: str | bytes, *, more: bool = False) -> T:
    """One of these of its JSON. Raises Senseless."""
    try:
        return made(kind, json.loads(text), more=more)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, Senseless) else Senseless("it is no JSON") from None


def made(kind: type[T], told: object, *, more: bool = False) -> T:
    """One of these, a dataclass, of a mapping. Raises Senseless."""
    if not isinstance(told, Mapping):
        raise Senseless(f"{kind.__name__} is no mapping")
    given = {}
    hints = _hints(kind)  # type: ignore[arg-type]  # which mypy knows of no type variable
    for one in fields(kind):  # type: ignore[arg-type]  # of a class, too
        if one.name in told:
            given[one.name] = _value(hints[one.name], told[one.name], f"{kind.__name__}.{one.name}", more)
        elif one.default is MISSING and one.default_factory is MISSING:
            raise Senseless(f"{kind.__name__} has no {one.name}")
    if not more and len(given) != len(told):
        raise Senseless(f"{kind.__name__} has more than it should")
    return kind(**given)


@lru_cache
def _hints(kind: Hashable) -> Mapping[str, object]:
    return get_type_hints(kind)


def _value(hint: object, told: object, name: str, more: bool) -> object:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return told
    if origin in (Union, UnionType):
        return _of_one(inner, told, name, more)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(told, Mapping):
        return {_value(inner[0], key, name, more): _value(inner[1], value, name, more) for key, value in told.items()}
    if origin is tuple and inner[1:] == (...,) and isinstance(told, list | tuple):
        return tuple(_value(inner[0], one, name, more) for one in told)
    if isinstance(hint, type):
        return _plain(hint, told, name, more)
    raise Senseless(f"{name} is something else")


def _of_one(kinds: tuple[object, ...], told: object, name: str, more: bool) -> object:
    for kind in kinds:
        try:
            return _value(kind, told, name, more)
        except Senseless:
            continue
    raise Senseless(f"{name} is something else")


def _plain(kind: type, told: object, name: str, more: bool) -> object:
    if is_dataclass(kind):
        return made(kind, told, more=more)
    try:
        if issubclass(kind, Enum):
            return kind(told)
        if kind is bytes and isinstance(told, str):
            return bytes.fromhex(told)
        if kind is float and isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told):
            return float(told)
    except (ValueError, OverflowError):
        raise Senseless(f"{name} is something else") from None
    if kind in (str, int, bool, NoneType) and type(told) is kind:
        return told
    raise Senseless(f"{name} is something else")
