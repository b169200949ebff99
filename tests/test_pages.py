"""The pages of docs/: what each shows is run, top to bottom, in a folder and a network of its own, and prints what the
page says that it prints.

    `lab.yaml`:   before a block    the block is that file
    ```sh                           commands; they must succeed, and what installs packages is passed over
    ```text                         what the commands before it print, among other lines; … is anything
    ```python                       a program; where a file's name stands before it, that file

A command within a sentence is held to exist.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from manual import pages
from tests.cli.command import EXECUTABLE, environment
from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from vecnet.cli import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
BLOCK = re.compile(r"([^\n]*)\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLS = re.compile(r"(sudo apt-get|pipx?) install ")
WITH_BLOCKS = [name for name, text in TEXTS.items() if BLOCK.search(text)]


def commands(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not INSTALLS.match(line))


def run(script: str, folder: Path) -> str:
    path = f"{EXECUTABLE.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-m", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment(PATH=path, XDG_RUNTIME_DIR=str(folder / "run"), TMPDIR=str(folder)),
        stdin=subprocess.DEVNULL,
        timeout=240,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, (script, said)
    assert "Traceback" not in said
    return said


def missing(shown: str, said: str) -> list[str]:
    """The lines that a page shows and that were not printed."""
    printed = said.splitlines()
    patterns = {line: re.escape(line.rstrip()).replace("…", ".*") for line in shown.splitlines()}
    return [line for line, one in patterns.items() if not any(re.fullmatch(one, out.rstrip()) for out in printed)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    need_root()
    need_command("ip", "bash")
    (tmp_path / "run").mkdir(mode=0o700)
    with private_network():
        ip("link", "set", "lo", "up")
        ip("address", "add", "192.0.2.1/24", "dev", "lo")
        yield tmp_path


def shows(name: str, folder: Path) -> None:
    said = ""
    for before, language, text in BLOCK.findall(TEXTS[name]):
        file = re.search(r"`([\w.]+)`[^`]*:$", before)
        if file:
            (folder / file[1]).write_text(text)
        elif language == "sh":
            said = run(commands(text), folder)
        elif language == "text":
            assert not missing(text, said), said
        else:
            assert language == "python", f"{name} does not say which file is ```{language}"
            (folder / "shown.py").write_text(text)
            said = run("python shown.py", folder)


@pytest.mark.parametrize("name", [name for name in WITH_BLOCKS if name != "tutorial.md"])
def test_a_page_does_what_it_shows(name: str, folder: Path) -> None:
    shows(name, folder)


@pytest.mark.uml
def test_the_tutorial(folder: Path) -> None:
    need_command("linux.uml", "slirp4netns", "ping")
    shows("tutorial.md", folder)


def test_there_are_pages() -> None:
    named = ("pytest", "prove", "router", "eth0", "export", "wireshark", "many")
    assert {"tutorial.md", *(f"howto/{name}.md" for name in named)} <= set(WITH_BLOCKS)


def test_commands_within_sentences_are_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in {**TEXTS, **pages()}.items():
        for program, word in re.findall(r"`(vecnet|make) ([a-z][\w-]*)", text):
            known = set(COMMANDS) if program == "vecnet" else targets
            assert word in known, (name, program, word)


def test_pages_that_are_made_name_every_declaration() -> None:
    made = pages()
    assert all(f"## vecnet {name}\n" in made["reference/commands.md"] for name in COMMANDS)
    assert {f"transports/{path.stem}.md" for path in (ROOT / "_native" / "transports").glob("*.c")} < set(made)


@pytest.mark.long
def test_the_site_is_built_without_a_warning() -> None:
    """Links and anchors among the pages are held, too."""
    done = subprocess.run(["make", "docs"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "site" / "transports" / "gre.html").exists()
