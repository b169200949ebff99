"""vecnet run: what guests inherit, how they are started, how they end. The guests here are small programs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from vecnet import host
from vecnet.topology import load

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


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_guests_of_a_starter_with_closed_streams_inherit_the_right_descriptors(
    pair: Path, tmp_path: Path, closed: str
) -> None:
    kinds = "import os, re, sys; fd = int(re.search(r'fd=(\\d+)', sys.argv[3])[1]); "
    kinds += "open(sys.argv[2] + '/' + sys.argv[1], 'w').write(os.readlink(f'/proc/self/fd/{fd}'))"
    run = f'"$0" -m vecnet run {pair} -- "$0" -c "$1" {{guest}} {tmp_path} {closed}'
    subprocess.run(["sh", "-c", run, sys.executable, kinds], timeout=60, check=True)
    for guest in ("a", "b"):
        assert (tmp_path / guest).read_text().startswith("socket:"), closed


def test_a_limit_on_descriptors_is_named(pair: Path) -> None:
    run = f'ulimit -n 64; exec "$0" -m vecnet run {pair} -- true'
    done = subprocess.run(["sh", "-c", run, sys.executable], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 126
    assert "a| true is not started: dup2() failed: Bad file descriptor; a descriptor's number " in done.stdout
    assert "limit, 64; raise it with: ulimit -n" in done.stdout
    run = 'ulimit -n 16; exec "$0" -m vecnet run {} -- true'
    many = pair.with_name("many.yaml")
    links = "".join(f"  - {{transport: fd, endpoints: ['a{n}:vec0', 'b{n}:vec0']}}\n" for n in range(9))
    many.write_text(f"name: m\nlinks:\n{links}")
    done = subprocess.run(
        ["sh", "-c", run.format(many), sys.executable], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ulimit -n" in done.stderr
    assert "a fault of its own" not in done.stderr


def test_a_line_without_an_end_is_printed_as_it_comes(pair: Path) -> None:
    done = vecnet("run", pair, "--", "sh", "-c", "head -c 30000000 /dev/zero | tr '\\0' x; echo end", timeout=30)
    assert done.returncode == 0
    assert done.stdout.count("x") == 60_000_000
    assert len([line for line in done.stdout.splitlines() if line.endswith("end")]) == 2


@pytest.mark.parametrize("output", ["/dev/full", "a pipe that is closed"])
def test_guests_go_on_where_their_output_cannot_be_printed(pair: Path, tmp_path: Path, output: str) -> None:
    script = f"for i in 1 2 3; do echo line; sleep 0.2; done; echo done >{tmp_path}/{{guest}}"
    command = [sys.executable, "-m", "vecnet", "run", str(pair), "--", "sh", "-c", script]
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("wb") as full:
        stdout = full.fileno() if output == "/dev/full" else write
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert done.returncode == 0
    assert done.stderr.count("cannot be printed any more") == 1
    assert [(tmp_path / guest).read_text() for guest in "ab"] == ["done\n"] * 2


NAMED = """
name: named
links:
  - {transport: tap, endpoints: {web:vec0: {}, host:t: {netns: there}}}
  - {transport: fd, endpoints: [web:vec1, db:vec0]}
"""


@pytest.mark.parametrize("alone", [False, True])
def test_a_guest_starts_where_its_tap_is(tmp_path: Path, alone: bool) -> None:
    need_root()
    need_command("ip")
    (file := tmp_path / "named.yaml").write_text(NAMED if not alone else "\n".join(NAMED.splitlines()[:-1]))
    with private_network():
        ip("netns", "add", "there")
        host.up(load(file))
        done = vecnet("run", file, "--", "sh", "-c", "ip -br link show t 2>&1")
    said = sorted(line.split()[:3] for line in done.stdout.splitlines())
    assert said == ([["t", "DOWN", said[0][2]]] if alone else [["db", "|", "Device"], ["web|", "t", "DOWN"]]), said


def test_a_guest_that_would_have_to_be_in_two_places_is_refused(tmp_path: Path) -> None:
    (file := tmp_path / "torn.yaml").write_text(
        NAMED + "  - {transport: gre, endpoints: {web:vec2: {local: 127.0.0.2}, db:vec1: {local: 127.0.0.3}}}\n"
    )
    done = vecnet("run", file, "--up", "--", "true")
    assert done.returncode == 2
    assert "torn.yaml:4:5: error: web cannot start: its links lie in different network namespaces" in done.stderr


SWITCHED = """
name: switched
switches: {lan: }
links:
  - {transport: fd, endpoints: [a:vec0, lan:a]}
  - {transport: fd, endpoints: [b:vec0, lan:b]}
