"""What the kernel would refuse, found before it is touched."""

from __future__ import annotations

from collections.abc import Sequence

from vecnet.errors import HostError, KernelLacksError
from vecnet.host.difference import together
from vecnet.host.kinds import KINDS
from vecnet.host.model import Node, Plan
from vecnet.host.world import World


def refuse_impossible(plan: Plan, world: World) -> None:
    """Raise HostError, with all that the kernel would refuse of a plan."""
    new = [step.after for step in plan.steps if step.action in ("create", "replace") and step.after]
    errors: list[HostError] = []
    errors += lacking(new, world)
    if errors:
        raise together(errors)


def lacking(new: Sequence[Node], world: World) -> list[HostError]:
    """Kinds that are to be made and that this kernel does not have."""
    errors: list[HostError] = []
    for name, netns in sorted({(node.kind, node.netns or "") for node in new}):
        kind = KINDS[name]
        if kind.lacking(netns or None, world):
            users = ", ".join(str(node) for node in new if node.kind == name)
            modules = " ".join(kind.modules)
            errors.append(
                KernelLacksError(
                    f"this kernel has no {name} interfaces, which {users} would be; load its module with: "
                    f"modprobe -a {modules} (or boot a kernel that has {' and '.join(kind.modules)})"
                )
            )
    return errors
