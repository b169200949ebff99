"""vecnet impair: what a live wire does to its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vecnet.cli.common import LinkName, file_argument, load_part, on_option, require_link
from vecnet.cli.terminal import say
from vecnet.errors import InputError, Refused

if TYPE_CHECKING:
    from vecnet.impairment import Impairment
    from vecnet.topology import ResolvedLink, Topology

_OFF = "off"


@click.command("impair")
@file_argument
@on_option
@click.argument("link", type=LinkName())
@click.argument("impairment", metavar="IMPAIRMENT|off")
def command(file: str, on: str | None, link: str, impairment: str) -> None:
    """Impair LINK of FILE while it runs, in tc-netem's words: vecnet impair FILE lan:web 'loss 1% delay 10ms 2ms'

    LINK is a link's name, or one of its ends. Where it ends at a switch that `vecnet serve` or `vecnet run` of this
    user serves, that port impairs what goes out of it, and needs no privilege. Where it has an interface at the host,
    the kernel's netem impairs what that sends, which needs the right to change it; a queueing discipline that is not
    vecnet's is left alone, with an error.

    `off` ends it; so does the server's end, or `vecnet down`. `vecnet status` shows it. What FILE declares with impair:
    is there from the start, and `vecnet plan FILE` tells where it is otherwise.
    """
    topology = load_part(file, on)
    chosen = require_link(topology, link)
    from vecnet.impairment import ImpairmentText

    try:
        wanted = None if impairment == _OFF else ImpairmentText().parse(impairment)
    except Refused as error:
        raise InputError(error.message, f"{error.instead or 'write loss 1% delay 10ms'}, or off") from None
    where, does = _impair(topology, chosen, wanted)
    say(f"{chosen.name}: {where} {f'impairs: {does}' if does else 'impairs nothing'}")


def _impair(topology: Topology, link: ResolvedLink, wanted: Impairment | None) -> tuple[str, str]:
    """What impairs a link from now on, and how: "" for not at all."""
    from vecnet.serving.plan import ports_of

    for switch, port in ports_of(link):
        from vecnet.serving import control

        control.impair(topology.name, switch, port.name, wanted)
        return f"{switch}:{port.name}", str(wanted or "")
    if not link.interfaces:
        raise InputError(
            f"{link.name} has neither a switch of vecnet's nor an interface at the host, which would impair it",
            "let it end at a switch",
        )
    from vecnet import host

    host.impair(topology, link.name, wanted)
    return link.interfaces[0].ifname, wanted.words if wanted else ""
