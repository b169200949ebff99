"""The host's end of a topology's links: plan, up, down, status.

The kernel's state is the only record of what was made (`mark.py`), and one run at a time changes a network namespace
(`lock.py`). What is wanted and what is there are both nodes (`model.py`); their difference is the plan
(`difference.py`), which is carried out in batches, or undone (`apply.py`, `work.py`). What the messages look like is
`netlink.py`'s; pyroute2, which encodes the rarer ones, is imported with the first of them (`encoded.py`).

Source: rtnetlink(7), veth(4); linux/if_tun.h, linux/l2tp.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from vecnet.host.lock import TIMEOUT, Say, locked, say_on_stderr
from vecnet.host.plan import Node, Plan, Step
from vecnet.host.stages import Progress

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.host.snapshot import Snapshot
    from vecnet.transports.link import HostInterface, OuterEnd

__all__ = [
    "Network",
    "Node",
    "Plan",
    "Progress",
    "Step",
    "attach_tap",
    "down",
    "plan",
    "prepare_sandbox",
    "status",
    "up",
]


class Network(Protocol):
    """What the host wing needs of a topology: the interfaces to be made, and all ends of tunnels, guests' too."""

    @property
    def name(self) -> str: ...
    @property
    def interfaces(self) -> Sequence[HostInterface]: ...
    @property
    def outer_ends(self) -> Sequence[OuterEnd]: ...


def _quiet(done: int, total: int) -> None:
    """Progress that nobody wants to see."""


def plan(topology: Network) -> Plan:
    """What `up` would change. Needs no privilege beyond reading. Raises HostError where `up` could not do it."""
    from vecnet.host.snapshot import Snapshot
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        return _plan(topology, Snapshot(namespaces, _named(topology)))


def up(topology: Network, progress: Progress = _quiet, *, timeout: float = TIMEOUT, say: Say = say_on_stderr) -> Plan:
    """Make the host's end of every link, and return what was done. What fails half-way is undone.

    `progress` is told how many operations are done, of how many. Raises HostError, and BusyError after waiting
    `timeout` seconds for another vecnet, of which `say` tells.
    """
    from vecnet.host.apply import carry_out, stoppable
    from vecnet.host.snapshot import Snapshot, many_objects
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        named = _named(topology)
        places = [namespaces.home, *(namespaces[name] for name in sorted(named))]
        with locked(places, timeout, say), stoppable() as check, many_objects():  # whoever waits may be ended as ever
            world = Snapshot(namespaces, named)
            todo = _plan(topology, world)
            if todo.changes:
                carry_out(todo, world, lambda: Snapshot(namespaces, named), check, progress)
            return todo
    raise AssertionError("unreachable: no context above swallows an error")


def down(name: str, progress: Progress = _quiet, *, timeout: float = TIMEOUT, say: Say = say_on_stderr) -> Plan:
    """Remove all that the topology of that name made from this network namespace, and nothing else.

    That a guest has an interface open does not keep it: the plan that is returned says so. Raises HostError.
    """
    from vecnet.host.apply import operations, stoppable
    from vecnet.host.snapshot import Snapshot
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        held: set[str] = set()
        while True:
            places = [namespaces.home, *(namespaces[netns] for netns in sorted(held))]
            with locked(places, timeout, say), stoppable() as check:
                world = Snapshot(namespaces, held)
                nodes = sorted(world.nodes(name).values(), key=lambda node: node.key)
                needed = {node.netns for node in nodes if node.netns is not None}
                if not needed <= held:
                    held |= needed
                    continue  # let go: all locks are taken at once, in the one order that every run keeps
                steps = tuple(
                    Step("delete", node, None, why=f"removed, although {node.in_use}" if node.in_use else "")
                    for node in nodes
                )
                operations(name, steps, world).run(check, progress)
                return Plan(name, steps)
    raise AssertionError("unreachable: no context above swallows an error")


def status(name: str | None = None) -> list[Report]:
    """The interfaces of a topology, or of all, with their health and the kernel's counters."""
    from vecnet.host.health import reports

    return reports(name)


def attach_tap(interface: HostInterface) -> int:
    """Open a tap that is up, for a guest to inherit: a descriptor that moves one bare frame a call.

    Raises HostError, and InUseError where another process has it open.
    """
    from vecnet.host.kinds.tap import attach
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces, namespaces[interface.netns].entered():
        return attach(interface.ifname)


def prepare_sandbox(topology: Network) -> None:
    """Bring a private network's loopback up, with the outer addresses on it that the topology's guests bind."""
    from vecnet.host.outer_addresses import prepare

    prepare(topology)


def _named(topology: Network) -> set[str]:
    return {interface.netns for interface in topology.interfaces if interface.netns is not None}


def _plan(topology: Network, world: Snapshot) -> Plan:
    from vecnet.host.checks import refuse_impossible
    from vecnet.host.difference import difference, wanted_nodes
    from vecnet.host.snapshot import many_objects

    with many_objects():
        wanted = wanted_nodes(topology.interfaces)
        keep = frozenset(text for node in wanted for text in node.values["addresses"])
        found = world.nodes(topology.name, keep)
        todo = difference(topology.name, wanted, found, world)
        refuse_impossible(topology, wanted, todo, world)
        return todo
