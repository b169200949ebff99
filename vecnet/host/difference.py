"""The difference between what shall be and what is: pure, no call to the kernel but for what `Snapshot` has read.

1. What is wanted and not there is made; an interface of its name that is not this topology's is an error.
2. What is there and differs is changed in place, or deleted and made again where a value is fixed. A fixed value of
   an interface that a guest uses is an error: the guest would be cut off.
3. What is no longer wanted is deleted, and kept where a guest uses it.
4. What a killed run left half made is deleted, and made anew where it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vecnet.errors import HostError, InUseError, NotOursError
from vecnet.host.kinds import KINDS
from vecnet.host.plan import Key, Node, Plan, Step
from vecnet.host.snapshot import Snapshot
from vecnet.transports.link import HostInterface


def wanted_nodes(interfaces: Sequence[HostInterface]) -> list[Node]:
    """The nodes that a topology's interfaces ask for. Raises HostError, for an owner that does not exist, say."""
    return [_wanted(interface) for interface in interfaces]


def _wanted(interface: HostInterface) -> Node:
    kind = KINDS[interface.kind]
    values: dict[str, Any] = {
        "mtu": interface.mtu,
        "up": True,
        "addresses": list(interface.addresses),
        "bridge": interface.bridge,
    }
    if interface.mac is not None:
        values["mac"] = interface.mac.lower()
    if kind.offloads:
        values["offload"] = interface.offload
    return Node(interface.netns, interface.ifname, interface.kind, interface.link, {**values, **kind.wanted(interface)})


def difference(topology: str, wanted: Sequence[Node], found: Mapping[Key, Node], world: Snapshot) -> Plan:
    """The steps from `found` to `wanted`. Raises HostError, with all that stands in the way."""
    errors: list[HostError] = []
    steps: list[Step] = []
    unchanged = 0
    goals = {node.key: node for node in wanted}
    for key in sorted(found.keys() - goals.keys()):
        node = found[key]
        if node.in_use:
            steps.append(Step("keep", node, None, why=f"no longer in the topology, but {node.in_use}: left alone"))
        else:
            why = "" if node.whole else "left half made by a run that was killed"
            steps.append(Step("delete", node, None, why=why))
    for goal in wanted:
        there = found.get(goal.key)
        if there is None:
            steps.append(Step("create", None, goal))
        elif not there.whole:
            steps.append(Step("replace", there, goal, why="left half made by a run that was killed"))
        else:
            changed = _changed(there, goal)
            fixed = there.kind != goal.kind or not KINDS[goal.kind].fixed.isdisjoint(changed)
            if not changed and not fixed:
                unchanged += 1
            elif not fixed:
                steps.append(Step("change", there, goal, changed))
            elif there.in_use:
                what = ", ".join(changed) or "kind"
                errors.append(
                    InUseError(f"{there}: {there.in_use}, and its {what} cannot be changed under it; stop it first")
                )
            else:
                steps.append(Step("replace", there, goal, changed))
    errors += _occupied(topology, steps, found, world)
    errors += _bridges_missing(steps, wanted, world)
    if errors:
        raise together(errors)
    return Plan(topology, tuple(steps), unchanged)


def _changed(there: Node, goal: Node) -> tuple[str, ...]:
    """The names of values that differ; what either does not speak of does not."""
    changed = [] if there.link == goal.link else ["link"]
    if "mark" in there.values:
        changed.append("mark")
    for key, value in goal.values.items():
        if key == "mark":
            continue
        have = there.values.get(key, value)
        if key == "addresses":
            differs = set(have) != set(value)
        else:
            differs = have != value and not (have is None and key.endswith("offload"))
        if differs:
            changed.append(key)
    return tuple(changed)


def _occupied(topology: str, steps: Iterable[Step], found: Mapping[Key, Node], world: Snapshot) -> list[HostError]:
    """Names that are to be made and belong to what stays."""
    going = {
        (end.netns or "", end.ifname)
        for step in steps
        if step.action in ("replace", "delete") and step.before
        for end in (KINDS[step.before.kind].ends(step.before) if step.before.kind in KINDS else ())
    } | {step.before.key for step in steps if step.action in ("replace", "delete") and step.before}
    errors: list[HostError] = []
    for step in steps:
        if step.action not in ("create", "replace") or not step.after:
            continue
        for end in KINDS[step.after.kind].ends(step.after):
            view = world.view(end.netns)
            link = view.by_name.get(end.ifname)
            if link is None or (end.netns or "", end.ifname) in going:
                continue
            said = view.mark(link)
            if said is None:
                whose = "was not made by vecnet; rename one of the two, or remove it with `ip link del`"
            elif said.topology != topology:
                whose = f"belongs to the topology {said.topology}; rename one of the two, or take that down"
            elif (end.netns or "", end.ifname) in found:
                whose = f"belongs to the link {said.link} and is in use; stop its guest"
            else:
                whose = "belongs to this topology in another network namespace; take that down there"
            errors.append(NotOursError(f"{step.after}: an interface {end.ifname} exists and {whose}"))
    return errors


def _bridges_missing(steps: Iterable[Step], wanted: Sequence[Node], world: Snapshot) -> list[HostError]:
    made = {node.key for node in wanted if node.kind == "bridge"}
    errors: list[HostError] = []
    for step in steps:
        bridge = step.after.values.get("bridge") if step.after else None
        if not bridge or not step.after or (step.after.netns or "", bridge) in made:
            continue
        there = world.view(step.after.netns).by_name.get(bridge)
        if there is None or there.kind != "bridge":
            errors.append(HostError(f"{step.after}: there is no bridge {bridge}; declare it under `bridges:`"))
    return errors


def together(errors: Sequence[HostError]) -> HostError:
    """One error that says all; of their own class where they are of one."""
    if len(errors) == 1:
        return errors[0]
    classes = {type(error) for error in errors}
    problems = [problem for error in errors for problem in error.problems]
    return classes.pop()(problems) if len(classes) == 1 else HostError(problems)
