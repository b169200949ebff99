"""vecnet up: make the host's end of every link, then print what `args` prints."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack

import click

from vecnet import runtime
from vecnet.cli import everywhere
from vecnet.cli.common import (
    file_argument,
    format_option,
    guest_option,
    inventory_option,
    load_topology,
    on_option,
    part,
    strings,
)
from vecnet.cli.progress import progress
from vecnet.cli.terminal import emit, say

_FEW = 3  # devices that are named of those that a guest lacks


@click.command("up")
@file_argument
@on_option
@inventory_option
@guest_option
@format_option
def command(file: str, on: str | None, inventory: str | None, chosen: tuple[str, ...], form: str) -> None:
    """Make the host's end of every link of FILE, then print the vec strings.

    What is there already stays as it is. What fails half-way is undone. With --guest, other guests may be elsewhere.

    Where FILE names hosts it is made on all of them, through Ansible, or on none, unless --on chooses one.

    It says which running guests lack what: those of this user whose umid is their name. `vecnet plug` gives it to them.
    """
    whole = load_topology(file)
    if everywhere.meant(whole, on, inventory):
        everywhere.up(whole, inventory, chosen, form)
        return
    topology = part(whole, on)
    text = strings(topology, chosen, form)  # a wrong --guest must not leave interfaces behind
    from vecnet import host

    with ExitStack() as stack:
        report = stack.enter_context(progress("up"))

        def answer(plan: host.Plan) -> None:
            stack.close()  # the bar, over which nothing is to be printed
            say(*plan.summary().split("\n"))
            emit(text)

        host.up(topology.starting(chosen), progress=report, answer=answer)
    guests = [guest for guest in chosen or topology.guests if os.path.exists(runtime.console(guest))]  # noqa: PTH110
    if not guests:
        return
    from vecnet.plugging.report import lacking

    for guest, devices in lacking(topology, guests).items():
        few = ", ".join(devices[:_FEW]) + (f" and {len(devices) - _FEW} more" if len(devices) > _FEW else "")
        where = f"{shlex.quote(file)} --on {on}" if on is not None else shlex.quote(file)
        say(f"{guest} runs, and lacks {few}: vecnet plug {where} --guest {guest}")
