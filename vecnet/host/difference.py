"""The difference between what shall be and what is: pure, no call to the kernel but for what `Snapshot` has read.

1. What is wanted and not there is made; an interface of its name that is not this topology's is an error.
2. What is there and differs is changed in place, or deleted and made again where a value is fixed. A fixed value of
   an interface that a guest uses is an error: the guest would be cut off.
3. What is no longer wanted is deleted, and kept where a guest uses it.
4. What a killed run left half made is deleted, and made anew where it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from vecnet.errors import HostError, InUseError, NotOursError
from vecnet.host import existing
from vecnet.host.kinds import KINDS
from vecnet.host.mark import Mark
from vecnet.host.plan import Action, Key, Node, Plan, Step, changed
from vecnet.host.refusals import together
from vecnet.host.snapshot import Snapshot
from vecnet.transports.link import HostInterface

_HALF = "left half made by a run that was killed"


def difference(
    topology: str,
    wanted: Sequence[Node],
    found: Mapping[Key, Node],
    snapshot: Snapshot,
    interfaces: Sequence[HostInterface] = (),
) -> Plan:
    """The steps from `found` to `wanted`, beside those of `interfaces` that exist.

    Raises HostError, with all that stands in the way.
    """
    errors = [*existing.errors(interfaces, found, snapshot)]
    steps: list[Step] = []
    goals = {node.key: node for node in wanted}
    missing = {node.link: node for node in wanted if node.key not in found}
    for key in sorted(found.keys() - goals.keys()):
        node = found[key]
        was = missing.get(node.link) if node.link else None
        if was and node.in_use:
            moved = f"{node}: {node.in_use}, and somebody renamed or moved it: it should be {was}"
            errors.append(InUseError(moved, "stop it first"))
        elif was:
            steps.append(Step(Action.DELETE, node, None, why=f"somebody renamed or moved it; {was} is made anew"))
        elif node.in_use:
            why = f"no longer in the topology, but {node.in_use}: left alone"
            steps.append(Step(Action.KEEP, node, None, why=why))
        else:
            steps.append(Step(Action.DELETE, node, None, why="" if node.whole else _HALF))
    unchanged = 0
    for goal in wanted:
        try:
            step = _step(found.get(goal.key), goal)
        except InUseError as error:
            errors.append(error)
            continue
        if step is None:
            unchanged += 1
        else:
            steps.append(step)
    errors += _occupied(topology, steps, found, snapshot)
    errors += _bridges_missing(steps, {(one.netns or "", one.ifname) for one in interfaces}, wanted, snapshot)
    if errors:
        raise together(errors)
    return Plan(topology, tuple(steps), unchanged, tuple(existing.notes(interfaces, snapshot)))


def _step(there: Node | None, goal: Node) -> Step | None:
    """What makes a node of what is there; None where it is so. Raises InUseError."""
    if there is None:
        return Step(Action.CREATE, None, goal)
    if not there.whole:
        return Step(Action.REPLACE, there, goal, why=_HALF)
    names = changed(there, goal)
    if there.kind == goal.kind and KINDS[goal.kind].fixed.isdisjoint(names):
        return Step(Action.CHANGE, there, goal, names) if names else None
    if there.in_use:
        what = ", ".join(names) or "kind"
        raise InUseError(f"{there}: {there.in_use}, and its {what} cannot be changed under it", "stop it first")
    return Step(Action.REPLACE, there, goal, names)


def _occupied(
    topology: str, steps: Iterable[Step], found: Mapping[Key, Node], snapshot: Snapshot
) -> Iterator[HostError]:
    """Names that are to be made and belong to what stays."""
    going = {key for step in steps if step.going for key in step.going.keys}
    for node in filter(None, (step.coming for step in steps)):
        for key in node.keys:
            link = snapshot.named(key)
            if link is not None and (key[0], link.ifname) not in going:
                said = snapshot.view(key[0] or None).mark(link)
                whose, instead = _owner(topology, said, node.kind if key == node.key else "", ours=key in found)
                also = "" if link.ifname == key[1] else f", as an alternative name of {link.ifname},"
                yield NotOursError(f"{node}: an interface {key[1]} exists{also} and {whose}", instead)


def _owner(topology: str, said: Mark | None, kind: str, *, ours: bool) -> tuple[str, str]:
    """Whose an interface is, and what to do; it is never ours to remove."""
    use = ", or write existing: on to use it as it is" if kind in ("bridge", "tap", "veth") else ""
    if said is None:
        return "was not made by vecnet", f"choose another name{use}"
    if said.topology != topology:
        return f"belongs to the topology {said.topology}", "choose another name, or take that down" + (
            use if kind == "bridge" else ""
        )
    if ours:
        return f"belongs to the link {said.link} and is in use", "stop its guest"
    return "belongs to this topology in another network namespace", "take that down there"


def _bridges_missing(
    steps: Iterable[Step], named: Set[Key], wanted: Sequence[Node], snapshot: Snapshot
) -> Iterator[HostError]:
    made = {node.key for node in wanted if node.kind == "bridge"} | named
    for node in filter(None, (step.after for step in steps)):
        bridge = node.ends[0].bridge
        key = (node.netns or "", bridge or "")
        if bridge and key not in made:
            there = snapshot.at(key)
            if there is None or there.kind != "bridge":
                yield HostError(f"{node}: there is no bridge {bridge}", "declare it under `bridges:`")
