"""vecnet args: the vec strings, without touching the host."""

from __future__ import annotations

import click

from vecnet.cli.common import file_argument, format_option, guest_option, load_topology, strings


@click.command("args")
@file_argument
@guest_option
@format_option
def command(file: str, guest: str | None, form: str) -> None:
    """Print the vec strings of FILE, without touching the host.

    One a line; with several guests and no --guest, GUEST<TAB>string. `--format shell` gives words, or with several
    guests assignments, that a shell can evaluate.
    """
    click.echo(strings(load_topology(file), guest, form))
