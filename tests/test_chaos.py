"""Random SIGKILLs over whatever makes something: then `down`, and nothing is left, not an interface, not a process.

Each command has a network, mounts and a TMPDIR that belong to the test, and is killed, it alone, at a moment that
follows from a seed. `vecnet down` is all that may be needed afterwards.

VECNET_CHAOS is how many are killed in all, 4 where it is not set; 200 take minutes. VECNET_SEED is another seed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, environment
from tests.host.network import ip, private_network
from tests.need import need_command, need_root

KILLS = int(os.environ.get("VECNET_CHAOS", "4"))
EACH = 8  # kills in one test
SEED = int(os.environ.get("VECNET_SEED", "13"))
TEMPORARY = Path(f"/mnt/tmp-{os.getpid()}")  # by which this test's processes are known
PATIENCE = 10.0  # seconds in which what belongs to a killed command has to be gone

LAB = """
name: chaos
links:
  - {transport: tap, endpoints: {web:vec0: {ip: 10.0.0.2/24}, host:tap-web: {bridge: lan}}}
  - {transport: raw, endpoints: {db:vec0: {ip: 10.0.0.3/24}, host:veth-db: {bridge: lan}}}
  - {transport: fd, endpoints: {web:vec1: {ip: 10.1.0.1/24}, db:vec1: {ip: 10.1.0.2/24}}}
  - transport: gre
    endpoints: {web:vec2: {local: 127.0.0.5, ip: 10.2.0.1/24}, db:vec2: {local: 127.0.0.6, ip: 10.2.0.2/24}}
  - {transport: bess, endpoints: {web:vec3: {path: @/guest, ip: 10.3.0.1/24}, host:port1: {path: @/switch}}}
bridges: {lan: {ip: 10.0.0.1/24}}
"""
SLEEPER = "sleep 300 & exec sleep 300"

COMMANDS = {  # with the seconds within which they are killed
    "up": (("up", "lab.yaml"), 1.2),
    "down": (("down", "chaos"), 1.0),
    "run": (("run", "lab.yaml", "--", "sh", "-c", "exec sleep 300"), 2.0),
    "loopback": (("loopback", "lab.yaml"), 8.0),
    "sandbox": (("sandbox", "lab.yaml", "--", "sh", "-c", SLEEPER), 2.5),
    "sandboxed loopback": (("sandbox", "lab.yaml", "--", "vecnet", "loopback", "lab.yaml"), 8.0),
    "bench": (("bench", "--quick", "-t", "raw"), 12.0),
}
UP_BEFORE = ("down", "run", "loopback")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    need_root()
    need_command("ip", "sleep")
    with private_network():
        ip("link", "set", "lo", "up")
        # a /tmp of its own as well: whatever is left there is seen
        subprocess.run(["mount", "-t", "tmpfs", "none", "/mnt"], check=True)
        (work := Path("/mnt/work")).mkdir()
        TEMPORARY.mkdir()
        (work / "lab.yaml").write_text(LAB.replace("@", str(work)))
        yield work


def vecnet(*words: str, folder: Path) -> subprocess.Popen[bytes]:
    env = environment(PATH=f"{EXECUTABLE.parent}:{environment()['PATH']}", TMPDIR=str(TEMPORARY))
    with (folder / "log").open("wb") as log:
        command = [str(EXECUTABLE), *words]
        return subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def done(*words: str, folder: Path) -> None:
    process = vecnet(*words, folder=folder)
    assert process.wait(120) == 0, (words, (folder / "log").read_text())


def processes() -> dict[int, str]:
    """What the killed commands have started, wherever it is now."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is a zombie
            words = (entry / "environ").read_bytes().split(b"\0")
            if f"TMPDIR={TEMPORARY}".encode() in words and "\nState:\tZ" not in (entry / "status").read_text():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def left(folder: Path) -> dict[str, object]:
    """What there is beside an untouched host."""
    names = [line.split()[1].rstrip(":").partition("@")[0] for line in ip("-o", "link").splitlines()]
    sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if "vecnet" in line]
    found: dict[str, object] = {
        "interfaces": [name for name in names if name != "lo"],
        "processes": processes(),
        "namespaces": [path.name for path in Path("/run/netns").iterdir()],
        "files": sorted(str(path) for path in [*TEMPORARY.rglob("*"), *folder.iterdir()]),
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if "vecnet" in line],
        "locks": sockets,
        "addresses": [line for line in ip("-o", "address").splitlines() if "127.0.0.1/8" not in line],
    }
    return {what: value for what, value in found.items() if value}


@pytest.mark.parametrize("part", range(-(-KILLS // EACH)))
def test_nothing_is_left_of_whatever_is_killed(folder: Path, part: int) -> None:
    chance = random.Random(SEED + part)
    (folder / "log").touch()
    expected = left(folder)
    for number in range(part * EACH, min(KILLS, (part + 1) * EACH)):
        name = chance.choice(list(COMMANDS))
        words, seconds = COMMANDS[name]
        moment = chance.uniform(0, seconds)
        if name in UP_BEFORE:
            done("up", "lab.yaml", folder=folder)
        process = vecnet(*words, folder=folder)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done("down", "chaos", folder=folder)
        until = time.monotonic() + PATIENCE
        while (now := left(folder)) != expected and time.monotonic() < until:
            time.sleep(0.02)
        assert now == expected, f"kill {number}, of {name} after {moment:.3f} s (seed {SEED})"
