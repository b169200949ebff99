"""vecnet plug: bring a running guest to what its topology says, by its management console."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import (
    GuestName,
    emit_json,
    file_argument,
    json_option,
    load_part,
    on_option,
    once,
    require_guest,
    require_made,
)
from vecnet.cli.terminal import answer, say, show
from vecnet.errors import EXIT_FAILED, GuestError, InputError

if TYPE_CHECKING:
    from vecnet.topology import Topology


@click.command("plug")
@file_argument
@on_option
@once("--guest", "-g", "guest", type=GuestName(), help="The guest; may be left out where the topology has one alone.")
@once("--umid", help="Its umid, or with a / in it the path of its console's socket. Left out, the guest's name.")
@once("--uml-dir", type=click.Path(), help="Where guests have their folders, as uml_dir= says. Left out, ~/.uml")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    on: str | None,
    guest: str | None,
    umid: str | None,
    uml_dir: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add the devices that FILE has and the guest lacks, remove those that are gone, replace those that changed.

    The plan is shown first. A device that is up in the guest cannot be removed: what to type there is said, and the
    other steps are done. The host's end must be there: `vecnet up FILE`.

    A guest does not tell with which string it has a device. What is compared is its command line, and what vecnet
    plugged since, which is noted in the guest's folder. What others plugged is not known.

    Exits with 1 where not all could be done.
    """
    topology = load_part(file, on)
    name = _the_guest(topology.guests, guest)
    require_guest(topology, name)
    from vecnet.mconsole import Guest
    from vecnet.plugging.steps import plugging

    umid = name if umid is None else umid
    by_path = "/" in umid
    if by_path and uml_dir is not None:
        raise InputError("--umid is the path of a socket, and --uml-dir where to look for one", "leave one of them out")
    console = Guest(socket=umid) if by_path else Guest(umid, uml_dir=uml_dir)
    todo = plugging(topology, name, console)
    if not dry_run and (links := {step.node.link for step in todo.plan.steps if step.coming}):
        _require_made(topology, file if on is None else f"{file} --on {on}", links)
    if not as_json:
        answer(*todo.plan.describe().split("\n"))
    done, problems = (todo.plan, []) if dry_run or not todo.plan.changes else todo.carry_out()
    if as_json:
        left = {"problems": [dataclasses.asdict(problem) for problem in problems]}
        emit_json({**done.as_json(), "topology": topology.name, "guest": name, **left})
    elif done is not todo.plan:
        say(*done.summary().split("\n"))
    if problems:
        show(GuestError(problems))
        ctx.exit(EXIT_FAILED)


def _require_made(topology: Topology, file: str, links: Collection[str]) -> None:
    """Raise HostError where the host's end of a link that is plugged is not there: a guest would open it in vain."""
    if topology.interfaces:
        from vecnet import host

        steps = (step for step in host.plan(topology).changes if step.node.link in links)
        require_made(topology, steps, f"run `vecnet up {file}` first")


def _the_guest(guests: tuple[str, ...], chosen: str | None) -> str:
    if chosen is not None:
        return chosen
    if len(guests) != 1:
        has = f"has {len(guests)} guests" if guests else "has no guest"
        raise InputError(f"the topology {has}", f"say which with --guest: {', '.join(guests)}" if guests else "")
    return guests[0]
