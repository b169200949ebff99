"""vecnet run: what guests inherit, how they are started, how they end. The guests here are small programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.need import need_root

# A guest that greets on each of its devices, and prints what the other end of each says.
GREETER = """
import os, re, socket, sys
name, strings = sys.argv[1], sys.argv[2:]
for string in strings:
    fd = int(re.search(r"fd=(\\d+)", string)[1])
    link = socket.socket(fileno=fd)
    link.send(f"{name} {string.partition(':')[0]}".encode())
    link.settimeout(20)
    print(string.partition(":")[0], "hears", link.recv(2000).decode())
"""

PAIR = """
name: pair
links:
  - transport: fd
    endpoints: [a:vec0, b:vec0]
"""


def vecnet(*words: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vecnet", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}  # which xdist sets
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=environment
    )


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    path = tmp_path / "pair.yaml"
    path.write_text(PAIR)
    return path


def test_both_guests_inherit_an_end_of_each_link(tmp_path: Path) -> None:
    # vec0 and vec1 have each other's usual numbers, and low ones that the sockets may have here at first
    topology = tmp_path / "two.yaml"
    topology.write_text(
        """
name: two
links:
  - transport: fd
    endpoints:
      a:vec0: {fd: 101}
      b:vec0: {fd: 7}
  - transport: fd
    endpoints:
      a:vec1: {fd: 100}
      b:vec1: {fd: 8}
"""
    )
    done = vecnet("run", topology, "--", sys.executable, "-c", GREETER, "{guest}")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "a| vec0 hears b vec0",
        "a| vec1 hears b vec1",
        "b| vec0 hears a vec0",
        "b| vec1 hears a vec1",
    ]


def test_a_guest_alone_is_named_with_the_one_it_needs(pair: Path) -> None:
    done = vecnet("run", pair, "--guest", "a", "--", "true")
    assert done.returncode == 2
    assert "pair.yaml:4:" in done.stderr
    assert "add --guest b" in done.stderr


def test_the_exit_status_is_the_first_that_is_not_zero(pair: Path) -> None:
    assert vecnet("run", pair, "--", "sh", "-c", "[ {guest} = a ] || exit 7").returncode == 7
    assert vecnet("run", pair, "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = vecnet("run", pair, "--", "./no-such-kernel")
    assert missing.returncode == 127
    assert "a| ./no-such-kernel: No such file or directory" in missing.stdout


def test_one_guest_takes_the_process_over(tmp_path: Path) -> None:
    topology = tmp_path / "one.yaml"
    topology.write_text(
        "name: one\nlinks: [{transport: gre, endpoints: {'a:vec0': {local: 127.0.0.2}, 'b:vec0': {local: 127.0.0.3}}}]"
    )
    command = [sys.executable, "-m", "vecnet", "run", str(topology), "-g", "a", "--", "sh", "-c", 'echo $$ "$@"', "sh"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=60)
    assert output.startswith(f"{process.pid} vec0:transport=gre,")
    assert vecnet("run", topology, "-g", "a", "--", "./no-such-kernel").returncode == 127


def test_a_guest_of_its_own_interface_must_find_it_up(tmp_path: Path) -> None:
    topology = tmp_path / "tap.yaml"
    topology.write_text("name: t\nlinks: [{transport: tap, endpoints: ['a:vec0', 'host:vecnet-none0']}]")
    done = vecnet("run", topology, "--", "true")
    assert done.returncode == 1
    assert "vecnet-none0" in done.stderr
    assert "vecnet up" in done.stderr


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_guests_end_with_their_starter(pair: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "vecnet", "run", str(pair), "--", "sh", "-c", "echo $$; exec sleep 300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        guests = [int(process.stdout.readline().split("| ")[1]) for _ in range(2)]
        assert all(map(_alive, guests))
        os.kill(process.pid, number)
        status = process.wait(20)
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    end = time.monotonic() + 20
    while any(map(_alive, guests)):
        assert time.monotonic() < end, "guests outlived vecnet"
        time.sleep(0.05)


def test_guests_ignore_what_their_starter_ignores(pair: Path) -> None:
    script = 'kill -HUP $$ $PPID; echo "{guest} goes on"'
    done = subprocess.run(
        ["nohup", sys.executable, "-m", "vecnet", "run", str(pair), "--", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["a| a goes on", "b| b goes on"]


def test_a_signal_while_guests_start_reaches_every_one(tmp_path: Path) -> None:
    many = tmp_path / "many.yaml"
    names = [f"g{number:02}" for number in range(40)]
    many.write_text(
        "name: m\nlinks:\n"
        + "".join(
            f"  - {{transport: fd, endpoints: ['{one}:vec0', '{other}:vec0']}}\n"
            for one, other in zip(names[::2], names[1::2], strict=True)
        )
    )
    command = [sys.executable, "-m", "vecnet", "run", str(many), "--", "sh", "-c", "echo up; exec sleep 300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 3:
            time.sleep(0.0005)  # some have started, and most have not
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM


READER = """
import os, re, subprocess, sys
fd = int(re.search(r"fd=(\\d+)", sys.argv[1])[1])
frame = bytes.fromhex("ffffffffffff 020000000001 0806 0001 0800 0604 0001 020000000001 0a000d02 000000000000 0a000d01")
os.write(fd, frame.ljust(60, b"\\0"))
while (frame := os.read(fd, 2000))[12:22] != bytes.fromhex("0806 0001 0800 0604 0002"):
    pass  # what the host's stack says by itself
print("the host at", ".".join(map(str, frame[28:32])), "answers with bare frames")
"""


def test_a_tap_is_inherited_open(tmp_path: Path) -> None:
    need_root()
    topology = tmp_path / "tap.yaml"
    topology.write_text(
        """
name: fd-tap
links:
  - transport: fd
    endpoints:
      web:vec0: {ip: 10.0.13.2/24}
      host:tap-fd: {ip: 10.0.13.1/24}
"""
    )
    run = (sys.executable, "-m", "vecnet", "run", topology, "--")
    done = vecnet("sandbox", topology, "--", *run, sys.executable, "-c", READER)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the host at 10.0.13.1 answers with bare frames\n"
    held = vecnet("sandbox", topology, "--", *run, *run, "true")
    assert held.returncode == 1
    assert "tap-fd is open already" in held.stderr
