"""vecnet up: make the host's end of every link, then print what `args` prints."""

from __future__ import annotations

from contextlib import ExitStack

import click

from vecnet.cli.common import file_argument, format_option, guest_option, load_part, on_option, strings
from vecnet.cli.progress import progress
from vecnet.cli.terminal import emit, say


@click.command("up")
@file_argument
@on_option
@guest_option
@format_option
def command(file: str, on: str | None, chosen: tuple[str, ...], form: str) -> None:
    """Make the host's end of every link of FILE, then print the vec strings.

    What is there already stays as it is. What fails half-way is undone. With --guest, other guests may be elsewhere.
    """
    topology = load_part(file, on)
    text = strings(topology, chosen, form)  # a wrong --guest must not leave interfaces behind
    from vecnet import host

    with ExitStack() as stack:
        report = stack.enter_context(progress("up"))

        def answer(plan: host.Plan) -> None:
            stack.close()  # the bar, over which nothing is to be printed
            say(*plan.summary().split("\n"))
            emit(text)

        host.up(topology.starting(chosen), progress=report, answer=answer)
