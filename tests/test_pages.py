"""The pages of docs/: what each shows is run, top to bottom, in a folder and a network of its own, and prints what the
page says that it prints; what installs packages is passed over. tests/pages.py says what a block is.

A command within a sentence is held to exist.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from manual import pages
from tests.cli.command import EXECUTABLE, environment
from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from tests.pages import BLOCK, follow, install
from vecnet.cli import COMMANDS, vecnet

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
INDENTED = re.compile(r"^ {4}(?:[A-Z_]+=\S+ )*(?:sudo )?vecnet ([a-z].*)", re.MULTILINE)
WITH_GUESTS = ("tutorial.md", "howto/rootless.md")
WITH_BLOCKS = [name for name, text in TEXTS.items() if BLOCK.search(text)]


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
    path = f"{EXECUTABLE.parent}:{environment()['PATH']}"
    follow(TEXTS[name], folder, environment(PATH=path, XDG_RUNTIME_DIR=str(folder / "run"), TMPDIR=str(folder)))


@pytest.mark.parametrize("name", [name for name in WITH_BLOCKS if name not in WITH_GUESTS])
def test_a_page_does_what_it_shows(name: str, folder: Path) -> None:
    shows(name, folder)


@pytest.mark.uml
@pytest.mark.parametrize("name", WITH_GUESTS)
def test_a_page_with_guests(name: str, folder: Path) -> None:
    need_command("linux.uml", "slirp4netns", "ping")
    shows(name, folder)
    example = ROOT / "examples" / Path(name).stem  # of the same files
    assert all((folder / path.name).read_bytes() == path.read_bytes() for path in example.glob("*"))


def test_what_stands_indented_on_a_page_is_a_command_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those commands need what the page speaks of, another machine or a guest that runs: their words are looked at."""
    monkeypatch.chdir(tmp_path)
    seen = 0
    for name, text in TEXTS.items():
        for line in INDENTED.findall(text):
            words = shlex.split(re.split(r"  +| \| ", line)[0])
            for file in (word for word in words if word.endswith((".yaml", ".json"))):
                Path(file).touch()
            context = vecnet.make_context("vecnet", words, resilient_parsing=True)
            _, command, rest = vecnet.resolve_command(context, words)
            assert command is not None, (name, line)
            command.make_context(words[0], rest, parent=context)  # raises what a user would read
            seen += 1
    assert seen > 10


def test_a_page_installs_what_a_distribution_has() -> None:
    """`.ci/fresh` does so on machines that have nothing yet."""
    page = TEXTS["tutorial.md"]
    for distribution, other in (("debian", "ubuntu"), ("ubuntu", "debian")):
        (common, kernel) = install(page, distribution)
        assert "pipx install uml-vecnet" in common
        assert "install user-mode-linux" in kernel
        assert kernel not in install(page, other)


def test_there_are_pages() -> None:
    named = ("pytest", "prove", "rootless", "router", "eth0", "export", "wireshark", "many")
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
