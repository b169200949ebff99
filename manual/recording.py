"""The README's recording of a terminal: a command is run for real, on a terminal of its own, and drawn as SVG.

    python -m manual.recording FILE         `make recording` writes docs/recording.svg

Source: rich.console, Console.export_svg; pty(7).
"""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
COMMAND = "vecnet sandbox topologies/lab.yaml -- vecnet loopback topologies/lab.yaml"
COLUMNS = 118


def recorded(command: str) -> str:
    """What a command writes on a terminal, with its colours. Raises CalledProcessError where it fails."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    quiet = {"TERM": "xterm-256color", "PATH": path, "COLUMNS": str(COLUMNS)}
    # what is for people beside the answer, as progress, is not drawn
    with subprocess.Popen(
        command.split(), cwd=ROOT, env=os.environ | quiet, stdin=follower, stdout=follower, stderr=subprocess.DEVNULL
    ) as process:
        os.close(follower)
        written = b""
        with contextlib.suppress(OSError):  # EIO: nobody has it open any more
            while chunk := os.read(leader, 65536):
                written += chunk
        os.close(leader)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, written)
    return written.decode().replace("\r\n", "\n")


def drawn(command: str, answer: str) -> str:
    """A terminal with a command and its answer as SVG: the same bytes of the same text, and nothing to be fetched."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold"), command))
    console.print(Text.from_ansi(answer.rstrip("\n")), soft_wrap=True)
    svg = console.export_svg(title="vecnet", unique_id="vecnet")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def text_of(svg: str) -> list[str]:
    """The lines that a picture of `drawn` shows."""
    lines: dict[int, str] = {}
    for x, number, text in _PIECE.findall(svg):
        before = lines.get(int(number), "").ljust(round(float(x) / _CELL))
        lines[int(number)] = before + unescape(text).replace("\N{NO-BREAK SPACE}", " ")
    return [lines[number].rstrip() for number in sorted(lines)]


_CELL = 12.2  # a letter's width, in the picture's units
_PIECE = re.compile(r'x="([\d.]+)"[^>]* clip-path="url\(#vecnet-line-(\d+)\)">([^<]*)</text>')

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawn(COMMAND, recorded(COMMAND)))
