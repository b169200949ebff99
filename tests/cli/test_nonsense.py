"""Whatever is typed, read or broken off: a sentence and an exit status, never a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import vecnet as package
from tests.cli.command import EXECUTABLE, LAB, TAP, answer, environment, refused, vecnet
from tests.thorough import stride
from vecnet.cli import COMMANDS

TAKE_A_FILE = ("check", "args", "plan", "up", "loopback")


@pytest.fixture
def odd_files(tmp_path: Path) -> dict[str, Path]:
    """Files that are no topology, by what is wrong with them."""
    files = {
        "missing": tmp_path / "none.yaml",
        "a folder": tmp_path,
        "binary": tmp_path / "binary",
        "empty": tmp_path / "empty.yaml",
        "latin-1": tmp_path / "latin.yaml",
        "endless": Path("/dev/zero"),
        "too long a name": tmp_path / ("x" * 300),
    }
    files["binary"].write_bytes(Path(sys.executable).resolve().read_bytes()[:4096])
    files["empty"].write_bytes(b"")
    files["latin-1"].write_bytes("name: gerät\n".encode("latin-1"))
    return files


def test_help_and_version() -> None:
    assert answer("--version") == f"vecnet, version {package.__version__}\n"
    text = answer("--help")
    for name, line in COMMANDS.items():
        assert name in text
        assert line.split()[0] in text
    for name in list(COMMANDS)[:: stride(5)]:
        help_text = answer(name, "--help")
        assert help_text.startswith(f"Usage: vecnet {name} ")
        assert help_text == answer(name, "-h")


def test_python_m_vecnet() -> None:
    done = subprocess.run([sys.executable, "-m", "vecnet", "args", TAP], capture_output=True, text=True, check=True)
    assert done.stdout == answer("args", TAP)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage: vecnet"),
        (("chekc",), "No such command 'chekc'"),
        (("--bogus",), "No such option"),
        (("check",), "Missing argument"),
        (("args",), "Missing argument"),
        (("args", TAP, TAP), "unexpected extra argument"),
        (("args", TAP, "--format", "xml"), "'xml' is not one of"),
        (("args", TAP, "--guest"), "requires an argument"),
        (("plan", TAP, "--jason"), "No such option"),
        (("status", "a", "b"), "unexpected extra argument"),
        (("status", "a b"), "error: 'a b' is not the name of a topology"),
        (("down", ""), "error: '' is not the name of a topology"),
        (("down", "x" * 300), "is not the name of a topology"),
        (("down", "none.yaml"), "none.yaml: cannot be read: No such file or directory"),
        (("completion", "tcsh"), "'tcsh' is not one of"),
        (("sandbox",), "Missing argument"),
        (("run", TAP), "Missing argument"),
        (("up", TAP, "--guest", "nobody"), "has no guest 'nobody'"),
        (("check", "\udcff.yaml"), "cannot be read"),
        (("bench", "--json", "/nowhere/figures"), "'/nowhere/figures' cannot be written: there is no such folder"),
        (("bench", "--svg", ""), "it is empty"),
        (("loopback", TAP, "--markdown", "/"), "is a directory"),
    ],
)
def test_words_that_make_no_command(words: tuple[str | Path, ...], said: str) -> None:
    assert said in refused(*words)


@pytest.mark.parametrize("command", TAKE_A_FILE)
def test_files_that_are_no_topology(command: str, odd_files: dict[str, Path]) -> None:
    every = list(odd_files.items())
    for what, file in every if command == "check" else every[:: stride(3)]:
        said = refused(command, file)
        assert str(file) in said, what
        assert "error: " in said
    assert "'': cannot be read" in refused(command, "")


@pytest.mark.parametrize("command", TAKE_A_FILE)
def test_a_standard_input_that_cannot_be_read(command: str) -> None:
    script = 'exec "$0" "$@" <&-'
    done = subprocess.run(
        ["sh", "-c", script, EXECUTABLE, command, "-"], capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 2
    assert done.stderr == "error: standard input: cannot be read: it is closed\n"
    with open(os.devnull, "w") as writable:  # noqa: PTH123
        assert "standard input: cannot be read" in refused(command, "-", stdin=writable)


def test_a_topology_from_standard_input() -> None:
    assert answer("args", "-", input="links:\n- transport: tap\n  endpoints: [a:vec0, host:tap0]\n").startswith("vec0:")
    assert "standard-input:1:1: error:" in refused("args", "-", input="[]")


@pytest.mark.parametrize(
    "words",
    [("args", LAB), ("args", LAB, "--json"), ("check", "vec0:transport=tap"), ("--help",), ("completion", "bash")],
)
def test_a_reader_that_has_gone(words: tuple[str | Path, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [EXECUTABLE, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment()
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.parametrize("words", [("args", LAB), ("check", LAB)])
def test_a_full_disk(words: tuple[str | Path, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [EXECUTABLE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment()
        )
    assert done.stderr == "the answer cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_names_beyond_ascii_on_any_terminal(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("links:\n- transport: tap\n  endpoints: [a:vec0, host:größe]\n")
    for env in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "POSIX"}):
        assert "ifname=größe," in answer("args", file, env=env, encoding="utf-8")
    said = vecnet("check", "vec0:transport=tap,ifname=a\udcff", env={"LC_ALL": "C.UTF-8"})
    assert "which cannot be printed" in said.stdout


FAULT = """
import sys
import vecnet.cli.args
import vecnet.cli

def broken(file, on):
    raise RuntimeError("the roof leaks")

vecnet.cli.args.load_part = broken
vecnet.cli.main(["args", "lab.yaml"])
"""


def test_a_fault_of_its_own_is_a_sentence_and_on_demand_a_traceback() -> None:
    words = [sys.executable, "-c", FAULT]
    quiet = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    assert quiet.returncode == 1
    assert quiet.stderr == (
        "vecnet: a fault of its own: RuntimeError: the roof leaks\n"
        "Set VECNET_DEBUG=1 to see where, and please report it.\n"
    )
    loud = subprocess.run(words, capture_output=True, text=True, check=False, env=environment(VECNET_DEBUG="1"))
    assert loud.returncode == 1
    assert loud.stderr.startswith("Traceback")
    assert loud.stderr.endswith("RuntimeError: the roof leaks\n")


def test_a_mistake_is_no_fault_even_with_debug() -> None:
    assert refused("args", "none.yaml", env={"VECNET_DEBUG": "1"}).startswith("error: none.yaml")


def test_an_interrupted_command(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen([EXECUTABLE, "args", fifo], stderr=subprocess.PIPE, text=True, env=environment())
    writer = os.open(fifo, os.O_WRONLY)  # opens once the command reads
    said = ""
    while process.returncode is None:  # Python acts only on the next signal where one comes just before it reads
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, said = process.communicate(timeout=10)
    os.close(writer)
    assert process.returncode == 130
    assert said.strip() == "interrupted"


def test_an_interrupt_while_it_loads(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    for command in ([EXECUTABLE], [sys.executable, "-m", "vecnet"]):
        done = subprocess.run(
            [*command, "args", TAP],
            capture_output=True,
            text=True,
            check=False,
            env=environment(PYTHONPATH=str(tmp_path)),
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
