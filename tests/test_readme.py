"""The commands of the README, word for word: each is run in a shell, in a network of its own, and does what is said.

What stands for something else there (FILE, NAME, CMD…) is filled in; a command that is new in the README has to say
here how it is to be run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from manual.recording import COMMAND, drawn, recorded, text_of
from tests.cli.command import EXECUTABLE, environment
from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from vecnet import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = [block for block in re.split(r"\n(?! {4}|\n)", README) if "\n    " in block]
PROGRAMS = ("vecnet", "make", "pytest", "linux", "eval", "python")

GRE = "vec0:transport=gre,src={0},dst={1},rx_key=1,tx_key=1,mac=02:00:00:00:00:0{2}"
ONE = GRE.format("127.0.0.2", "127.0.0.3", 1)
FILLED_IN = {  # in this order
    "loopback 'vec0:…'": f"loopback '{ONE}' --mirror",
    "'vec0:…'": f"'{ONE}'",
    "'mem=… eth0=… vec0:…'": f"'mem=256M {ONE}'",  # legacy strings are refused by one generation at least
    "[--guest G]": "--guest web",
    "--guest G": "--guest web",
    "[FILE]": "lab.yaml",
    "[NAME]": "lab",
    "FILE": "lab.yaml",
    "NAME": "lab",
    "CMD…": "vecnet status",
    "CODE": "misfit",
}
SPOKEN_OF = {"vecnet check", "vecnet plug", "vecnet run", "vecnet serve"}  # and not to be typed so
UP = ("status", "down", "loopback", "run", "plan", "capture")  # which the topology has to be up for

SERVED = "exec 3< <(exec timeout 20 vecnet serve topologies/rootless.yaml); read -u 3 -r ready; "
LONG = {  # how it is run here, and why not word for word
    "vecnet serve FILE": "timeout --preserve-status 10 vecnet serve topologies/rootless.yaml",  # endless
    "vecnet capture FILE LINK": "vecnet capture lab.yaml web:vec0 --seconds 1 | tcpdump -r -",  # endless
    "vecnet plug FILE --guest G": "! HOME=/nonexistent vecnet plug lab.yaml --guest web",  # no guest runs
    "vecnet impair FILE LINK IMPAIRMENT": f"{SERVED} vecnet impair topologies/rootless.yaml lan:web 'loss 1%'; kill $!",
    "vecnet impair FILE LINK off": f"{SERVED} vecnet impair topologies/rootless.yaml lan:web off; kill $!",
    "vecnet bench": "vecnet bench --quick --transport fd --no-guest --no-streams --no-making",  # minutes
    "vecnet watch [FILE]": "vecnet watch lab.yaml --count 1 --interval 0.1",  # endless
    "vecnet watch [NAME]": "vecnet watch lab --count 1 --interval 0.1",
    "make test": "make --dry-run test",  # this
    "make docs": "make --dry-run docs",  # fetches what builds it
    "make onefile": "make --dry-run onefile",  # … and what packs it
}


def commands() -> Iterator[str]:
    """Every command line of the README."""
    for block in BLOCKS:
        for line in block.splitlines():
            words = line.strip().removeprefix("$ ").partition("  #")[0].strip()
            if line.startswith("    ") and words.split()[:1] and words.split()[0] in PROGRAMS:
                yield words
    prose = re.sub(r"^ {4}.*", "", README, flags=re.MULTILINE)
    for span, alternative in re.findall(r"`([^`]+)`(?: or `([^`]+)`)?", prose.replace("\n", " ")):
        if span.split()[0] in PROGRAMS and len(span.split()) > 1:
            yield span
            if alternative:  # `vecnet down FILE` or `NAME`
                yield span.rsplit(maxsplit=1)[0] + " " + alternative


COMMANDS = [one for one in dict.fromkeys(commands()) if one not in SPOKEN_OF]


def lab() -> str:
    """The topology that the README shows."""
    (block,) = (block for block in BLOCKS if "\n    name: lab\n" in block)
    lines = block.partition("\n    name: lab\n")[2].splitlines()
    return "name: lab\n" + "".join(f"{line.removeprefix('    ')}\n" for line in lines)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder as a reader has it: the README's topology, and the source's examples; `linux` shows its words."""
    need_root()
    need_command("ip", "bash", "make")
    (tmp_path / "lab.yaml").write_text(lab())
    for name in ("topologies", "examples", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    linux = tmp_path / "bin" / "linux"
    linux.parent.mkdir()
    linux.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    linux.chmod(0o755)
    with private_network():
        ip("link", "set", "lo", "up")
        yield tmp_path


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}:{EXECUTABLE.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT if script.startswith("make ") else folder,
        env=environment(PATH=path),
        stdin=subprocess.DEVNULL,
        timeout=250,
    )
    assert "fault of its own" not in done.stderr
    assert "Traceback" not in done.stderr
    return done


def filled_in(command: str) -> str:
    for word, value in FILLED_IN.items():
        command = command.replace(word, value)
    return command


def test_it_is_short() -> None:
    """The rest is in docs/, whose pages tests/test_pages.py runs."""
    assert len(README.splitlines()) <= 120


def test_there_are_commands() -> None:
    assert {"make demo", "make test", "vecnet plan FILE", "vecnet down NAME", "vecnet check 'vec0:…'"} <= set(COMMANDS)
    assert {command.split()[1] for command in COMMANDS if command.startswith("vecnet")} >= {
        *("check", "args", "plan", "up", "status", "down", "loopback", "bench", "sandbox", "run", "plug", "serve"),
        *("doctor", "capture", "impair", "export"),
    }


@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "make demo"])
def test_a_command_of_the_readme(command: str, folder: Path) -> None:
    line = LONG.get(command, filled_in(command))
    if command.split()[1] in UP:
        bash("vecnet up lab.yaml", folder).check_returncode()
    done = bash(line, folder)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    said = done.stdout + done.stderr
    if "linux" in command:
        strings = [word for word in done.stdout.splitlines() if word.startswith("vec")]
        assert [str(parse(string)) for string in strings] == strings
        assert len(strings) == 2
    elif "loopback" in command:
        assert "PASS" in said
        assert "FAIL" not in said
    elif not command.startswith(("eval", "python")):
        assert said


@pytest.mark.uml
def test_the_demo() -> None:
    need_root()
    need_command("linux.uml", "ping", "ip", "make")
    done = subprocess.run(
        ["make", "demo"], capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a real guest pinged the host through a wire that vecnet made" in done.stdout


def test_the_report_that_the_readme_shows(folder: Path) -> None:
    """The picture has nothing that a run would not write, and the page fetches nothing from elsewhere."""
    assert "](docs/recording.svg)" in README
    picture = (ROOT / "docs/recording.svg").read_text()
    assert text_of(picture) == text_of(drawn(COMMAND, recorded(COMMAND)))
    assert text_of(picture)[-1] == "lab: 6 of 6 links pass"
    assert not re.search(r"(href|src|url)\W+https?:", picture)


def test_the_strings_that_the_readme_shows(folder: Path) -> None:
    """Where it has … there may be anything."""
    (block,) = (block for block in BLOCKS if "vec0:transport=tap,ifname=tap-web" in block)
    shown = [line.strip() for line in block.splitlines() if line.startswith("    vec")]
    printed = bash("vecnet up lab.yaml --guest web", folder).stdout.splitlines()
    for line, pattern in zip(printed, shown, strict=True):
        assert re.fullmatch(re.escape(pattern).replace("…", ".*"), line)
