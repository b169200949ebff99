"""The host's end of a topology's links: plan, up, down, status. What is meant is here, the bytes are in kernel/.

::

    up ─ lock ─┬─ snapshot ── found_nodes ─┐
               │                           ├─ difference ── checks ══ Plan ── operations ══ Op, Op, … ── send
               └─ interfaces ─ wanted_nodes┘                (what fails half-way: look again, difference, send)

| file | what |
|---|---|
| `plan.py` | the words: a node (an interface, with its ends), a step between two nodes, a plan of steps |
| `mark.py` | the mark on all that vecnet makes. The kernel's state is the only record of what was made |
| `lock.py` | one run at a time changes a network namespace |
| `snapshot.py` | what was seen in all namespaces at one moment |
| `stages.py` | an operation as data, and the sending of many in batches |
| `kinds/` | a file for each kind of interface, with all its rules; `base.py` has what they share |
| `settings.py` | what nobody but somebody else sets at an interface: seen, and set back |
| `nodes.py` | which interfaces are a topology's, and which it wants |
| `existing.py` | what is there already, and is not vecnet's |
| `difference.py`, `checks.py` | what is to be done; what the kernel would refuse of that |
| `apply.py` | steps become operations; what fails half-way is undone |
| `impaired.py`, `as_netem.py` | a wire that is impaired while it runs; an impairment in netem's numbers |
| `filters.py` | the files of guests' filters |
| `record.py` | what undoes a plan, as data |
| `reopen.py` | which guests hold an interface that was there before |
| `refusals.py` | the kernel's refusals in words |
| `health.py` | status |
| `outer_addresses.py`, `stand_ins.py` | a private network's loopback, and its stand-ins for what exists |

What only a change needs is imported with the first: pyroute2, which encodes it, takes a while.

Source: rtnetlink(7), veth(4); linux/if_tun.h, linux/l2tp.h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from vecnet.host.lock import TIMEOUT, Say, locked, say_on_stderr
from vecnet.host.plan import Action, Node, Plan, Step
from vecnet.host.stages import Progress
from vecnet.records import record

if TYPE_CHECKING:
    from vecnet.host.health import Report
    from vecnet.host.record import Record
    from vecnet.host.snapshot import Snapshot
    from vecnet.impairment import Impairment
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.transports.link import HostInterface, OuterEnd

__all__ = [
    "Action",
    "Network",
    "Node",
    "Plan",
    "Progress",
    "Step",
    "attach_tap",
    "down",
    "impair",
    "plan",
    "plan_down",
    "prepare_sandbox",
    "restore",
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
    from vecnet.host import filters
    from vecnet.kernel.namespaces import Namespaces

    filters.compiled(topology.interfaces)
    with Namespaces() as namespaces:
        topology = _placed(topology, namespaces)
        return _plan(topology, _look(topology, namespaces))


def up(
    topology: Network,
    progress: Progress = _quiet,
    *,
    timeout: float = TIMEOUT,
    say: Say = say_on_stderr,
    answer: Callable[[Plan], None] | None = None,
) -> Plan:
    """Make the host's end of every link, and return what was done. What fails half-way is undone.

    `progress` is told how many operations are done, of how many. A signal that asks this process to end finds either
    all undone, or `answer` called with what was done: it waits for that. Raises HostError, and BusyError after waiting
    `timeout` seconds for another vecnet, of which `say` tells.
    """
    from vecnet.host import filters
    from vecnet.host.apply import carry_out, stoppable
    from vecnet.host.snapshot import many_objects
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        files = filters.compiled(topology.interfaces)
        topology = _placed(topology, namespaces)
        places = [namespaces.home, *(namespaces[name] for name in sorted(_named(topology)))]
        with locked(places, timeout, say), stoppable() as check, many_objects():  # whoever waits may be ended as ever
            snapshot = _look(topology, namespaces)
            todo = _plan(topology, snapshot)
            if todo.changes:
                carry_out(todo, snapshot, lambda: _look(topology, namespaces), check, progress)
            filters.write(topology.name, files)
            if answer is not None:
                answer(todo)
            return todo
    raise AssertionError("unreachable: no context above swallows an error")


def down(name: str, progress: Progress = _quiet, *, timeout: float = TIMEOUT, say: Say = say_on_stderr) -> Plan:
    """Remove all that the topology of that name made from this network namespace, and nothing else.

    That a guest has an interface open does not keep it: the plan that is returned says so. Raises HostError.
    """
    from vecnet.host import filters
    from vecnet.host.apply import operations_of, stoppable
    from vecnet.host.snapshot import Snapshot
    from vecnet.host.stages import send
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        held: set[str] = set()
        while True:
            places = [namespaces.home, *(namespaces[netns] for netns in sorted(held))]
            with locked(places, timeout, say), stoppable() as check:
                snapshot = Snapshot(namespaces, held, everywhere=True)
                todo = _removal(name, snapshot)
                needed = {step.node.netns for step in todo.steps if step.node.netns is not None}
                if not needed <= held:
                    held |= needed
                    continue  # let go: all locks are taken at once, in the one order that every run keeps
                send(operations_of(name, todo.steps, snapshot), check, progress)
                filters.write(name, {})
                return todo
    raise AssertionError("unreachable: no context above swallows an error")


def plan_down(name: str) -> Plan:
    """What `down` would remove. Raises HostError."""
    from vecnet.host.snapshot import Snapshot
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        return _removal(name, Snapshot(namespaces, everywhere=True))


def _removal(name: str, snapshot: Snapshot) -> Plan:
    from vecnet.host.nodes import found_nodes

    nodes = sorted(found_nodes(name, snapshot).values(), key=lambda node: node.key)
    return Plan(
        name,
        tuple(
            Step(Action.DELETE, node, None, why=f"removed, although {node.in_use}" if node.in_use else "")
            for node in nodes
        ),
    )


def restore(record: Record, *, timeout: float = TIMEOUT, say: Say = say_on_stderr) -> Plan:
    """Bring this host back to what it was before a plan, from `Record.of` it, however far that was carried out.

    Where nothing of it is left to undo nothing is done. Raises HostError.
    """
    from vecnet.host.apply import stoppable, undo
    from vecnet.host.snapshot import Snapshot
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        places = [namespaces.home, *(namespaces[name] for name in sorted(record.namespaces))]
        with locked(places, timeout, say), stoppable():
            return undo(record, lambda: Snapshot(namespaces, record.namespaces, keep=record.stated))
    raise AssertionError("unreachable: no context above swallows an error")


def impair(
    topology: Network, link: str, impairment: Impairment | None, *, timeout: float = TIMEOUT, say: Say = say_on_stderr
) -> Plan:
    """Have the kernel impair what a link's interface sends, from now on; None ends it. Returns what was done.

    `up` puts it back to what the topology says. Raises HostError: NotOursError where the interface exists and is
    somebody else's, or has a queueing discipline that is, and KernelLacksError where the kernel has no netem.
    """
    from vecnet.host.apply import carry_out, stoppable
    from vecnet.host.checks import unimpairable
    from vecnet.host.impaired import step_to
    from vecnet.host.refusals import together
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        topology = _placed(topology, namespaces)
        interface = next(one for one in topology.interfaces if one.link == link)
        places = [namespaces.home, *([namespaces[interface.netns]] if interface.netns else [])]
        with locked(places, timeout, say), stoppable() as check:
            snapshot = _look(topology, namespaces)
            step = step_to(impairment, interface, topology.name, snapshot)
            todo = Plan(topology.name, (step,) if step else (), 0 if step else 1)
            if errors := [*unimpairable(todo, snapshot)]:
                raise together(errors)
            carry_out(todo, snapshot, lambda: _look(topology, namespaces), check, _quiet)
            return todo
    raise AssertionError("unreachable: no context above swallows an error")


def status(name: str | None = None, topology: Network | None = None) -> list[Report]:
    """The interfaces of a topology, or of all, with their health and the kernel's counters.

    With the `topology` itself each is held against what that wants. Raises HostError.
    """
    from vecnet.host.health import reports
    from vecnet.host.nodes import wanted_nodes
    from vecnet.host.snapshot import Snapshot
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        if topology is None:
            return reports(name, Snapshot(namespaces, counters=True, everywhere=True))
        topology = _placed(topology, namespaces)
        snapshot = _look(topology, namespaces, status=True)
        return reports(topology.name, snapshot, wanted_nodes(topology.interfaces))


def attach_tap(interface: HostInterface) -> int:
    """Open a tap that is up, for a guest to inherit: a descriptor that moves one bare frame a call.

    Raises HostError, and InUseError where another process has it open.
    """
    from vecnet.host.kinds.tap import attach
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces, namespaces[interface.netns].entered():
        return attach(interface.ifname)


def prepare_sandbox(topology: Network) -> None:
    """Bring a private network's loopback up, with the outer addresses on it that the topology's guests bind.

    Those of the topology's own interfaces are not put there as well. Where names of network namespaces are the private
    network's own, those that the topology asks for are made. Interfaces that are to exist have stand-ins. Raises
    HostError.
    """
    from vecnet.host.outer_addresses import put_on_loopback
    from vecnet.host.stand_ins import make_stand_ins
    from vecnet.kernel import namespaces

    for name in sorted(_named(topology)):
        if not (namespaces.NAMED / name).exists() and namespaces.names_are_own():
            namespaces.add(name)
    own = {text.partition("/")[0] for interface in topology.interfaces for text in interface.addresses}
    put_on_loopback({end.address for end in topology.outer_ends} - own)
    make_stand_ins(topology.interfaces)


def _named(topology: Network) -> set[str]:
    return {interface.netns for interface in topology.interfaces if interface.netns is not None}


@record(frozen=True)
class _Placed:
    """A network whose interfaces' namespaces each go by one name."""

    name: str
    interfaces: Sequence[HostInterface]
    outer_ends: Sequence[OuterEnd]


