"""Each command, from its click declarations: what `--help` says, as data, as a page, and for man pages."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import click

from manual.text import block, code, plain, table
from vecnet.cli import COMMANDS
from vecnet.cli import vecnet as group

EXIT_STATUS = {
    "0": "done; of loopback: every link was tested and passes",
    "1": "it failed",
    "2": "the input is wrong",
    "3": "of loopback: something could not be tested",
}


@dataclass(frozen=True)
class Command:
    """A command as a reader needs it. `options` has the words of each and what it does."""

    name: str
    short: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


def commands() -> list[Command]:
    """All of them, in the order of `vecnet --help`."""
    context = click.Context(group, info_name="vecnet")
    return [_command(context, name, short) for name, short in COMMANDS.items()]


def _command(above: click.Context, name: str, short: str) -> Command:
    command = group.get_command(above, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join(["vecnet", name, *command.collect_usage_pieces(context)])
    records = [
        record for param in command.get_params(context) if (record := param.get_help_record(context)) and record[1]
    ]
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    paragraphs = tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return Command(name, short, usage, paragraphs, tuple(records))


def pages() -> dict[str, str]:
    parts = ["# Commands\n", table(["command", "does"], ([_link(one.name), plain(one.short)] for one in commands()))]
    parts += ["## Exit status\n", table(["status", "means"], EXIT_STATUS.items())]
    for one in commands():
        parts += [f"## vecnet {one.name}\n", block(one.usage), *(f"{plain(text)}\n" for text in one.paragraphs)]
        parts.append(table(["option", "does"], ([code(words), plain(does)] for words, does in one.options)))
    return {"reference/commands.md": "\n".join(parts)}


def _link(name: str) -> str:
    return f"[{name}](#vecnet-{name})"
