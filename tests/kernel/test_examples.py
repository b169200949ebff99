"""The examples of kernel tunnels: the commands at their top make what vecnet makes, and frames pass either way."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.host.network import host_state, private_network
from tests.kernel.lab import check_from_guest, check_to_guest, opened, run
from tests.need import need, need_command, need_root
from tests.thorough import stride
from vecnet import host
from vecnet.topology import Topology, load

pytestmark = pytest.mark.kernel

FOLDER = Path(__file__).parents[2] / "topologies"
EXAMPLES = ("gretap", "ip6gretap", "l2tpv3-udp", "l2tpv3-ip")
# what only vecnet gives, for it to know its own and for addresses to be the same on every run
OWN = ("ifalias", "group", "address")


def commands(text: str) -> str:
    """The commands in the comment at a file's top: what is indented there, and begins with a command."""
    lines = [line.removeprefix("#   ") for line in text.split("\nname:")[0].splitlines() if line.startswith("#   ")]
    whole = "\n".join(lines).replace("\\\n", "")
    return "\n".join(line for line in whole.splitlines() if line.startswith(("ip ", "ethtool ")))


def state(topology: Topology) -> list[Any]:
    """Everything that the kernel tells of a topology's interfaces and tunnels, without vecnet's own marks."""
    names = [interface.ifname for interface in topology.interfaces]
    entries = [entry for entry in host_state(numbers=False) if entry["ifname"] in names]
    for entry in entries:
        for key in OWN:
            entry.pop(key, None)
    tunnels = run("ip l2tp show tunnel") + run("ip l2tp show session")
    return [*entries, *(run(f"ethtool -k {name}") for name in names), re.sub(r"(?i)(tunnel) \d+", r"\1 N", tunnels)]


def frames_pass(topology: Topology) -> None:
    with opened(topology.links[0], namespace=None) as pair:
        check_to_guest(pair)
        check_from_guest(pair)


@pytest.mark.parametrize("name", list(EXAMPLES)[:: stride(2)])
def test_the_commands_make_what_vecnet_makes(name: str) -> None:
    need("VECNET_KERNEL" in os.environ, "needs a kernel with gretap and l2tp: make test-kernel")
    need_root()
    need_command("ip", "ethtool")
    path = FOLDER / f"{name}.yaml"
    with private_network():
        run("ip link set lo up")
        topology = load(path)
        host.up(topology)
        made = state(topology)
        frames_pass(topology)
        host.down(name)
    with private_network():
        run("ip link set lo up")
        subprocess.run(["sh", "-e", "-c", commands(path.read_text())], check=True)
        by_hand = state(topology)
        frames_pass(topology)
    for entry, expected in zip(by_hand, made, strict=True):
        assert entry == expected
