"""Man pages from the same declarations: `python -m manual.man FOLDER` writes vecnet.1 and one for each command.

Source: man-pages(7), groff_man(7).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from manual.commands import EXIT_STATUS, Command, commands
from vecnet import __version__

_ABOUT = "the network for User Mode Linux"
_FILES = {
    "$XDG_RUNTIME_DIR/vecnet/": "the sockets of what is served; /run/vecnet/ of root, /tmp/vecnet-UID/ without it",
}
_ENVIRONMENT = {
    "VECNET_DEBUG": "set to 1, it shows a fault of vecnet's own as a traceback",
    "NO_COLOR": "set, it keeps colours from the answer",
}


def pages() -> dict[str, str]:
    """Every man page, by its file's name."""
    every = commands()
    return {"vecnet.1": _whole(every), **{f"vecnet-{one.name}.1": _one(one, every) for one in every}}


def _whole(every: list[Command]) -> str:
    listed = [(f"vecnet-{one.name}(1)", one.short) for one in every]
    parts = [*_head("vecnet", _ABOUT, "vecnet COMMAND …"), ".SH DESCRIPTION"]
    parts += [
        "It makes the host's end of every vector transport, writes the matching string for the guest, and proves the",
        "wire with packets before a guest boots.",
        ".PP",
        "The answer goes to standard output, what is for people to standard error.",
        *_list("COMMANDS", listed),
        *_list("EXIT STATUS", EXIT_STATUS.items()),
        *_list("ENVIRONMENT", _ENVIRONMENT.items()),
        *_list("FILES", _FILES.items()),
        *_see(f"vecnet-{one.name}" for one in every),
    ]
    return "\n".join(parts) + "\n"


def _one(command: Command, every: list[Command]) -> str:
    parts = [*_head(f"vecnet-{command.name}", command.short.rstrip("."), command.usage), ".SH DESCRIPTION"]
    for index, paragraph in enumerate(command.paragraphs):
        parts += [".PP"] * bool(index) + [_text(paragraph)]
    parts += _list("OPTIONS", command.options)
    parts += _list("EXIT STATUS", EXIT_STATUS.items())
    parts += _see(["vecnet", *(f"vecnet-{one.name}" for one in every if one.name != command.name)])
    return "\n".join(parts) + "\n"


def _head(name: str, short: str, usage: str) -> Iterator[str]:
    seconds = os.environ.get("SOURCE_DATE_EPOCH")  # the same bytes whenever it is built
    day = datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d") if seconds else ""
    yield f'.TH {name.upper()} 1 "{day}" "vecnet {__version__}" "User Commands"'
    yield from (".SH NAME", rf"{_text(name)} \- {_text(short)}", ".SH SYNOPSIS", _text(usage))


def _list(head: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f".SH {head}"
    for words, does in rows:
        yield from (".TP", rf"\fB{_text(words)}\fR", _text(does))


def _see(names: Iterable[str]) -> Iterator[str]:
    yield ".SH SEE ALSO"
    yield _text(", ".join(f"{name}(1)" for name in sorted(names)))


_ROFF = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "…": "..."}


def _text(text: str) -> str:
    """Text that groff takes as it stands: no request, no typographic dash."""
    escaped = "".join(_ROFF.get(char, char) for char in " ".join(text.split()))
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def main(folder: str) -> None:
    """Write them into a folder, which is made where it is not there."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        Path(folder, name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
