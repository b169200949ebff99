"""vecnet args: the vec strings, without touching the host."""

from __future__ import annotations

import click

from vecnet.cli.common import file_argument, format_option, guest_option, load_topology, strings
from vecnet.cli.terminal import emit


@click.command("args")
@file_argument
@guest_option
@format_option
def command(file: str, chosen: tuple[str, ...], form: str) -> None:
    """Print the vec strings of FILE, without touching the host.

    One a line, for: linux mem=256M ubd0=root.img $(vecnet args FILE --guest web)
    """
    emit(strings(load_topology(file), chosen, form))
