"""vecnet impair: what a live wire does to its frames."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import LinkName, file_argument, load_part, on_option, require_link
from vecnet.cli.terminal import say
from vecnet.errors import InputError, Refused

if TYPE_CHECKING:
    from vecnet.impairment import Impairment
    from vecnet.topology import ResolvedLink

_OFF = "off"


@click.command("impair")
@file_argument
@on_option
@click.argument("link", type=LinkName())
@click.argument("impairment", metavar="IMPAIRMENT|off")
def command(file: str, on: str | None, link: str, impairment: str) -> None:
    """Impair LINK of FILE while it runs, in tc-netem's words: vecnet impair FILE lan:web 'loss 1% delay 10ms 2ms'

    LINK is a link's name, or one of its ends. It has to end at a switch that `vecnet serve` or `vecnet run` of this
    user serves: that port impairs what goes out of it, as netem would, and needs no privilege. `off` ends it; so does
    the server's end. `vecnet status` shows it. What FILE declares with impair: is there from the start.
    """
    topology = load_part(file, on)
    chosen = require_link(topology, link)
    from vecnet.impairment import ImpairmentText
    from vecnet.serving import control
    from vecnet.serving.plan import ports_of

    try:
        wanted = None if impairment == _OFF else ImpairmentText().parse(impairment)
    except Refused as error:
        raise InputError(error.message, f"{error.instead or 'write loss 1% delay 10ms'}, or off") from None
    ports = list(ports_of(chosen))
    if not ports:
        raise InputError(
            f"{chosen.name} ends at no switch of vecnet's, which would impair it", _by_hand(chosen, wanted)
        )
    switch, port = ports[0]
    control.impair(topology.name, switch, port.name, wanted)
    say(f"{chosen.name}: {switch}:{port.name} {'impairs nothing' if wanted is None else f'impairs: {wanted}'}")


def _by_hand(link: ResolvedLink, wanted: Impairment | None) -> str:
    """How the host's kernel does it, where the wire has an interface there."""
    if not link.interfaces:
        return "let it end at a switch"
    interface = link.interfaces[0]
    place = f"ip netns exec {shlex.quote(interface.netns)} " if interface.netns else ""
    name = shlex.quote(interface.ifname)
    if wanted is None:
        return f"the kernel's netem ends with: {place}tc qdisc del dev {name} root"
    words = str(wanted).rpartition(" seed ")[0]
    return f"the host's kernel does it with: {place}tc qdisc replace dev {name} root netem {words}"
