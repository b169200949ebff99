"""What the host wing speaks of: a node is one interface (a veth pair is one too), a plan is steps between nodes.

All of it is plain data: it can be printed, compared and turned into JSON without touching the host.
"""

from __future__ import annotations

import string
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from vecnet import text
from vecnet.records import record
from vecnet.transports.link import Attributes

Key = tuple[str, str]  # the namespace's name ("" at home) and the interface's


UNSAID = {"unsaid": True}  # the metadata of a field of which None says nothing: not stated, or not to be read
ONCE = UNSAID | {"once": True}  # … of one that only its making looks at, and that nothing tells of later
UNNOTED = {"unnoted": True}  # … of one that a mark does not tell of


@record(frozen=True, slots=True)
class EndState:
    """One interface of the kernel, as it is or as it shall be, in iproute2's words."""

    netns: str | None
    ifname: str
    mtu: int
    up: bool
    addresses: tuple[str, ...] = ()
    bridge: str | None = None
    settings: tuple[str, ...] = field(default=(), metadata=UNNOTED)  # what somebody set, see settings.py: never wanted
    impair: str = field(default="", metadata=UNNOTED)  # what frames suffer that it sends: `vecnet impair` changes it
    mac: str | None = field(default=None, metadata=UNSAID)
    offload: bool | None = field(default=None, metadata=UNSAID)

    @property
    def key(self) -> Key:
        return (self.netns or "", self.ifname)


