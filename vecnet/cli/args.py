"""vecnet args: the vec strings, without touching the host."""

from __future__ import annotations

import sys

import click

from vecnet.cli import elsewhere
from vecnet.cli.common import file_argument, format_option, guest_option, load_part, on_option, strings
from vecnet.cli.terminal import emit, say, width


@click.command("args")
@file_argument
@on_option
@guest_option
@format_option
def command(file: str, on: str | None, chosen: tuple[str, ...], form: str) -> None:
    """Print the vec strings of FILE, without touching the host.

    One a line, for: linux mem=256M ubd0=root.img $(vecnet args FILE --guest web)
    """
    topology = load_part(file, on)
    emit(strings(topology, chosen, form))
    say(*elsewhere.lines(topology, width(sys.stderr)))
