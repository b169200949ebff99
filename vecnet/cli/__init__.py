"""The command line. stdout carries only the answer, stderr what is for people.

Exit status: 0 done, 1 it failed, 2 the input is wrong, 3 it could not be tested. A command is a file of this folder,
loaded when it is called.

| file | subject |
|---|---|
| common.py | arguments, options and report files that commands share |
| terminal.py | what reaches a terminal: escaped, coloured, as wide as it is |
| progress.py | progress on long work |
| states.py | what `status` shows, in tables |
| everywhere.py | a topology of several hosts, on all of them |
| across.py | loopback on all hosts at once |
| longer.py | loopback by the book, and for a time |
| any other | the command of its name |
"""

from __future__ import annotations

import dataclasses
import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence

import click

from vecnet import __version__
from vecnet.cli import terminal
from vecnet.cli.terminal import say, show
from vecnet.errors import EXIT_FAILED, HostError, VecnetError
from vecnet.text import shown

# each command with the line that `vecnet --help` prints, so that help loads none of them
COMMANDS = {
    "check": "Validate a topology, or explain what a guest does with a vec string.",
    "convert": "Print the topology that does the same as a legacy eth0=… string.",
    "args": "Print the vec strings, without touching the host.",
    "plan": "Show what `up` would change.",
    "up": "Make the host's end of every link, then print the vec strings.",
    "status": "Show what is there, and whether it is healthy.",
    "watch": "Show the rates, drops and health of all links, over and over.",
    "down": "Remove what a topology made, and nothing else.",
    "sandbox": "Run a command in a private network with the topology up in it.",
    "loopback": "Prove every link with packets, before a guest boots.",
    "explain": "Explain a code of a failed probe, or a trap of guests.",
    "bench": "Measure every transport, next to a bare loop on the same sockets.",
    "serve": "Run the switches and outside programs of a topology.",
    "run": "Start guests with their strings and inherited descriptors.",
    "plug": "Bring a running guest to what its topology says.",
    "capture": "Write what crosses a wire as pcapng, while it runs.",
    "extcap": "List the wires to Wireshark, and capture for it.",
    "impair": "Let a live wire lose, delay and spoil frames.",
    "export": "Print what `up` makes as another program's configuration.",
    "graph": "Draw a topology.",
    "doctor": "Say what this machine lacks, and what mends it.",
    "completion": "Print the code that completes vecnet's words in your shell.",
}


class Commands(click.Group):
    """The group of commands, each imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vecnet.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except VecnetError as error:
            from vecnet.cli.common import JSON, emit_json

            if ctx.meta.get(JSON):
                emit_json({"problems": [dataclasses.asdict(problem) for problem in error.problems]})
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


_NARROW = 52  # columns, of which click leaves two free


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vecnet")
def vecnet() -> None:
    """The network for User Mode Linux.

    vecnet makes the host's end of every vector transport, writes the matching string for the guest, and proves the
    wire with packets. A guest boots with: linux mem=256M ubd0=root.img $(vecnet up lab.yaml --guest web)
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; whatever goes wrong becomes a sentence and an exit status."""
    _open_what_is_closed()
    terminal.prepare()
    gc.set_threshold(50_000)  # looking for garbage while modules load takes a tenth of a short command's time
    try:
        words = list(argv) if argv is not None else None
        status = vecnet.main(args=words, prog_name="vecnet", standalone_mode=False, terminal_width=_width_of_help())
    except click.ClickException as error:
        vars(error)["message"] = shown(error.message)  # which holds words of the command line
        error.show()
        status = error.exit_code
    except click.exceptions.Abort:
        say("interrupted")
        status = 130
    except VecnetError as error:
        show(error)
        status = error.exit_code
    except Exception as error:
        if os.environ.get("VECNET_DEBUG"):
            raise
        status = _fault(error)
    sys.exit(status if isinstance(status, int) else 0)


def _width_of_help() -> int | None:
    """The columns of `--help` on a narrow terminal, for click leaves it 50 at the least; None is as click has it."""
    width = terminal.stated_width() or terminal.width(sys.stdout)
    return width if width and width < _NARROW else None


def _open_what_is_closed() -> None:
    """A standard stream that was closed leads nowhere: otherwise the next descriptor, a tap's say, would have its
    number. That standard input was closed is still seen by whoever reads it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY if number else os.O_RDONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            if number:
                setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 - until the process ends


# of the answer: nobody reads the pipe any more, or the disk is full
_CANNOT_WRITE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _fault(error: Exception) -> int:
    """Say in a sentence what nobody foresaw; VECNET_DEBUG shows it as a traceback."""
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE and error.filename is None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would try once more
        if error.errno != errno.EPIPE:
            say(f"the answer cannot be written: {error.strerror}")
    elif isinstance(error, OSError):
        _say_what_failed(error)
    else:
        say(
            f"vecnet: a fault of its own: {type(error).__name__}: {error}",
            "Set VECNET_DEBUG=1 to see where, and please report it.",
        )
    return EXIT_FAILED


def _say_what_failed(error: OSError) -> None:
    try:
        from vecnet.kernel.unforeseen import in_words

        show(HostError([in_words(error)]))
    except OSError:  # no descriptor is left to read that file by
        show(HostError(str(error), "raise the limit of descriptors with: ulimit -n"))
