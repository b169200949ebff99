"""vecnet serve: run a topology's switches and outside programs, until it is told to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import count, file_argument, load_part, on_option
from vecnet.cli.terminal import answer, say
from vecnet.errors import InputError

if TYPE_CHECKING:
    from vecnet.topology import Topology


@click.command("serve")
@file_argument
@on_option
def command(file: str, on: str | None) -> None:
    """Run the switches of FILE, and the programs that stand outside, in the foreground.

    It prints a line once all is there, and tells systemd so. SIGTERM and SIGINT end it; SIGHUP reads FILE again: ports
    that are not changed keep their frames moving. Interfaces that a switch opens must be up: `vecnet up FILE`.
    """
    from vecnet.serving.foreground import serve
    from vecnet.serving.plan import planned

    topology = load_part(file, on)
    if not planned(topology):
        where = "" if on is None else f" on {on}"
        message = f"{topology.name} has no switch and no program outside{where}, so there is nothing to serve"
        raise InputError(message, "add switches:, or a link to an end at outside:")

    def ready(topology: Topology) -> None:
        switches = planned(topology)
        ports = sum(len(switch.ports) for switch in switches)
        plural = "switch" if len(switches) == 1 else "switches"
        answer(f"{topology.name} is served by process {os.getpid()}: {len(switches)} {plural}, {count(ports, 'port')}")

    # standard input cannot be read again
    serve((lambda: topology) if file == "-" else (lambda: load_part(file, on)), say, ready)
