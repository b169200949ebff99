"""vecnet sandbox: a command in a network of its own, for root and for a user."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TAP, answer, environment, refused
from tests.host.network import ip, private_network
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
    allowed = subprocess.run([*USER, "unshare", "--user", "true"], capture_output=True, check=False)
    need(allowed.returncode == 0, "needs user namespaces")


both = pytest.mark.parametrize("before", [(), USER], ids=["root", "user"])


def interfaces() -> str:
    return subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout


@both
def test_the_topology_is_up_in_there_and_not_out_here(before: tuple[str, ...]) -> None:
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


BLUE = "name: lab\nlinks: [{transport: tap, endpoints: {web:vec0: {}, host:tap0: {netns: blue}}}]\n"


@both
@pytest.mark.parametrize("names", [("blue", "red"), ()], ids=["with names", "without any"])
def test_named_namespaces_are_the_sandboxs_own(before: tuple[str, ...], names: tuple[str, ...], tmp_path: Path) -> None:
    """Those of the host are neither seen nor changed, and no name is left there."""
    file = tmp_path / "blue.yaml"
    file.write_text(BLUE)
    with private_network():
        for name in names:
            ip("netns", "add", name)
        if not names:
            Path("/run/netns").rmdir()
        Path("/run/other").write_text("of the host")
        script = "ip netns list; ip -n blue -br link show tap0; ip netns add green && ip -n green link; cat /run/other"
        done = sandbox(file, "--", "sh", "-c", script, before=before)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("blue\ntap0 ")
        assert done.stdout.endswith("of the host")
        assert {path.name for path in Path("/run").iterdir()} == {"other", *(["netns"] if names else [])}
        if names:
            assert {path.name for path in Path("/run/netns").iterdir()} == {*names}
            assert "tap0" not in ip("-n", "blue", "link")
        assert not list(Path("/tmp").glob("vecnet-*/netns"))


@both
def test_an_owner_is_the_one_of_that_name_outside(before: tuple[str, ...], tmp_path: Path) -> None:
    owner = 1000 if before else 65534  # without root, nobody else is known in there
    file = tmp_path / "owned.yaml"
    file.write_text(
        "name: lab\nlinks: [{transport: tap, endpoints: {web:vec0: {}, "
        f"host:tap0: {{owner: {owner}, group: {owner}}}}}}}]\n"
    )
    vecnet = shlex.quote(str(EXECUTABLE))
    script = f"ip tuntap; {vecnet} plan {file} && {vecnet} status"
    done = sandbox(file, "--", "sh", "-c", script, before=before)
    assert done.returncode == 0, done.stderr
    here = 0 if before else owner
    assert f"user {here} group {here}" in done.stdout
    assert "nothing to do" in done.stdout + done.stderr
    if before:
        file.write_text(file.read_text().replace(str(owner), "65534"))
        assert "does not exist in this user namespace" in sandbox(file, "--", "true", before=before).stderr


@both
def test_processes_end_with_the_command(before: tuple[str, ...]) -> None:
    script = 'sh -c "trap : TERM HUP INT; sleep 300; sleep 300" & sleep 0.1; exit 7'
    with subprocess.Popen(
        [*before, EXECUTABLE, "sandbox", TAP, "--", "sh", "-c", script], stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "a process outlived the command"
        assert process.stdout.read() == b""
        assert process.wait(60) == 7


@both
@pytest.mark.parametrize("hidden", [False, True], ids=["", "parts of proc are hidden"])
def test_processes_end_with_a_sandbox_that_is_killed(before: tuple[str, ...], hidden: bool) -> None:
    """Where there may be no process namespace, the command itself does."""
    hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/irq && exec "$@"', "sh") if hidden else ()
    script = "echo up; exec sleep 300" if hidden else "sleep 300 & setsid sleep 300 & echo up; exec sleep 300"
    line = [*hide, *before, str(EXECUTABLE), "sandbox", str(TAP), "--", "sh", "-c", script]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert select.select([process.stdout], [], [], 60)[0], "a process outlived the sandbox"
        assert process.stdout.read() == ""  # the pipe's end: nobody has it any more


def test_a_process_finds_itself_in_proc() -> None:
    script = "import os; print(os.readlink('/proc/self') == str(os.getpid()), os.listdir('/proc').count('1'))"
    assert sandbox(TAP, "--", sys.executable, "-c", script).stdout == "True 1\n"


def test_signals_reach_the_command() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        line = [str(EXECUTABLE), "sandbox", str(TAP), "--", "sh", "-c", "echo up; exec sleep 300"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(number)
            assert process.wait(60) == 128 + number


def as_in_a_terminal() -> None:
    """What the process of the tests ignores or holds back, a new one would, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def test_an_interrupt_at_any_moment_ends_it_without_a_traceback() -> None:
    line = [str(EXECUTABLE), "sandbox", str(TAP), "--", "sh", "-c", "echo up; exec sleep 300"]
    for moment in (0, 0.0002, 0.0004, 0.0006, 0.1, 0.2, 0.3, 0.5):  # seconds after the network is there
        with subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            process_group=0,
            preexec_fn=as_in_a_terminal,
        ) as process:
            assert process.stdout is not None
            network = Path(f"/proc/{process.pid}/ns/net")
            while network.readlink() == Path("/proc/self/ns/net").readlink():  # the interpreter starts, vecnet loads
                time.sleep(0.001)
            select.select([process.stdout], [], [], moment)
            os.killpg(process.pid, signal.SIGINT)
            try:
                _, said = process.communicate(timeout=60)
            except subprocess.TimeoutExpired as error:
                look = [
                    "ps",
                    "-o",
                    "pid,ppid,stat,pending,blocked,ignored,caught,wchan:20,args",
                    "-g",
                    str(process.pid),
                ]
                left = subprocess.run(look, capture_output=True, text=True, check=False).stdout
                os.killpg(process.pid, signal.SIGKILL)
                pytest.fail(f"moment {moment}: {error.stdout!r} {error.stderr!r}\n{left}")
        assert said.strip() in ("", "interrupted"), said
        assert process.returncode == 130


