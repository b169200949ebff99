"""A topology that names hosts, on all of them at once: what `plan`, `up`, `status` and `down` do without --on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vecnet.cli import elsewhere
from vecnet.cli.common import emit_json, require_guest, strings_of
from vecnet.cli.terminal import answer, emit, say, width
from vecnet.columns import Styled
from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.fleet.lab import Outcome
    from vecnet.topology import Topology


def meant(topology: Topology, on: str | None, inventory: str | None) -> bool:
    """Whether all hosts of a topology are meant, and not one machine. Raises InputError."""
    if on is not None and inventory is not None:
        raise InputError(f"--inventory is for all hosts, and --on {on} is for one of them", "leave one of them out")
    if not topology.hosts and inventory is not None:
        raise InputError(f"{topology.name} names no hosts, and is for one machine", "leave --inventory out")
    return bool(topology.hosts) and on is None


def plan(topology: Topology, inventory: str | None, as_json: bool) -> None:
    """Show what `up` would change on every host."""
    from vecnet.fleet import lab

    parts = lab.plan(topology, inventory).complete()
    if as_json:
        emit_json({"hosts": {part.host: part.answer.plan for part in parts}, "elsewhere": elsewhere.as_json(topology)})
        return
    for part in parts:
        lines = part.answer.lines
        if len(lines) == 1:
            answer([Styled(f"{part.host}: ", bold=True), *lines])
        else:
            answer([Styled(f"{part.host}:", bold=True)], *(f"  {line}" for line in lines))
    answer(*elsewhere.lines(topology, width(sys.stdout)))


def up(topology: Topology, inventory: str | None, chosen: Sequence[str], form: str) -> None:
    """Make every host's end of every link, or none, and print the strings of all guests."""
    from vecnet.fleet import lab

    for guest in chosen:
        require_guest(topology, guest)

    def told(outcome: Outcome) -> None:
        found = {guest: outcome.strings[guest] for guest in dict.fromkeys(chosen) or outcome.strings}
        own = {guest: list(one.strings) for guest, one in found.items()}
        emit(strings_of(own, {guest: list(one.words) for guest, one in found.items()}, form))

    lab.up(topology, chosen, inventory, say, told)


def down(topology: Topology, inventory: str | None, as_json: bool) -> None:
    """Remove what the topology has made, on every host that can be reached."""
    from vecnet.fleet import lab

    outcome = lab.down(topology, inventory, say)
    if as_json and not outcome.problems:
        emit_json({"hosts": {part.host: part.answer.plan for part in outcome.parts}})
    outcome.complete()


def status(topology: Topology, inventory: str | None, as_json: bool) -> bool:
    """Show what is there, on every host that can be reached; whether all is healthy. Raises HostError after that."""
    from vecnet.cli.states import print_tables
    from vecnet.fleet import lab
    from vecnet.observing.state import State

    outcome = lab.status(topology, inventory)
    found = [State(part.answer.interfaces, part.answer.ports, part.answer.devices, part.host) for part in outcome.parts]
    if not as_json:
        print_tables(found)
    elif not outcome.problems:
        emit_json([entry for one in found for entry in one.as_json()])
    missing = [one.host for one in found if not one.is_up and topology.on(one.host).interfaces]
    for host in missing:
        say(f"{host}: nothing of {topology.name} is up there")
    outcome.complete()
    return not missing and all(one.healthy for one in found)
