"""A wire that is impaired while it runs: the one step that does so, and nothing else of its interface."""

from __future__ import annotations

from dataclasses import replace

from vecnet.errors import HostError, NotOursError, Problem
from vecnet.host import as_netem
from vecnet.host.nodes import found_nodes
from vecnet.host.plan import Action, Step
from vecnet.host.snapshot import Snapshot
from vecnet.impairment import Impairment
from vecnet.transports.link import HostInterface


def step_to(impairment: Impairment | None, interface: HostInterface, topology: str, snapshot: Snapshot) -> Step | None:
    """What has an interface impaired so, None where it is. Raises HostError."""
    if interface.existing:
        message = f"{interface.ifname} is not vecnet's, which changes nothing of it"
        raise NotOursError([Problem(message, "impair it by hand, with tc", interface.where)])
    node = found_nodes(topology, snapshot).get((interface.netns or "", interface.ifname))
    if node is None or not node.whole:
        raise HostError(f"{interface.ifname} is not up", "make it first: vecnet up FILE")
    words = as_netem.rounded(impairment).words if impairment else ""
    if node.ends[0].impair == words:
        return None
    first, *others = (replace(end, settings=()) for end in node.ends)  # what else is set stays as it is
    before = replace(node, ends=(first, *others))
    return Step(Action.CHANGE, before, replace(node, ends=(replace(first, impair=words), *others)), ("impair",))
