"""vecnet sandbox: a command in a private network with the topology up in it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import click

from vecnet.cli.common import file_argument, on_option, part
from vecnet.cli.terminal import say


@click.command("sandbox", context_settings={"ignore_unknown_options": True})
@file_argument
@on_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD…")
@click.pass_context
def command(ctx: click.Context, file: str, on: str | None, words: tuple[str, ...]) -> None:
    """Run CMD (your shell, if none is given) in a private network with the topology of FILE up in it.

    Needs no root where user namespaces are allowed. The outer addresses that the topology's tunnels use are put on the
    sandbox's loopback. All of it is gone when CMD ends; CMD's exit status is vecnet's.
    """
    from vecnet.topology import loads
    from vecnet.topology.document import read_text

    text = read_text(file)  # once, since standard input cannot be read again
    part(loads(text, path=file), on)  # a broken file is known before anything is made
    from vecnet import contained, lab, sandbox

    _find_vecnet()
    sandbox.enter()
    lab.bring_up(lambda: part(loads(text, path=file), on))
    ctx.exit(contained.run(words or (os.environ.get("SHELL", "/bin/sh"),), say))


def _find_vecnet() -> None:
    """CMD may speak of `vecnet`, which in a virtual environment that is not active is in no folder of PATH."""
    started = Path(sys.argv[0])
    folder = started.parent if started.name == "vecnet" else Path(sysconfig.get_path("scripts"))
    if shutil.which("vecnet") is None and (folder / "vecnet").exists():
        os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{folder.resolve()}"
