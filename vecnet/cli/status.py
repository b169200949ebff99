"""vecnet status: what is there, healthy or not, with the kernel's counters; and the ports of switches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vecnet import runtime
from vecnet.cli import everywhere
from vecnet.cli.common import (
    emit_json,
    inventory_option,
    is_file,
    json_option,
    named,
    on_option,
    part,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.states import State, print_tables
from vecnet.cli.terminal import say
from vecnet.errors import EXIT_FAILED, InputError

if TYPE_CHECKING:
    from vecnet.plugging.report import DeviceState
    from vecnet.topology import Topology


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@on_option
@inventory_option
@json_option
@click.pass_context
def command(ctx: click.Context, subject: str | None, on: str | None, inventory: str | None, as_json: bool) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made. So with the ports
    of the switches that `vecnet serve` and `vecnet run` of this user serve now.

    With a FILE, guests of this user whose umid is their name are asked as well, by their management consoles: which of
    their devices are up, and how often each has woken the guest's kernel. `sent` is what the host has sent there: where
    that grows, and a device is down or sleeps on, packets vanish in the guest. Guests do not tell their own counters.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology. One
    that names hosts is looked at on all of them, through Ansible, unless --on chooses one.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    if subject is None and (on is not None or inventory is not None):
        option = "--on" if on is not None else "--inventory"
        raise InputError(f"{option} goes with a FILE that names hosts", f"name it, or leave {option} out")
    topology = subject_topology(subject) if subject is not None and is_file(subject) else None
    if topology and everywhere.meant(topology, on, inventory):
        if not everywhere.status(topology, inventory, as_json):
            ctx.exit(EXIT_FAILED)
        return
    topology = part(topology, on) if topology else None
    name = topology.name if topology else named(subject, on, inventory) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet import host
    from vecnet.serving import control

    found = State(host.status(name, topology), control.states(name), _devices(topology) if topology else [])
    if as_json:
        emit_json(found.as_json())
    elif not found.is_up and not found.devices:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        print_tables([found])
    if (name and not found.is_up) or not found.healthy:
        ctx.exit(EXIT_FAILED)


def _devices(topology: Topology) -> list[DeviceState]:
    if not any(os.path.exists(runtime.console(guest)) for guest in topology.guests):  # noqa: PTH110 - most have none
        return []
    from vecnet.plugging.report import states

    return states(topology)
