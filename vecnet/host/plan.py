"""What the host wing speaks of: a node is one interface (a veth pair is one too), a plan is steps between nodes.

All of it is plain data: it can be printed, compared and turned into JSON without touching the host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, Any]
Key = tuple[str, str]  # the namespace's name ("" at home) and the interface's


@dataclass(frozen=True, slots=True)
class Node:
    """An interface as it is, or as it shall be. `values` are its properties in iproute2's words.

    `whole` is False for what a killed run left half made; `in_use` says who uses it, or is empty.
    """

    netns: str | None
    ifname: str
    kind: str
    link: str
    values: Values = field(default_factory=dict)
    whole: bool = True
    in_use: str = ""

    @property
    def key(self) -> Key:
        return (self.netns or "", self.ifname)

    def __str__(self) -> str:
        return f"{self.ifname} in {self.netns}" if self.netns else self.ifname


@dataclass(frozen=True, slots=True)
class Step:
    """One difference: `before` is None where something is made, `after` where it is removed.

    `action`: create, change, replace (deleted and made again), delete, or keep (no longer wanted, but in use).
    """

    action: str
    before: Node | None
    after: Node | None
    changed: tuple[str, ...] = ()
    why: str = ""

    @property
    def node(self) -> Node:
        node = self.after or self.before
        assert node is not None
        return node

    def as_json(self) -> dict[str, Any]:
        node = self.node
        return {
            "action": self.action,
            "interface": node.ifname,
            "netns": node.netns,
            "kind": node.kind,
            "link": node.link,
            "before": _shown(self.before, self.changed),
            "after": _shown(self.after, self.changed),
            "why": self.why,
        }


_SIGNS = {"create": "+", "change": "~", "replace": "±", "delete": "-", "keep": "="}
_DONE = {"create": "made", "change": "changed", "replace": "made again", "delete": "removed", "keep": "kept"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, or was done, for a topology."""

    topology: str
    steps: tuple[Step, ...] = ()
    unchanged: int = 0

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that touch the host."""
        return tuple(step for step in self.steps if step.action != "keep")

    def as_json(self) -> dict[str, Any]:
        return {
            "topology": self.topology,
            "unchanged": self.unchanged,
            "steps": [step.as_json() for step in self.steps],
        }

    def _nothing(self) -> str:
        as_wanted = f", {_count(self.unchanged)} as wanted" if self.unchanged else ""
        return f"{self.topology}: nothing to do{as_wanted}"

    def describe(self) -> str:
        """The difference, for people."""
        if not self.steps:
            return self._nothing()
        lines = [line for step in self.steps for line in _described(step)]
        counts = Counter(step.action for step in self.steps)
        total = ", ".join(f"{counts[action]} to {action}" for action in _SIGNS if counts[action])
        return "\n".join([*lines, f"{self.topology}: {total}, {self.unchanged} unchanged"])

    def summary(self) -> str:
        """What was done, in one line, with a line for each interface that was kept."""
        counts = Counter(step.action for step in self.steps)
        done = ", ".join(f"{counts[action]} {word}" for action, word in _DONE.items() if counts[action])
        if not done:
            return self._nothing()
        unchanged = f", {self.unchanged} unchanged" if self.unchanged else ""
        notes = [f"{step.node}: {step.why}" for step in self.steps if step.why]
        return "\n".join([f"{self.topology}: {done}{unchanged}", *notes])


def _count(number: int) -> str:
    return f"{number} interface{'' if number == 1 else 's'}"


def _described(step: Step) -> Iterable[str]:
    node = step.node
    where = f" (network namespace {node.netns})" if node.netns else ""
    why = f": {step.why}" if step.why else ""
    yield f"{_SIGNS[step.action]} {node.kind} {node.ifname}{where}, {node.link}{why}"
    if step.action == "create":
        yield from (f"    {key} {_text(value)}" for key, value in node.values.items() if value not in (None, [], ""))
    elif step.before and step.after:
        for key in step.changed:
            after = step.after.values.get(key, _AS_MADE.get(key))
            yield f"    {key} {_text(step.before.values.get(key))} → {_text(after)}"


_AS_MADE = {"mark": "whole"}


def _text(value: Any) -> str:
    if value is None or value in ([], ""):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _shown(node: Node | None, changed: tuple[str, ...]) -> dict[str, Any] | None:
    if node is None:
        return None
    return {key: node.values.get(key) for key in changed} if changed else dict(node.values)
