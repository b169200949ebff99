"""What the pages of docs/ show: their blocks, in order, and what each is to do. It needs Python alone, and no vecnet.

    `lab.yaml`:   before a block    the block is that file
    ```sh                           commands; they must succeed
    ```text                         what the commands before it print, among other lines; … is anything
    ```python                       a program; where a file's name stands before it, that file
    On Debian:    before a block    it installs what the page needs, there; likewise lines that install packages

On a fresh machine a page is followed as a reader does, in an empty folder:

    python3 pages.py install PAGE debian    prints the commands that install packages there
    python3 pages.py follow PAGE            does all the rest
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INSTALLS = re.compile(r"(sudo apt-get|pipx?) install ")
_FILE = re.compile(r"`([\w.]+)`[^`]*:$")
_ON = re.compile(r"On (Debian or Ubuntu|Debian|Ubuntu)\b[^:]*:$")
_SECONDS = 240  # for a block


def missing(shown: str, said: str) -> list[str]:
    """The lines that a page shows and that were not printed."""
    printed = said.splitlines()
    patterns = {line: re.escape(line.rstrip()).replace("…", ".*") for line in shown.splitlines()}
    return [line for line, one in patterns.items() if not any(re.fullmatch(one, out.rstrip()) for out in printed)]


def follow(page: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Do all that a page shows but for installing. Raises AssertionError where something else comes of it."""
    said = ""
    for before, language, text in BLOCK.findall(page):
        file = _FILE.search(before)
        if file:
            (folder / file[1]).write_text(text)
        elif language == "sh":
            if not _ON.match(before):
                lines = text.splitlines()
                said = _run("\n".join(line for line in lines if not _INSTALLS.match(line)), folder, environment)
        elif language == "text":
            lacking = missing(text, said)
            assert not lacking, (lacking, said)
        else:
            assert language == "python", f"the page does not say which file is ```{language}"
            (folder / "shown.py").write_text(text)
            said = _run("python shown.py", folder, environment)


def install(page: str, distribution: str) -> Iterator[str]:
    """The commands with which a page installs what it needs, on a distribution."""
    for before, language, text in BLOCK.findall(page):
        on = _ON.match(before)
        if on:
            if distribution in on[1].lower().split():
                yield text
        elif language == "sh":
            yield from (f"{line}\n" for line in text.splitlines() if _INSTALLS.match(line))


def _run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-m", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=_SECONDS,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, (script, said)
    assert "Traceback" not in said, (script, said)
    return said


def main(what: str, path: str, distribution: str = "") -> None:
    page = Path(path).read_text()
    if what == "install":
        print("".join(install(page, distribution)), end="")
    else:
        follow(page, Path.cwd(), os.environ)
        print(f"{path}: all is as the page says")


if __name__ == "__main__":
    main(*sys.argv[1:])
