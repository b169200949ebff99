"""What a plan touches, as it was before: enough to bring the host back, however far the plan was carried out.

It is plain data that survives a journey as JSON: whoever changes several hosts keeps it until all of them are done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from vecnet.errors import InputError
from vecnet.host.kinds import KINDS
from vecnet.host.plan import EndState, Key, Node, Plan
from vecnet.host.snapshot import is_link_local
from vecnet.records import record
from vecnet.transports.link import Attributes


@record(frozen=True, slots=True)
class Record:
    """The interfaces as they were, those that were to be touched, and the link-local addresses that somebody stated."""

    topology: str
    before: tuple[Node, ...] = ()
    touched: frozenset[Key] = frozenset()
    stated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, plan: Plan) -> Record:
        """What undoes a plan."""
        steps = plan.changes
        ends = [end for step in steps for node in (step.before, step.after) if node for end in node.ends]
        return cls(
            plan.topology,
            tuple(step.before for step in steps if step.before and step.before.whole),
            frozenset(step.node.key for step in steps),
            frozenset(address for end in ends for address in end.addresses if is_link_local(address)),
        )

    @property
    def namespaces(self) -> set[str]:
        """The named network namespaces that it is about."""
        return {netns for netns, _ in {*self.touched, *(key for node in self.before for key in node.keys)} if netns}

    def as_json(self) -> dict[str, object]:
        return {
            "topology": self.topology,
            "before": [{**asdict(node), "values_of": type(node.values).__name__} for node in self.before],
            "touched": sorted(map(list, self.touched)),
            "stated": sorted(self.stated),
        }

    @classmethod
    def from_json(cls, said: Any) -> Record:
        """The same again. Raises InputError for what is no such record."""
        try:
            return cls(
                str(said["topology"]),
                tuple(map(_node, said["before"])),
                frozenset((str(netns), str(ifname)) for netns, ifname in said["touched"]),
                frozenset(map(str, said["stated"])),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"undo: this is no record that vecnet made: {type(error).__name__} {error}"
            raise InputError(message, "give what `up` has returned, as it is") from None


def _node(said: Any) -> Node:
    values_of = _VALUES[said["values_of"]]
    known = {name: value for name, value in said.items() if name != "values_of"}
    if known["kind"] not in KINDS:
        raise ValueError(f"there is no kind {known['kind']}")
    ends = tuple(EndState(**_tupled(end)) for end in said["ends"])
    return Node(**{**known, "ends": ends, "values": values_of(**_tupled(said["values"]))})


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _classes(above: type[Attributes]) -> Iterable[type[Attributes]]:
    yield above
    for one in above.__subclasses__():
        yield from _classes(one)


_VALUES = {one.__name__: one for one in _classes(Attributes)}  # with slots a class is made twice: the second one counts