LATE = """
import os, signal, sys, time
from vecnet import contained, sandbox

forked = contained._forked

def slowly(body):
    if body.__code__.co_names[0] == "_as_first":
        os.kill(os.getpid(), signal.SIGINT)  # while there is nobody else yet
    child = forked(body)
    time.sleep(0.5)  # the other processors go on meanwhile
    return child

sandbox.enter()
contained._forked = slowly
sys.exit(contained.run(sys.argv[1:], print))
"""


def test_an_interrupt_before_the_command_is_there_ends_it() -> None:
    line = [sys.executable, "-c", LATE, "sleep", "300"]
    assert subprocess.run(line, check=False, env=environment(), timeout=60).returncode == 130


def test_a_shell_has_its_jobs(tmp_path: Path) -> None:
    """Ctrl-C ends what a shell in a sandbox runs, and not the shell; Ctrl-Z stops it."""
    need_command("bash")
    shell = tmp_path / "shell"  # without the start-up files, which name a prompt of their own
    shell.write_text("#!/bin/sh\nexec bash --norc\n")
    shell.chmod(0o755)
    pid, terminal = pty.fork()
    if pid == 0:
        as_in_a_terminal()
        os.execve(EXECUTABLE, [str(EXECUTABLE), "sandbox", str(TAP)], environment(SHELL=str(shell), PS1="READY> "))
    try:
        said = ""
        for wanted, keys in (
            ("READY> ", "PS1='GO> '; echo wai''ting; sleep 300\n"),
            ("waiting", "\x03"),
            ("GO> ", "echo wai''ting again; sleep 300\n"),
            ("waiting again", "\x1a"),
            ("Stopped", "exit 5\n"),
            ("stopped jobs", "exit 5\n"),  # a shell warns once
        ):
            said = ""
            while wanted not in said:
                assert select.select([terminal], [], [], 60)[0], said
                said += os.read(terminal, 65536).decode()
            if wanted.startswith("waiting"):
                time.sleep(0.3)  # sleep takes the terminal
            os.write(terminal, keys.encode())
        deadline = time.monotonic() + 60
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline
            if select.select([terminal], [], [], 0.05)[0]:
                with suppress(OSError):
                    os.read(terminal, 65536)
        assert os.waitstatus_to_exitcode(ended[1]) == 5
    finally:
        os.close(terminal)
