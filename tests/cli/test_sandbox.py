"""vecnet sandbox: a command in a network of its own, for root and for a user."""

from __future__ import annotations

import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TAP, answer, environment, refused
from tests.need import need, need_command, need_root

USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")  # no capability, as after a login


def sandbox(
    *words: str | Path, before: tuple[str, ...] = (), input: str | None = None
) -> subprocess.CompletedProcess[str]:
    line = [*before, EXECUTABLE, "sandbox", *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment(), input=input, timeout=60)


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()
    need_command("ip", "unshare", "sh")


def interfaces() -> str:
    return subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("before", [(), USER], ids=["root", "user"])
def test_the_topology_is_up_in_there_and_not_out_here(before: tuple[str, ...]) -> None:
    if before:
        allowed = subprocess.run([*USER, "unshare", "--user", "true"], capture_output=True, check=False)
        need(allowed.returncode == 0, "needs user namespaces")
    outside = interfaces()
    done = sandbox(LAB, "--", "ip", "-br", "link", before=before)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert {line.split()[0].partition("@")[0] for line in done.stdout.splitlines()} == {
        *("lo", "lan", "tap-web", "hyb-app", "veth-db", "p-veth-db")
    }
    assert interfaces() == outside


def test_the_commands_exit_status_and_output_are_its_own() -> None:
    done = sandbox(TAP, "--", "sh", "-c", 'echo out; echo "$1" >&2; exit 7', "sh", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "--json\n")
    assert sandbox(TAP, "--", "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL
    assert sandbox(TAP, "--", "sh", "-c", "kill -TERM $PPID; exec sleep 60").returncode == 128 + signal.SIGTERM
    missing = sandbox(TAP, "--", "no-such-command")
    assert (missing.returncode, missing.stderr) == (127, "no-such-command: No such file or directory\n")
    assert sandbox(TAP, "--", "/etc/passwd").returncode == 126


def test_a_topology_from_standard_input() -> None:
    done = sandbox("-", "--", "ip", "-br", "link", "show", "tap-one", input=TAP.read_text())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tap-one ")


def test_args_say_the_same_in_there() -> None:
    assert sandbox(LAB, "--", EXECUTABLE, "args", LAB).stdout == answer("args", LAB)


@pytest.mark.parametrize("start", [[EXECUTABLE], [sys.executable, "-m", "vecnet"]], ids=["command", "module"])
def test_vecnet_is_found_in_there_though_no_environment_is_active(start: list[str | Path]) -> None:
    folders = "/usr/sbin:/usr/bin:/sbin:/bin"
    if shutil.which("vecnet", path=folders):
        pytest.skip("vecnet is installed for all")
    for line in (["vecnet", "status"], ["sh", "-c", "vecnet status"]):
        words = [*start, "sandbox", TAP, "--", *line]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment(PATH=folders))
        assert done.returncode == 0, done.stderr
        assert "tap-one" in done.stdout


def test_a_vecnet_that_is_in_the_path_stays_the_one(tmp_path: Path) -> None:
    other = tmp_path / "vecnet"
    other.write_text("#!/bin/sh\necho another\n")
    other.chmod(0o755)
    line: list[str | Path] = [EXECUTABLE, "sandbox", TAP, "--", "vecnet"]
    env = environment(PATH=f"{tmp_path}:{environment()['PATH']}")
    assert subprocess.run(line, capture_output=True, text=True, check=True, env=env).stdout == "another\n"


def test_a_broken_file_is_told_before_anything_is_made() -> None:
    assert "none.yaml: cannot be read" in refused("sandbox", "none.yaml", "--", "true")


def test_the_command_ends_with_a_sandbox_that_is_killed() -> None:
    line = [str(EXECUTABLE), "sandbox", str(TAP), "--", "sh", "-c", "echo $$; exec sleep 300"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        assert select.select([process.stdout], [], [], 60)[0], f"process {pid} outlived the sandbox"
        assert process.stdout.read() == ""  # the pipe's end: nobody has it any more
