"""Sixteen hosts, each a network namespace: how the time of `up` grows, and that nothing is left or changed twice."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.test_netns import folder, inventory, said
from tests.host.network import ip, private_network
from tests.need import need_command, need_root

__all__ = ["folder"]  # a fixture

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
HOSTS = [f"h{number}" for number in range(16)]


@contextmanager
def many_hosts() -> Iterator[None]:
    """They are there within the block."""
    need_root()
    need_command("ip")
    with private_network():
        for number, name in enumerate(HOSTS, 1):
            ip("netns", "add", name)
            ip("-n", name, "link", "add", "eth0", "up", "type", "bridge")
            ip("-n", name, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
        yield


@pytest.fixture
def hosts() -> Iterator[None]:
    with many_hosts():
        yield


def lab(count: int) -> str:
    """Guests on each host, in a ring."""
    some = HOSTS[:count]
    lines = [f"name: lab{count}", "hosts:"]
    lines += [f"  {name}: {{address: 192.0.2.{number}}}" for number, name in enumerate(some, 1)]
    lines += ["guests:", *(f"  g-{name}: {{on: {name}}}" for name in some), "links:"]
    lines += [f"  - {{transport: tap, endpoints: [g-{name}:vec0, {name}:tap{count}]}}" for name in some]
    ring = zip(some, [*some[1:], some[0]], strict=True)
    lines += [
        f"  - {{transport: l2tpv3, endpoints: [g-{one}:vec{1 + (at & 1)}, g-{two}:vec{1 + (at & 1)}]}}"
        for at, (one, two) in enumerate(ring)
    ]
    return "\n".join(lines)


@pytest.mark.usefixtures("hosts")
def test_the_time_of_up_grows_with_the_number_of_hosts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_FORKS", "2")
    (folder / "hosts.yml").write_text(inventory(HOSTS))
    seconds = {}
    for count in (2, 8, 16):
        file = folder / f"lab{count}.yaml"
        file.write_text(lab(count))
        began = time.monotonic()
        done = said("up", file)
        seconds[count] = time.monotonic() - began
        assert done.exit_code == 0, done.exception
        assert len(re.findall(r": 1 made$", done.stderr, re.MULTILINE)) == count
        again = said("up", file)
        assert again.stdout == done.stdout
        assert len(re.findall(r": nothing to do, 1 interface as wanted$", again.stderr, re.MULTILINE)) == count
        assert said("down", file).exit_code == 0
        assert not any(f"tap{count}" in ip("-n", name, "-br", "link") for name in HOSTS)
    print(seconds)
    fixed = seconds[2] - (seconds[8] - seconds[2]) / 3  # of Ansible itself, whatever the number of hosts
    assert seconds[16] - fixed < 2.5 * (seconds[8] - fixed), seconds