"""
# A guest that sends a frame to all until it has heard the other's.
NEIGHBOUR = """
import os, re, socket, sys
name, strings = sys.argv[1], sys.argv[2:]
link = socket.socket(fileno=int(re.search(r"fd=(\\d+)", strings[0])[1]))
link.settimeout(0.1)
own = b"\\xff" * 6 + b"\\x02\\0\\0\\0\\0" + name.encode() + b"\\x88\\xb5" + bytes(46)
heard = b""
while not heard:
    link.send(own)
    try:
        heard = link.recv(2000)
    except TimeoutError:
        pass
link.send(own)
print("hears", heard[11:12].decode())
"""


@pytest.fixture
def switched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "switched.yaml"
    path.write_text(SWITCHED)
    return path


def test_run_serves_what_its_guests_need(switched: Path) -> None:
    done = vecnet("run", switched, "--", sys.executable, "-c", NEIGHBOUR, "{guest}")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["a| hears b", "b| hears a"]
    assert not (switched.parent / "vecnet").exists()


@pytest.mark.parametrize("status", [0, 3])
def test_one_guest_with_a_switch_has_its_status_and_leaves_nothing(switched: Path, status: int) -> None:
    door = str(switched.parent / "vecnet/switched/lan:a")
    code = f"import os, sys; print(os.path.exists({door!r})); sys.exit({status})"
    done = vecnet("run", switched, "--guest", "a", "--", sys.executable, "-c", code)
    assert done.returncode == status, done.stderr
    assert done.stdout == "True\n"
    assert not (switched.parent / "vecnet").exists()


def test_the_end_of_who_serves_is_told(switched: Path) -> None:
    code = "import os, time; from vecnet.serving.control import server; os.kill(server('switched'), 9); time.sleep(0.5)"
    done = vecnet("run", switched, "--guest", "a", "--", sys.executable, "-c", code)
    assert done.returncode == 0
    assert re.fullmatch(r"who served switched to its guests has ended, process \d+; they go on without\n", done.stderr)


def test_run_uses_what_is_served_already(switched: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "vecnet", "serve", str(switched)], stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout
        assert "is served by process" in serving.stdout.readline()
        done = vecnet("run", switched, "--", sys.executable, "-c", NEIGHBOUR, "{guest}")
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.splitlines()) == ["a| hears b", "b| hears a"]
        assert serving.poll() is None
        serving.terminate()
        assert serving.wait(20) == 0


def test_what_cannot_be_served_keeps_guests_from_starting(switched: Path) -> None:
    switched.write_text(SWITCHED + "  - {transport: bess, endpoints: {c:vec0: , lan:c: {path: /proc/no/way}}}\n")
    done = vecnet("run", switched, "--guest", "a", "--", "echo", "started")
    assert done.returncode == 1
    assert "started" not in done.stdout
    assert "c:vec0--lan:c: " in done.stderr
    assert list((switched.parent / "vecnet").glob("*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_switch_ends_with_a_run_that_is_ended(switched: Path, number: int) -> None:
    ready = switched.parent / "ready"
    code = f"import time; open({str(ready)!r}, 'w').close(); time.sleep(60)"
    words = [sys.executable, "-m", "vecnet", "run", str(switched), "--guest", "a", "--", sys.executable, "-c", code]
    with subprocess.Popen(words) as run:
        deadline = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (switched.parent / "vecnet/switched/control").exists()
        run.send_signal(number)
        assert run.wait(20) == (128 + signal.SIGTERM if number == signal.SIGTERM else -number)
    while (switched.parent / "vecnet/switched").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (switched.parent / "vecnet/switched").exists()
