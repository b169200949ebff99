"""vecnet loopback of one host's part: in a sandbox a twin plays what is on another machine, and is called simulated."""

from __future__ import annotations

import json
import sys

from tests.cli.command import TOPOLOGIES, vecnet
from tests.need import need_root

EXAMPLE = TOPOLOGIES / "three-hosts.yaml"
LOOPBACK = (sys.executable, "-m", "vecnet", "loopback", EXAMPLE, "--on", "beta", "--json", "-")
PROBES = ("open", "frames", "mtu", "burst")


def test_a_twin_plays_the_other_hosts_in_a_sandbox() -> None:
    need_root()
    probes = [word for probe in PROBES for word in ("--probe", probe)]
    done = vecnet("sandbox", EXAMPLE, "--on", "beta", "--", *LOOPBACK, *probes)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {link["link"]: link for link in json.loads(done.stdout)["links"]}
    assert {name: link["far_end"] for name, link in found.items()} == {
        "green:vec0--two:green": "vecnet's own switch",
        "one:two--two:one": "a simulated twin",
        "three:two--two:three": "a simulated twin",
    }
    assert [probe["verdict"] for link in found.values() for probe in link["probes"]] == ["pass"] * 12