def _placed(topology: Network, namespaces: Namespaces) -> Network:
    """With None for the namespace's own name, and one name where several are of one namespace. Raises HostError."""
    names: dict[int, str | None] = {namespaces.home.cookie: None}
    for name in sorted(_named(topology)):
        names.setdefault(namespaces[name].cookie, name)
    known: dict[str | None, str | None] = {name: names[namespaces[name].cookie] for name in _named(topology)}
    known[None] = None
    interfaces = [
        one if known[one.netns] == one.netns else replace(one, netns=known[one.netns]) for one in topology.interfaces
    ]
    return _Placed(topology.name, interfaces, topology.outer_ends)


def _look(topology: Network, namespaces: Namespaces, *, status: bool = False) -> Snapshot:
    from vecnet.host.snapshot import Snapshot, is_link_local

    stated = (text for interface in topology.interfaces for text in interface.addresses)
    keep = frozenset(filter(is_link_local, stated))
    return Snapshot(namespaces, _named(topology), keep=keep, counters=status, everywhere=status)


def _plan(topology: Network, snapshot: Snapshot) -> Plan:
    from vecnet.host import filters
    from vecnet.host.checks import refuse_impossible, stays_here
    from vecnet.host.difference import difference
    from vecnet.host.nodes import found_nodes, wanted_nodes
    from vecnet.host.reopen import to_reopen
    from vecnet.host.snapshot import many_objects

    with many_objects():
        wanted = wanted_nodes(topology.interfaces)
        found = found_nodes(topology.name, snapshot)
        todo = difference(topology.name, wanted, found, snapshot, topology.interfaces)
        refuse_impossible(topology.outer_ends, wanted, todo, snapshot)
        notes = (
            *stays_here(topology.outer_ends, snapshot),
            *to_reopen(wanted, snapshot).values(),
            *filters.notes(topology.interfaces),
        )
        return replace(todo, notes=(*todo.notes, *notes))
