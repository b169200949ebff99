"""A lab on three machines, by ssh: all or nothing, also where one of them dies in the middle. Drawn in machines.py."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fleet.machines import Machines, running, settings
from vecnet.cli import vecnet
from vecnet.errors import VecnetError
from vecnet.fleet import lab, playbook
from vecnet.fleet.inventory import inventory
from vecnet.topology import load

LAB = """
name: lab
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}, gamma: {address: 192.0.2.13}}
guests: {web: {on: alpha}, db: {on: beta}, app: {on: gamma}}
bridges: {alpha:br0: {ip: 10.0.0.1/24}, gamma:br0: {}}
links:
  - {transport: tap, endpoints: {web:vec0: , alpha:tap0: {bridge: br0}}}
  - {transport: raw, endpoints: {db:vec0: , beta:tap0: {ip: 10.0.1.1/24}}}
  - {transport: tap, endpoints: {app:vec0: , gamma:tap0: {bridge: br0}}}
  - {transport: l2tpv3, endpoints: [web:vec1, db:vec1]}
  - {transport: gre, endpoints: [web:vec2, app:vec1]}
"""
# alpha's tap leaves its bridge, which has another address; beta has a second tap; gamma's tap is another one
CHANGED = (
    LAB.replace("tap0: {bridge: br0}}}\n  - {transport: raw", "tap0: {ip: 10.5.0.1/24}}}\n  - {transport: raw")
    .replace("10.0.0.1/24", "10.0.0.9/24")
    .replace("gamma:tap0:", "gamma:tap9:")
    + "  - {transport: tap, endpoints: [db:vec2, beta:tap2]}\n"
)
MADE = {"alpha": {"br0", "tap0"}, "beta": {"tap0", "p-tap0"}, "gamma": {"br0", "tap0"}}

LOCK = """
import socket, sys
lock = socket.socket(socket.AF_UNIX)
lock.bind(b"\\0vecnet.lock.0")
lock.listen(9)
print("held", flush=True)
waiting = lock.accept()
print("waited for", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("m")
    (folder / "lab.yaml").write_text(LAB)
    (folder / "changed.yaml").write_text(CHANGED)
    return folder


@pytest.fixture(scope="module")
def machines(folder: Path) -> Iterator[Machines]:
    with running(folder) as machines:
        yield machines


@pytest.fixture(autouse=True)
def configured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(folder).items():
        monkeypatch.setenv(name, value)


def said(*words: object) -> Result:
    return CliRunner().invoke(vecnet, [*map(str, words)])


def failure(done: Result) -> list[str]:
    """What is wrong, in the words of the command line, which exits with 1."""
    assert isinstance(done.exception, VecnetError), done
    assert done.exception.exit_code == 1
    return [str(problem) for problem in done.exception.problems]


def names(machines: Machines) -> dict[str, set[str]]:
    return {name: set(found) for name, found in machines.interfaces().items()}


def test_up_makes_all_hosts_ends_and_a_second_time_changes_nothing(machines: Machines, folder: Path) -> None:
    topology = load(folder / "lab.yaml")
    done = said("up", folder / "lab.yaml", "--json")
    assert done.exit_code == 0, (done.exception, done.stderr)
    assert names(machines) == MADE
    strings = {guest: one["strings"] for guest, one in json.loads(done.stdout).items()}
    assert strings == {guest: [str(one) for one in topology.devices(guest)] for guest in topology.guests}
    assert set(done.stderr.splitlines()) == {"alpha: lab: 2 made", "beta: lab: 1 made", "gamma: lab: 2 made"}
    before = machines.interfaces()
    *_, last = playbook.events("up", lab.variables(topology), inventory(topology))
    assert {host: (one["changed"], one["failures"]) for host, one in last.result.items()} == dict.fromkeys(
        topology.hosts, (0, 0)
    )
    assert machines.interfaces() == before


def test_loopback_reaches_them_as_up_does(machines: Machines, folder: Path) -> None:
    """By what Ansible is configured to, in the environment and in ansible.cfg."""
    done = said("loopback", folder / "lab.yaml", "--quick", "--only", "web:vec1", "--json", "-")
    assert done.stdout, done.exception
    (link,) = json.loads(done.stdout)["links"]
    assert (done.exit_code, link["verdict"]) == (0, "pass"), link


def test_a_machine_that_dies_in_the_middle_leaves_the_others_as_before(machines: Machines, folder: Path) -> None:
    said("up", folder / "lab.yaml") if names(machines) != MADE else None
    before = machines.interfaces("alpha", "gamma")
    end = threading.Event()

    def strike() -> None:  # beta waits for the lock that another vecnet there has, until the others are done
        while not end.is_set() and not (
            "10.0.0.9" in str(machines["alpha"].interfaces()) and "tap9" in machines["gamma"].interfaces()
        ):
            time.sleep(0.1)
        machines["beta"].kill()

    machines["beta"].start(LOCK)
    striker = threading.Thread(target=strike)
    striker.start()
    try:
        done = said("up", folder / "changed.yaml")
    finally:
        end.set()
        striker.join()
    told = failure(done)
    assert not done.stdout
    assert {"alpha: lab: 2 changed", "gamma: lab: 1 made, 1 removed, 1 unchanged"} <= set(done.stderr.splitlines())
    assert told[0].startswith("beta: cannot be reached: "), told
    assert told[1].startswith("beta: what was made there may still be there: cannot be reached"), told
    assert "its next `vecnet up` or `vecnet down lab` heals it" in told[1]
    assert told[2:] == ["alpha, gamma: as before, nothing is left of this run"]
    assert machines.interfaces("alpha", "gamma") == before


def test_one_that_cannot_be_reached_stops_all_before_anything_changes(machines: Machines, folder: Path) -> None:
    machines["beta"].kill()
    before = machines.interfaces("alpha", "gamma")
    (told,) = failure(said("up", folder / "changed.yaml"))
    assert told.startswith("beta: cannot be reached: "), told
    assert machines.interfaces("alpha", "gamma") == before


def test_down_goes_on_without_one_that_is_dead_and_leaves_nothing(machines: Machines, folder: Path) -> None:
    machines["beta"].kill()
    done = said("down", folder / "lab.yaml")
    (told,) = failure(done)
    assert told.startswith("beta: cannot be reached: "), told
    machines.start("beta")
    assert names(machines) == {"alpha": set(), "beta": set(), "gamma": set()}


FILL = """
set -e
keep=/run/keep; mkdir "$keep"; mount --bind "$1" "$keep"
mount --bind "$HOME" "$HOME"; mount -o remount,bind,ro "$HOME"  # where Python would write at last
for place in /tmp /var/tmp; do mount -t tmpfs -o size=64k full "$place"; done
mkdir -p "$1"; mount --bind "$keep" "$1"
mount -o remount,size=128k /run
for place in /run /tmp /var/tmp; do cat /dev/zero >"$place/full" 2>/dev/null || true; done
"""


def test_a_disk_that_is_full_in_the_middle_is_named_and_all_are_as_before(
    machines: Machines, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """alpha waits for its lock until the disk of beta, whose turn comes after it, is full."""
    monkeypatch.setenv("ANSIBLE_FORKS", "1")
    said("down", folder / "lab.yaml")
    before = machines.interfaces()

    def strike() -> None:
        if machines["alpha"].says() != "waited for\n":
            return  # `up` has ended before, and says why
        machines["beta"].run("sh", "-c", FILL, "sh", str(folder))
        machines["alpha"].stop()

    machines["alpha"].start(LOCK)
    striker = threading.Thread(target=strike)
    striker.start()
    try:
        done = said("up", folder / "lab.yaml")
    finally:
        machines["alpha"].end()
        striker.join()
    told = failure(done)
    assert not done.stdout
    assert "alpha: lab: 2 made" in done.stderr, told
    assert told[0].startswith("beta: what Ansible starts there has failed: FileNotFoundError: "), told
    assert "No usable temporary directory found in ['/run', '/tmp', '/var/tmp', " in told[0]
    assert told[0].endswith("; make room on its disk")
    assert told[1].startswith("beta: what was made there may still be there: what Ansible starts there has failed: ")
    assert told[2:] == ["alpha, gamma: as before, nothing is left of this run"]
    assert machines.interfaces() == before
