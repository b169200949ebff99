"""What is to be done in a guest, in the words of `vecnet plan`, and doing it.

1. A device that is up in the guest cannot be removed: its kernel refuses, and what to type in the guest is said.
2. One that is changed is removed and added. Where it cannot be added, what it was before is put back.
3. What fails ends nothing else: the other steps are done, and all failures are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vecnet.errors import GuestError, GuestMissing, GuestRefused, GuestSilent, InputError, Problem
from vecnet.host.plan import UNSAID, Action, Node, Plan, Step
from vecnet.launch import unfit
from vecnet.mconsole import LONGEST_REQUEST, Guest
from vecnet.plugging import note
from vecnet.plugging.devices import Given, given, links, up_by_name
from vecnet.plugging.note import Plugged
from vecnet.records import record
from vecnet.topology.model import ResolvedLink, Topology
from vecnet.transports.link import Attributes
from vecnet.vecstring import VecDevice

_UNKNOWN = "a string that vecnet does not know"


@record(frozen=True, slots=True)
class Device(Attributes):
    """What a device in a guest was given; None where nothing tells."""

    string: str | None = field(default=None, metadata=UNSAID)


@dataclass(frozen=True)
class Plugging:
    """What is to be done in a running guest, and what was known of it before."""

    guest: Guest
    given: Given
    plan: Plan

    def carry_out(self) -> tuple[Plan, list[Problem]]:
        """Do it, and return what was done and what was not. Raises GuestError where it cannot begin."""
        done: list[Step] = []
        problems: list[Problem] = []
        with note.opened(self.guest.folder, self.given.boot) as noted:
            for step in self.plan.steps:
                try:
                    if step.action is not Action.KEEP:
                        _carry_out(step, self.guest, noted)
                    done.append(step)
                except (GuestMissing, GuestSilent) as error:
                    problems += error.problems
                    break
                except (GuestError, InputError) as error:
                    problems += error.problems
        return replace(self.plan, steps=tuple(done)), problems


def plugging(topology: Topology, name: str, guest: Guest) -> Plugging:
    """What brings a guest that runs to what the topology says of `name`.

    Raises GuestError where the guest does not answer or a device cannot be had while it runs, and InputError where its
    kernel does not take a string as meant.
    """
    known = given(guest)
    if problems := list(unfit(topology, name, f"{guest} runs {known.release}", known.kernel)):
        raise InputError(problems)
    its = links(topology, name)
    wanted = {device.unit: device for device in topology.devices(name)}
    up = up_by_name(guest)
    there = {unit for unit in sorted({*wanted, *known.strings, *up}) if unit in up or guest.has(unit)}
    steps: list[Step] = []
    unchanged = 0
    for unit in sorted(there | wanted.keys()):
        before = _before(known, unit) if unit in there else None
        goal = wanted.get(unit)
        if before is not None and goal is not None and known.is_as(goal):
            unchanged += 1
        else:
            after = _node(goal, its[unit].name) if goal else None
            steps.append(_step(guest, before, after, is_up=unit in up))
    _require_pluggable(steps, wanted, its)
    steps.sort(key=lambda step: step.going is None)  # what goes frees what comes
    notes = tuple(_notes(guest, known, [wanted[int(step.node.ifname[3:])] for step in steps if step.coming]))
    return Plugging(guest, known, Plan(f"{topology.name}, guest {name}", tuple(steps), unchanged, notes))


def _node(device: VecDevice, link: str) -> Node:
    return Node(None, device.ifname, device.transport.name, link, values=Device(str(device)))


def _before(known: Given, unit: int) -> Node:
    plugged = known.strings.get(unit)
    if plugged is None or not plugged.string:
        return Node(None, f"vec{unit}", "device", "", values=Device(None))
    kind = plugged.string.partition("transport=")[2].partition(",")[0]
    return Node(None, f"vec{unit}", kind or "device", plugged.link, values=Device(plugged.string))


def _step(guest: Guest, before: Node | None, after: Node | None, *, is_up: bool) -> Step:
    if before is None:
        return Step(Action.CREATE, None, after)
    why = [f"it is up, so type in the guest first: ip link set {before.ifname} down"] if is_up else []
    unknown = isinstance(before.values, Device) and before.values.string is None
    if after is None:
        if unknown:
            return Step(Action.KEEP, before, None, why="not in the topology, nor plugged by vecnet: left alone")
        return Step(Action.DELETE, before, None, why="; ".join(["no longer in the topology", *why]))
    if unknown:
        why.insert(0, f"{guest} has it with {_UNKNOWN}")
    return Step(Action.REPLACE, before, after, ("string",), "; ".join(why))


def _require_pluggable(steps: list[Step], wanted: dict[int, VecDevice], its: dict[int, ResolvedLink]) -> None:
    problems = []
    for step in steps:
        unit = int(step.node.ifname[3:])
        if step.coming and wanted[unit].transport.inherits() is not None:
            said = f"{step.node} cannot be plugged: a descriptor is inherited when a guest starts"
            problems.append(Problem(said, "start the guest anew, by `vecnet run`", its[unit].position))
        if step.coming and len(f"config {wanted[unit]}".encode()) > LONGEST_REQUEST:
            said = f"{step.node} cannot be plugged: a guest's console takes {LONGEST_REQUEST} bytes, and it needs more"
            problems.append(Problem(said, "shorten what it names", its[unit].position))
    if problems:
        raise GuestError(problems)


def _notes(guest: Guest, known: Given, coming: list[VecDevice]) -> Iterator[str]:
    for device in coming:
        for word in device.transport.words(known.kernel.guests):
            if word not in known.words:
                yield f"{device.ifname} is sure to work only in a guest that was booted with {word}, and this was not"
    if coming and guest.stands():
        yield f"{guest} was told to stop: it takes devices, and they work when it is told to go on"


def _carry_out(step: Step, guest: Guest, noted: note.Note) -> None:
    """Raises GuestError, and InputError where a string is too long for the console."""
    unit = int(step.node.ifname[3:])
    if step.going:
        guest.remove(step.going.ifname)
        noted.add(Plugged(unit, ""))
    if step.coming:
        try:
            _add(unit, step.coming, guest, noted)
        except (GuestRefused, InputError) as error:
            if step.going is None or not _string(step.going):
                raise
            _add(unit, step.going, guest, noted)
            first, *rest = error.problems
            said = f"{first.message}; what {step.going} was before is put back"
            raise GuestError([Problem(said, first.instead), *rest]) from None


def _add(unit: int, node: Node, guest: Guest, noted: note.Note) -> None:
    guest.config(_string(node))
    noted.add(Plugged(unit, _string(node), node.link))


def _string(node: Node) -> str:
    return (node.values.string or "") if isinstance(node.values, Device) else ""
