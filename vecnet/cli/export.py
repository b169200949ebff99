"""vecnet export: what `up` makes, for those who configure otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from vecnet.cli.common import Folder, GuestName, file_argument, load_part, on_option, once, require_guest
from vecnet.cli.terminal import emit, say
from vecnet.errors import HostError, InputError, Problem
from vecnet.export import TARGETS, export


@click.command("export")
@file_argument
@on_option
@once("--for", "target", type=click.Choice(tuple(TARGETS)), required=True, help="The program, or the device elsewhere.")
@once("--guest", "-g", "guest", type=GuestName(), help="This guest's own end; for ifupdown and networkd.")
@once("--output", "-o", "folder", type=Folder(), metavar="DIR", help="Write each file to DIR, which is made.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(file: str, on: str | None, target: str, guest: str | None, folder: str | None, force: bool) -> None:
    """Print what `up` would make of FILE as another program's configuration.

    The host: iproute2, ifupdown, networkd, netplan, nmstate. What is elsewhere: linux, vyos, openwrt. What a program
    cannot do is an error that says what to change in FILE. Several files are printed with a line that names each.
    """
    topology = load_part(file, on)
    if guest is not None:
        require_guest(topology, guest)
    if force and folder is None:
        raise InputError("--force writes over files, and --output names none", "give --output DIR, or leave it out")
    files = export(topology, TARGETS[target](), guest)
    if folder is not None:
        _write(Path(folder), files, force)
    elif len(files) == 1:
        emit(*files.values())
    else:
        emit("\n".join(f"# {name}\n{text}" for name, text in files.items()))


def _write(folder: Path, files: Mapping[str, str], force: bool) -> None:
    """Each file, a script so that it can be run. Raises InputError where one is there, HostError where none can be."""
    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there and not force:
        instead = "give --force to write over it, or another --output"
        raise InputError([Problem(f"{folder / name} is there already", instead) for name in there])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                (folder / name).chmod(0o755)
            say(f"{folder / name} written")
    except OSError as error:
        from vecnet.kernel.unforeseen import advice  # for mistakes alone

        raise HostError(f"{error.filename} cannot be written: {error.strerror}", advice(error)) from None
