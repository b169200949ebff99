"""vecnet extcap: the wires that are up, in Wireshark's own list of interfaces.

Source: Wireshark Developer's Guide, "Adding Capture Interfaces And Log Sources Using Extcap"; extcap(4).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import click

from vecnet import __version__
from vecnet.cli.capture import judge
from vecnet.cli.terminal import answer
from vecnet.errors import InputError
from vecnet.text import shown

if TYPE_CHECKING:
    from vecnet.capture.source import Source

_PORT, _INTERFACE = "vecnet-port", "vecnet-interface"


@click.command("extcap", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--extcap-interfaces", "listed", is_flag=True, help="List the wires that are up.")
@click.option("--extcap-interface", "wire", metavar="WIRE", help="The one that is meant.")
@click.option("--extcap-dlts", "dlts", is_flag=True, help="Say what its packets are.")
@click.option("--extcap-config", "config", is_flag=True, help="List its options: it has none.")
@click.option("--extcap-capture-filter", "expression", metavar="FILTER", help="In pcap's language; alone, check it.")
@click.option("--capture", is_flag=True, help="Capture, until SIGTERM.")
@click.option("--fifo", metavar="PATH", help="Where to.")
def command(
    listed: bool, wire: str | None, dlts: bool, config: bool, expression: str | None, capture: bool, fifo: str | None
) -> None:
    """Answer Wireshark, which then lists the wires that are up and captures at them. It starts `vecnet-extcap`.

    That is found once it lies in a folder of Wireshark's, which `tshark -G folders` names: ln -s "$(command -v
    vecnet-extcap)" FOLDER. What a user's Wireshark lists is what that user may see: the host's interfaces that vecnet
    made, to capture at which needs CAP_NET_RAW, and the ports of switches that the user serves.
    """
    if listed:
        answer(*_interfaces())
    elif dlts:
        answer("dlt {number=1}{name=EN10MB}{display=Ethernet}")
    elif capture:
        if wire is None or fifo is None:
            raise InputError("--capture goes with --extcap-interface and --fifo")
        _capture(wire, fifo, expression)
    elif expression:
        _check(expression)
    elif not config:
        raise InputError("nothing is asked", "Wireshark asks; vecnet extcap --extcap-interfaces lists what it shows")


def main() -> None:
    """`vecnet-extcap`, which Wireshark starts."""
    from vecnet.cli import main

    main(["extcap", *sys.argv[1:]])


def _interfaces() -> Iterator[str]:
    from vecnet import host
    from vecnet.serving import control

    yield f"extcap {{version={__version__}}}{{display=vecnet}}"
    for one in host.status():
        if one.kind != "bridge":
            value = _value(_INTERFACE, one.netns or "", one.ifname, one.link)
            at = f"{one.ifname} in {one.netns}" if one.netns else one.ifname
            yield f"interface {{value={value}}}{{display={_plain(f'vecnet {one.topology}: {one.link} at {at}')}}}"
    for port in control.states():
        value = _value(_PORT, port.topology, port.switch, port.port)
        at = f"{port.switch}:{port.port}"
        yield f"interface {{value={value}}}{{display={_plain(f'vecnet {port.topology}: {port.link} at {at}')}}}"


def _value(kind: str, *parts: str) -> str:
    """A word that Wireshark hands back, with nothing in it that means something to its reader or to a shell."""
    return ":".join([kind, *(quote(part, safe="", errors="surrogateescape") for part in parts)])


def _plain(text: str) -> str:
    return shown(text).translate({ord("{"): "(", ord("}"): ")"})


def _source(value: str) -> Source:
    from vecnet.capture.source import at_interface, at_port

    kind, *quoted = value.split(":")
    parts = [unquote(part, errors="surrogateescape") for part in quoted]
    if len(parts) == 3 and kind == _PORT:
        return at_port(*parts)
    if len(parts) == 3 and kind == _INTERFACE:
        netns, ifname, link = parts
        return at_interface(ifname, netns or None, link)
    raise InputError(f"there is no wire {value!r}", "vecnet extcap --extcap-interfaces lists them")


def _capture(value: str, fifo: str, expression: str | None) -> None:
    from vecnet.capture.move import move
    from vecnet.capture.sink import Sink

    with ExitStack() as opened:
        chosen = opened.enter_context(closing(judge(expression))) if expression else None
        source = opened.enter_context(_source(value))
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"{fifo} cannot be written: {error.strerror}") from None
        with closing(Sink(descriptor, chosen=chosen)) as sink:
            move(source, sink, None)
        source.finish()


def _check(expression: str) -> None:
    """What is wrong with a filter goes to standard output, where Wireshark reads it."""
    try:
        judge(expression).close()
    except InputError as error:
        answer(str(error))
