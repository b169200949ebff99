"""A thousand L2TP sessions over UDP, made by `up` and by `ip -batch`: the same devices, and what either takes.

The processor is emulated, and Python there twenty times as slow as on a real one. So time in the kernel is told apart.

    VECNET_KERNEL_TESTS="kernel and long" python -m tests.kernel.boot -s tests/kernel/test_sessions.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import environment, vecnet
from tests.kernel.lab import run, underlay

COUNT = 1000
OURS, THEIRS = "192.168.7.1", "192.168.7.2"
LINK = "  - {{transport: l2tpv3, endpoints: {{g{0}:vec0: {{local: {2}}}, host:s{0}: {{local: {1}}}}}}}\n"

pytestmark = [pytest.mark.kernel, pytest.mark.long]


def lab() -> Path:
    """In the test's own /run, which hides what was below it."""
    links = "".join(LINK.format(number, OURS, THEIRS) for number in range(COUNT))
    bridge = f"bridges: {{below: {{ip: [{OURS}/24, {THEIRS}/24]}}}}\n"
    file = Path("/run/sessions.yaml")
    file.write_text(f"name: sessions\n{bridge}links:\n{links}")
    return file


def timed(what: str, *command: str | Path) -> None:
    """Run it, and print what it takes: seconds, of which in the program, and in the kernel for it."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, what
    print(f"{what}: {time.monotonic() - began:.1f} s, {used.ru_utime:.1f} its own, {used.ru_stime:.1f} the kernel's")


def commands(file: Path) -> list[str]:
    """What the exported script tells ip."""
    script = vecnet("export", file, "--for", "iproute2").stdout
    (_, making) = script.split("trap 'exit 143' TERM\n")
    return [line.strip().removeprefix("ip ") for line in making.splitlines() if line.startswith("    ip ")]


def made() -> tuple[list[str], list[str]]:
    """Devices and sessions, in an order of their own: without what the kernel chooses, the group, by which the script
    alone knows its own, and what a mark says of who made it and how it was then, which ip does not know."""
    left_out = {"ifindex", "flags", "operstate", "linkinfo", "group"}
    return _told("ip -j -d link", left_out), _told("ip -j l2tp show session", left_out)


def _told(command: str, without: set[str]) -> list[str]:
    found: list[dict[str, object]] = json.loads(re.sub(r" (home|is)=[^ \"]+", "", run(command)))
    known = ({key: value for key, value in one.items() if key not in without} for one in found)
    return sorted(json.dumps(one, sort_keys=True) for one in known)


def test_what_a_thousand_sessions_take() -> None:
    command = (sys.executable, "-m", "vecnet")
    with underlay():
        file = lab()
        timed("args", *command, "args", file)  # starting, loading and the strings, and nothing that is made or read
        timed("up", *command, "up", file)
        ours = made()
        timed("ip -j -d link", "ip", "-j", "-d", "link")
        timed("ip l2tp show session", "ip", "-j", "l2tp", "show", "session")
        timed("second up", *command, "up", file)
        timed("down", *command, "down", "sessions")
        batch = Path("/run/batch")
        batch.write_text("\n".join(commands(file)) + "\n")
        timed("ip -batch", "ip", "-batch", batch)
        theirs = made()
        timed("down of the same", *command, "down", "sessions")
    assert len(ours[1]) == COUNT
    for one, other in zip(ours, theirs, strict=True):
        assert not set(one) ^ set(other)
