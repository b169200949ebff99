"""Guests' vde devices: how a guest starts vde_plug, what passes a real vde_switch, and a port in a guest's place.

guest a ── vde_plug ──┐
guest b ── vde_plug ──┼── a vde_switch
a port  ── vde_plug ──┘
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.datapath.networks import PLUG_WORDS
from tests.datapath.wires import MAC_A, MAC_B, receive, wait_for
from tests.need import need_command
from tests.uml import agent
from tests.uml.guest import PYTHON, Kernel, Report, Wiring
from vecnet import open_port
from vecnet.guests import GENERATIONS

pytestmark = pytest.mark.uml

PINGS = """
up vec0 10.9.0.{own}/24
meet up {other} || exit 1
full_size() {{ ping -q -n -c 3 -i 0.05 -W 5 -M do -s 1472 10.9.0.{far} >/dev/null 2>&1; }}
until_ok full_size; echo ping=$?
meet done {other}
"""
TOPOLOGY = """
name: vde
guests: {{a: {{kernel: {kernel}}}, b: {{kernel: {kernel}}}}}
links:
  - {{transport: vde, endpoints: {{a:vec0: {{descr: first}}, outside:vde: {{url: "vde://{folder}", port: "3"}}}}}}
  - {{transport: vde, endpoints: {{b:vec0: {{}}, outside:vde: {{url: "vde://{folder}"}}}}}}
"""
AGENT = f"""
ip link set vec0 up
{PYTHON} {shlex.quote(agent.__file__)} "$here" vec0
"""


@pytest.fixture(scope="module")
def having(kernel: Kernel) -> Kernel:
    """The kernel, if it has the transport."""
    if next(guest for guest in GENERATIONS if str(guest) == kernel.generation).lacks:
        pytest.skip(f"{kernel.generation} has no transport vde: tests/traps")
    need_command("vde_switch", "vde_plug")
    return kernel


@contextmanager
def wiring_with_switch(kernel: Kernel) -> Iterator[tuple[Wiring, Path]]:
    """A network, and the folder of a vde_switch in it."""
    with Wiring(kernel) as wiring:
        folder = wiring.folder / "sw"
        wiring.start("vde_switch", "--sock", folder, "--mgmt", f"{folder}.mgmt", stdin=subprocess.PIPE)
        wait_for(lambda: Path(f"{folder}.mgmt").exists())
        yield wiring, folder


def test_two_guests_reach_each_other_with_what_vecnet_says(having: Kernel) -> None:
    with wiring_with_switch(having) as (wiring, folder):
        file = wiring.folder / "vde.yaml"
        file.write_text(TOPOLOGY.format(kernel=having.generation, folder=folder))
        strings = {
            name: wiring.run(sys.executable, "-m", "vecnet", "args", file, "--guest", name).stdout.split()
            for name in "ab"
        }
        assert all(string.startswith("vec0:transport=vde,vnl=vde://") for (string,) in strings.values())
        ends = {"a": {"own": 1, "far": 2, "other": "b"}, "b": {"own": 2, "far": 1, "other": "a"}}
        poison = ["slub_debug=P"]  # nothing of a device is left to what was in memory
        guests = {
            name: wiring.boot(strings[name], PINGS.format(**ends[name]), name=name, words=poison) for name in ends
        }
        reports = {name: guest.wait() for name, guest in guests.items()}
    assert {name: report.values.get("ping") for name, report in reports.items()} == {"a": "0", "b": "0"}, reports["a"]


@pytest.mark.parametrize(("options", "words"), PLUG_WORDS, ids=["as-it-is", "all"])
def test_how_a_guest_starts_its_program(
    having: Kernel, monkeypatch: pytest.MonkeyPatch, options: str, words: list[str]
) -> None:
    """What the datapath does as well: tests/datapath/test_vde.py."""
    with Wiring(having) as wiring:
        plug = wiring.folder / "vde_plug"
        plug.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{wiring.folder}/words\n")
        plug.chmod(0o755)
        monkeypatch.setenv("PATH", f"{wiring.folder}:{os.environ['PATH']}")
        guest = wiring.boot([f"vec0:transport=vde,vnl=vde:///some/where{options}"], "ip link set vec0 up; sleep 0.2")
        guest.wait()
        *first, pair, url = (wiring.folder / "words").read_text().splitlines()
    assert (first, url) == (words, "vde:///some/where")
    assert pair.startswith("seqpacket://")


def test_a_port_has_a_guest_on_the_same_switch(having: Kernel) -> None:
    """The guest returns what it takes and sends frames of its own, each of which comes as it was."""
    with wiring_with_switch(having) as (wiring, folder):
        string = f"vec0:transport=vde,vnl=vde://{folder}"
        guest = wiring.boot([f"{string},mac={MAC_A.hex(':')}"], AGENT)
        with wiring.entered(), open_port(f"{string},mac={MAC_B.hex(':')}") as port:
            wait_for(lambda: (guest.folder / "ready").exists(), 60)
            hello = asked(0, 60)
            for _ in range(100):  # neither plug tells when it has joined
                port.send(hello)
                if receive(port, 1, 0.2):
                    break
            while port.recv(0.2):
                pass
            frames = [asked(number, size) for number, size in enumerate((60, 61, 1000, 1513, 1514))]
            assert port.send(frames) == len(frames)
            assert receive(port, len(frames), 10) == [agent.returned(frame) for frame in frames]
            (guest.folder / "go").touch()
            assert receive(port, agent.SENDS, 10) == [agent.sent(number) for number in range(agent.SENDS)]
            (guest.folder / "stop").touch()
        report = guest.wait()
    assert report.status == 0, report


def asked(number: int, size: int) -> bytes:
    """A frame that the guest returns."""
    return MAC_A + MAC_B + agent.ASKED + bytes((number,)) * (size - 14)


def deaf(report: Report) -> bool:
    """Up, and nothing passes."""
    return report.values["state"] == "up" and report.values["received"] == "0"


@pytest.mark.parametrize("missing", ["switch", "program"])
def test_a_guest_comes_up_deaf_where_its_helper_fails(
    having: Kernel, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    script = """
    ip link set vec0 up && echo state=up
    ip address add 10.9.0.1/24 dev vec0; ping -c 1 -W 1 10.9.0.2 >/dev/null
    echo received=$(cat /sys/class/net/vec0/statistics/rx_packets)
    """
    with Wiring(having) as wiring:
        if missing == "program":
            nsenter = subprocess.run(["sh", "-c", "command -v nsenter"], capture_output=True, text=True, check=True)
            (wiring.folder / "nsenter").symlink_to(nsenter.stdout.strip())
            monkeypatch.setenv("PATH", str(wiring.folder))
        report = wiring.boot(["vec0:transport=vde,vnl=vde:///none"], script).wait()
    assert deaf(report), report
