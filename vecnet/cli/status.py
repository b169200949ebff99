"""vecnet status: what is there, healthy or not, with the kernel's counters; and the ports of switches."""

from __future__ import annotations

import click

from vecnet.cli import everywhere
from vecnet.cli.common import (
    emit_json,
    inventory_option,
    is_file,
    json_option,
    named,
    on_option,
    once,
    part,
    say_what_is_meant,
    say_what_is_up,
    subject_topology,
)
from vecnet.cli.states import print_tables
from vecnet.cli.terminal import emit, say
from vecnet.errors import EXIT_FAILED, InputError

_FORMATS = ("table", "json", "prometheus")


@click.command("status")
@click.argument("subject", required=False, metavar="[FILE|NAME]")
@on_option
@inventory_option
@once("--format", "form", type=click.Choice(_FORMATS), help="How to print it.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, subject: str | None, on: str | None, inventory: str | None, form: str | None, as_json: bool
) -> None:
    """Show the interfaces of a topology, or of all that vecnet made: healthy or not, and their counters.

    With a FILE each is held against what that says; else against what its mark says that `up` made. So with the ports
    of the switches that `vecnet serve` and `vecnet run` of this user serve now.

    With a FILE, guests of this user whose umid is their name are asked as well, by their management consoles: which of
    their devices are up, and how often each has woken the guest's kernel. `sent` is what the host has sent there: where
    that grows, and a device is down or sleeps on, packets vanish in the guest. Guests do not tell their own counters.

    A FILE has a / in its name, or ends in .yaml, .yml or .json; any other word is the NAME of a topology. One
    that names hosts is looked at on all of them, through Ansible, unless --on chooses one.

    `--format prometheus` is Prometheus' text format, for a scrape by a textfile collector.

    Exits with 1 where something is not healthy, or the topology has made nothing here.
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} are two forms of one answer; leave one out.", ctx)
    as_json = as_json or form == "json"
    if subject is None and (on is not None or inventory is not None):
        option = "--on" if on is not None else "--inventory"
        raise InputError(f"{option} goes with a FILE that names hosts", f"name it, or leave {option} out")
    topology = subject_topology(subject) if subject is not None and is_file(subject) else None
    if topology and everywhere.meant(topology, on, inventory):
        if form == "prometheus":
            raise InputError("Prometheus' format is of one machine", "choose it by --on")
        if not everywhere.status(topology, inventory, as_json):
            ctx.exit(EXIT_FAILED)
        return
    topology = part(topology, on) if topology else None
    name = topology.name if topology else named(subject, on, inventory) if subject is not None else None
    if subject is not None:
        say_what_is_meant(subject)
    from vecnet.observing.state import read

    found = read(name, topology)
    if as_json:
        emit_json(found.as_json())
    elif form == "prometheus":
        from vecnet.observing import prometheus

        emit(prometheus.text(found))
    elif not found.is_up and not found.devices:
        say(f"nothing of {name} is up here" if name else "nothing of vecnet is up here")
        if subject is not None:
            say_what_is_up()
    else:
        print_tables([found])
    if (name and not found.is_up) or not found.healthy:
        ctx.exit(EXIT_FAILED)