@record(frozen=True, slots=True)
class Node:
    """An interface as it is, or as it shall be: its own end, and a pair's second; its kind's values.

    `whole` is False for what a killed run left half made, which has no ends; `marked` where an end has lost the
    topology's group or alias: a run that was to delete it ended before, or somebody changed it. `in_use` says who uses
    it, and `made` is the fingerprint of what `up` made it, where that is known.
    """

    netns: str | None
    ifname: str
    kind: str
    link: str
    ends: tuple[EndState, ...] = ()
    values: Attributes = field(default_factory=Attributes)
    whole: bool = True
    marked: bool = True
    in_use: str = ""
    made: str = ""

    @property
    def key(self) -> Key:
        return (self.netns or "", self.ifname)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those of all its interfaces."""
        return (self.key, *(end.key for end in self.ends[1:]))

    def __str__(self) -> str:
        return f"{self.ifname} in {self.netns}" if self.netns else self.ifname


def differing(one: EndState | Attributes, other: EndState | Attributes) -> tuple[str, ...]:
    """The fields of a dataclass that differ. What either leaves unsaid does not; the order of a tuple means nothing."""
    if type(one) is not type(other) or one == other:
        return ()

    def differs(each: Field[object]) -> bool:
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        if "unsaid" in each.metadata and (mine is None or theirs is None):
            return False
        return bool(mine != theirs) and not (isinstance(mine, tuple) and set(mine) == set(theirs))

    return tuple(each.name for each in fields(one) if differs(each))


_NAMES = (  # of what people are shown, for the first end and for a pair's second
    {key: key for key in ("mtu", "up", "addresses", "bridge", "mac", "offload", "settings", "impair")},
    {
        "ifname": "peer",
        **{key: f"peer_{key}" for key in ("mac", "mtu", "up", "offload", "addresses", "bridge", "settings", "impair")},
    },
)


def _parts(node: Node) -> Iterator[tuple[EndState | Attributes, Mapping[str, str]]]:
    """The ends and the kind's values, each with its fields' names for people."""
    yield from zip(node.ends, _NAMES, strict=False)
    yield node.values, _shape(node.values).names


class _Shape(NamedTuple):
    """The fields of a dataclass: their own names, those that a mark tells of, those of which None says nothing."""

    names: Mapping[str, str]
    noted: frozenset[str]
    may_be_unsaid: frozenset[str]


_SHAPES: dict[type[object], _Shape] = {}  # asked for each of thousands of nodes


def _shape(part: EndState | Attributes) -> _Shape:
    if type(part) not in _SHAPES:
        every = fields(part)
        _SHAPES[type(part)] = _Shape(
            {each.name: each.name for each in every},
            frozenset(each.name for each in every if not {"once", "unnoted"} & each.metadata.keys()),
            frozenset(each.name for each in every if "unsaid" in each.metadata),
        )
    return _SHAPES[type(part)]


def changed(there: Node, goal: Node) -> tuple[str, ...]:
    """The names of all that differs."""
    found = [] if there.link == goal.link else ["link"]
    found += [] if there.marked else ["mark"]
    for (one, names), (other, _) in zip(_parts(there), _parts(goal), strict=False):
        differs = differing(one, other)
        found += [names[key] for key in names if key in differs]
    if not found and there.made not in ("", made_of(goal)):
        found.append("mark")  # what somebody changed is wanted by now
    return tuple(found)


def fingerprint(node: Node) -> str:
    """A few letters for each value of a node, in an order of their own, as its mark notes them."""
    return "".join(_letters(value) for value in _values(node).values())


def made_of(node: Node) -> str:
    """What the mark says of it: what it was made, of an interface that is there, and what it shall be, of another."""
    return node.made or fingerprint(node)


def drifted(node: Node) -> tuple[str, ...]:
    """The names of the values that are not what `up` made them, as far as the mark tells."""
    values = _values(node)
    if len(node.made) != _EACH * len(values):
        return ()
    were = (node.made[at : at + _EACH] for at in range(0, len(node.made), _EACH))
    pairs = ((name, was, _letters(value)) for (name, value), was in zip(values.items(), were, strict=True))
    return tuple(name for name, was, now in pairs if was != now and _UNSAID not in (was, now))


_EACH = 2  # letters for a value: one change in 4096 is not seen
_UNSAID = "-" * _EACH
_ALPHABET = f"{string.ascii_letters}{string.digits}._"


def _values(node: Node) -> dict[str, object]:
    """All that a mark can tell of, by name."""
    found: dict[str, object] = {"name": node.ifname, "netns": node.netns}
    for part, names in _parts(node):
        shape = _shape(part)
        for key, name in names.items():
            if key in shape.noted:
                value = getattr(part, key)
                found[name] = _UNSAID if value is None and key in shape.may_be_unsaid else value
    return found


@lru_cache(maxsize=1024, typed=True)  # most values are the same at thousands of links; True is not 1
def _letters(value: object) -> str:
    if value == _UNSAID:
        return _UNSAID
    text = repr(sorted(value) if isinstance(value, tuple) else value)
    number = zlib.crc32(text.encode())
    return _ALPHABET[number % 64] + _ALPHABET[number // 64 % 64]


def shown(node: Node) -> dict[str, object]:
    """All that is said of a node, by name."""
    found: dict[str, object] = {}
    for part, names in _parts(node):
        may_be_unsaid = _shape(part).may_be_unsaid
        for key in names:
            value = getattr(part, key)
            if value is not None or key not in may_be_unsaid:
                found[names[key]] = list(value) if isinstance(value, tuple) else value
    return found if node.marked else {**found, "mark": "its group or alias is not the topology's"}


class Action(StrEnum):
    """What a step does. A replaced node is deleted and made again; one that is kept is not wanted, but in use."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DELETE = "delete"
    KEEP = "keep"


@record(frozen=True, slots=True)
class Step:
    """One difference: `before` is None where something is made, `after` where it is removed."""

    action: Action
    before: Node | None
    after: Node | None
    changed: tuple[str, ...] = ()
    why: str = ""

    @property
    def node(self) -> Node:
        node = self.after or self.before
        assert node is not None
        return node

    @property
    def going(self) -> Node | None:
        """What the step removes, also to make it again."""
        return self.before if self.action in (Action.DELETE, Action.REPLACE) else None

    @property
    def coming(self) -> Node | None:
        """What the step makes, also again."""
        return self.after if self.action in (Action.CREATE, Action.REPLACE) else None

    @property
    def differences(self) -> Iterator[tuple[str, str, str]]:
        """The name of each value that changes, with what it is and shall be, for people."""
        if self.before and self.after:
            before, after = _comparable(self.before), _comparable(self.after)
            for name in self.changed:
                was = before.get(name, "of other values" if name == "mark" else None)
                yield name, _text(was), _text(after.get(name, _AS_MADE.get(name)))

    def as_json(self) -> dict[str, object]:
        node = self.node
        return {
            "action": self.action.value,
            "interface": node.ifname,
            "netns": node.netns,
            "kind": node.kind,
            "link": node.link,
            "before": _shown(self.before, self.changed),
            "after": _shown(self.after, self.changed),
            "why": self.why,
        }


