"""Carrying a plan out: steps become operations, and what fails half-way is undone.

Undoing needs no journal: the host is looked at again, and the difference from what is there now to what was there
before is carried out. So it holds wherever the failure struck, in the middle of a batch too.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import FrameType

from vecnet.errors import HostError, Problem, VecnetError
from vecnet.host.difference import difference
from vecnet.host.kinds import KINDS
from vecnet.host.kinds.base import Scene, delete
from vecnet.host.nodes import found_nodes
from vecnet.host.plan import Action, Node, Plan, Step
from vecnet.host.record import Record
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Check, Op, Progress, send

Look = Callable[[], Snapshot]


def carry_out(plan: Plan, snapshot: Snapshot, look: Look, check: Check, progress: Progress) -> None:
    """Do what the plan says, or nothing: raises HostError, or whatever `check` does, with the host as it was before.

    `look` reads the host anew.
    """
    try:
        send(operations_of(plan.topology, plan.steps, snapshot), check, progress)
        check()  # a signal may have come with the last message
    except BaseException as error:
        try:
            undo(Record.of(plan), look)
        except HostError as second:
            first = error.problems if isinstance(error, VecnetError) else [Problem(str(error) or type(error).__name__)]
            rest = f"remove the rest with: vecnet down {plan.topology}"
            raise HostError([*first, Problem(f"undoing what was done failed too: {second}", rest)]) from error
        raise


def undo(record: Record, look: Look) -> Plan:
    """Bring the interfaces that a plan touched back to what they were. Returns what was done for it."""
    snapshot = look()
    # what this run has made or changed may be taken back, whoever has opened it meanwhile
    found = {
        key: replace(node, in_use="")
        for key, node in found_nodes(record.topology, snapshot).items()
        if key in record.touched or not node.whole
    }
    todo = difference(record.topology, record.before, found, snapshot)
    send(operations_of(record.topology, todo.steps, snapshot), _nothing, _nothing)
    return todo


def _nothing(*_: int) -> None:
    """An undo is neither stopped nor shown."""


def operations_of(topology: str, steps: Sequence[Step], snapshot: Snapshot) -> list[Op]:
    """The operations that carry steps out."""
    scene = Scene(topology, snapshot)
    ops = [*_removals([step.going for step in steps if step.going], scene)]
    for step in steps:
        if step.coming:
            kind = KINDS[step.coming.kind]
            ops += kind.make(step.coming, scene)
            ops += kind.settle(step.coming, scene)
        elif step.action is Action.CHANGE and step.before and step.after:
            ops += KINDS[step.after.kind].change(step.before, step.after, scene)
    return ops


def _removals(nodes: Sequence[Node], scene: Scene) -> Iterator[Op]:
    alike: dict[tuple[str | None, str], list[Node]] = {}
    for node in nodes:
        own = node.kind in KINDS and KINDS[node.kind].own_removal
        alike.setdefault((node.netns, node.kind if own else ""), []).append(node)
    for (_, kind), some in alike.items():
        yield from KINDS[kind].remove(some, scene) if kind else delete(scene, some)


class Stopped(HostError):
    """A signal asked this run to end."""


@contextlib.contextmanager
def stoppable() -> Iterator[Check]:
    """Within the block SIGINT, SIGTERM and SIGHUP wait for the next call of the function that it gives: raises Stopped.

    Afterwards the signal does what it did before, so that its default ends the process; Stopped goes on only where
    the program's own handler returns. A signal that is ignored stays so. In a thread nothing is changed.
    """
    got: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        got.append(number)

    def check() -> None:
        if got:
            raise Stopped(f"stopped by {signal.Signals(got[0]).name}")

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    old = {number: handler for number, handler in old.items() if handler not in (signal.SIG_IGN, None)}
    for number in old:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        if got:
            signal.raise_signal(got[0])
