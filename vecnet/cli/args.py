"""vecnet args: the vec strings, without touching the host."""

from __future__ import annotations

import sys

import click

from vecnet.cli import elsewhere
from vecnet.cli.common import file_argument, format_option, guest_option, load_topology, strings
from vecnet.cli.terminal import emit, say, width


@click.command("args")
@file_argument
@guest_option
@format_option
def command(file: str, chosen: tuple[str, ...], form: str) -> None:
    """Print the vec strings of FILE, without touching the host.

    One a line, for: linux mem=256M ubd0=root.img $(vecnet args FILE --guest web)
    """
    topology = load_topology(file)
    emit(strings(topology, chosen, form))
    say(*elsewhere.lines(topology, width(sys.stderr)))