_SIGNS = dict(zip(Action, ("+", "~", "±", "-", "="), strict=True))
_DONE = dict(zip(Action, ("made", "changed", "made again", "removed", "kept"), strict=True))


@record(frozen=True, slots=True)
class Plan:
    """What is to be done, or was done, for a topology."""

    topology: str
    steps: tuple[Step, ...] = ()
    unchanged: int = 0
    notes: tuple[str, ...] = ()  # what is to be known of what is not vecnet's to change

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that touch the host."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    @property
    def going(self) -> set[Key]:
        """The interfaces that are removed, also to be made again."""
        return {key for step in self.steps if step.going for key in step.going.keys}

    def as_json(self) -> dict[str, object]:
        return {
            "topology": self.topology,
            "unchanged": self.unchanged,
            "steps": [step.as_json() for step in self.steps],
            "notes": list(self.notes),
        }

    def _nothing(self) -> str:
        as_wanted = f", {_count(self.unchanged)} as wanted" if self.unchanged else ""
        return self._with_notes([f"{self.topology}: nothing to do{as_wanted}"])

    def _with_notes(self, lines: list[str]) -> str:
        return "\n".join(map(text.shown, [*lines, *(f"note: {note}" for note in self.notes)]))

    def describe(self) -> str:
        """The difference, for people."""
        if not self.steps:
            return self._nothing()
        lines = [line for step in self.steps for line in _described(step)]
        counts = Counter(step.action for step in self.steps)
        total = ", ".join(f"{counts[action]} to {action}" for action in _SIGNS if counts[action])
        return self._with_notes([*lines, f"{self.topology}: {total}, {self.unchanged} unchanged"])

    def summary(self) -> str:
        """What was done, in one line, with a line for each interface that was kept."""
        counts = Counter(step.action for step in self.steps)
        done = ", ".join(f"{counts[action]} {word}" for action, word in _DONE.items() if counts[action])
        if not done:
            return self._nothing()
        unchanged = f", {self.unchanged} unchanged" if self.unchanged else ""
        notes = [f"{step.node}: {step.why}" for step in self.steps if step.why]
        return self._with_notes([f"{self.topology}: {done}{unchanged}", *notes])


def _count(number: int) -> str:
    return f"{number} interface{'' if number == 1 else 's'}"


def _described(step: Step) -> Iterator[str]:
    node = step.node
    where = f" (network namespace {node.netns})" if node.netns else ""
    why = f": {step.why}" if step.why else ""
    link = f", {node.link}" if node.link else ""
    yield f"{_SIGNS[step.action]} {node.kind} {node.ifname}{where}{link}{why}"
    if step.action is Action.CREATE:
        yield from (f"    {key} {_text(value)}" for key, value in shown(node).items() if value not in (None, [], ""))
    else:
        yield from (f"    {key} {before} → {after}" for key, before, after in step.differences)


_AS_MADE = {"mark": "whole"}


def _text(value: object) -> str:
    if value is None or value in ([], ""):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(node: Node | None, changed: tuple[str, ...]) -> dict[str, object] | None:
    if node is None:
        return None
    values = _comparable(node)
    return {key: values.get(key) for key in changed} if changed else shown(node)


def _comparable(node: Node) -> dict[str, object]:
    """All in which a node may differ from another, by name: a link that is renamed keeps its interface."""
    return {**shown(node), "link": node.link}
