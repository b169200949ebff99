"""vecnet sandbox: a private user and network namespace with the topology up in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path

import click

from vecnet.cli.common import file_argument
from vecnet.cli.terminal import say
from vecnet.signals import end_with_parent, handled


@click.command("sandbox", context_settings={"ignore_unknown_options": True})
@file_argument
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- CMD…")
@click.pass_context
def command(ctx: click.Context, file: str, words: tuple[str, ...]) -> None:
    """Run CMD (your shell, if none is given) in a private network with the topology of FILE up in it.

    Needs no root where user namespaces are allowed. The outer addresses that the topology's tunnels use are put on the
    sandbox's loopback. All of it is gone when CMD ends; CMD's exit status is vecnet's.
    """
    from vecnet.topology import loads
    from vecnet.topology.document import read_text

    text = read_text(file)  # once, since standard input cannot be read again
    loads(text, path=file)  # a broken file is known before anything is made
    from vecnet import lab, sandbox

    _find_vecnet()
    sandbox.enter()
    lab.bring_up(lambda: loads(text, path=file))
    ctx.exit(run([*words] or [os.environ.get("SHELL", "/bin/sh")]))


def _find_vecnet() -> None:
    """CMD may speak of `vecnet`, which in a virtual environment that is not active is in no folder of PATH."""
    started = Path(sys.argv[0])
    folder = started.parent if started.name == "vecnet" else Path(sysconfig.get_path("scripts"))
    if shutil.which("vecnet") is None and (folder / "vecnet").exists():
        os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{folder.resolve()}"


def run(words: list[str]) -> int:
    """Run a command in the foreground; signals reach it, its exit status comes back as a shell gives it."""
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []  # signals that come before the command has started

    def forward(number: int) -> None:
        (started[0].send_signal if started else early.append)(number)

    # the terminal sends an interrupt to the command too; unlike SIG_IGN, a handler is not inherited
    with handled([signal.SIGINT], lambda _: None), handled([signal.SIGTERM, signal.SIGHUP], forward):
        try:
            process = subprocess.Popen(words, preexec_fn=partial(end_with_parent, os.getpid()))
        except OSError as error:
            say(f"{words[0] or repr('')}: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        started.append(process)
        for number in early:
            process.send_signal(number)
        status = process.wait()
    return status if status >= 0 else 128 - status
