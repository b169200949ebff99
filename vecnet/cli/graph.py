"""vecnet graph: a topology as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vecnet.cli.common import file_argument, load_topology, on_option, once
from vecnet.cli.terminal import emit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vecnet.graph.picture import State
    from vecnet.topology import Topology

_FORMATS = ("mermaid", "dot", "svg")


@click.command("graph")
@file_argument
@on_option
@once("--format", "form", type=click.Choice(_FORMATS), help="svg is drawn by Graphviz.  [default: mermaid]")
@click.option("--state", is_flag=True, help="In colour what is up here, and what is wrong, as status sees it.")
def command(file: str, on: str | None, form: str | None, state: bool) -> None:
    """Draw FILE: guests, wires, interfaces, bridges, switches and programs, with their addresses.

    Mermaid is what GitHub and GitLab draw in a page: ```mermaid. With hosts, each is a frame around what is on it.
    """
    topology = load_topology(file)
    if on is not None:
        topology = topology.on(on)
    from vecnet.graph.picture import picture

    drawn = picture(topology, _states(topology) if state else None)
    if form == "svg":
        from vecnet.graph.dot import as_svg

        emit(as_svg(drawn))
    elif form == "dot":
        from vecnet.graph.dot import as_dot

        emit(as_dot(drawn))
    else:
        from vecnet.graph.mermaid import as_mermaid

        emit(as_mermaid(drawn))


def _states(topology: Topology) -> Mapping[str, State]:
    """Of each link and bridge that has something at this host. Raises HostError, InputError."""
    from vecnet import host
    from vecnet.graph.picture import State

    wanted = topology.one_machine().interfaces
    found = {one.link: State.DOWN for one in wanted}
    for report in host.status(topology.name, topology):
        healthy = report.healthy and found.get(report.link) is not State.WRONG
        found[report.link] = State.UP if healthy else State.WRONG
    return found
