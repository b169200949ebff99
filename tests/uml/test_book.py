"""A real guest as what is measured by the book: it bridges two of its devices, and the tester is at both others' ends.

left:vec0 ══ l2tpv3 ══ vec0 ─ br0 ─ vec1 ══ l2tpv3 ══ right:vec0
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.need import need_command
from tests.uml.guest import Kernel, Wiring

pytestmark = [pytest.mark.uml, pytest.mark.long]

VECNET = (sys.executable, "-m", "vecnet")
LAB = """
name: bridged
links:
  - transport: l2tpv3
    endpoints: {bridge:vec0: {local: 127.0.1.1}, left:vec0: {local: 127.0.1.2}}
  - transport: l2tpv3
    endpoints: {bridge:vec1: {local: 127.0.2.1}, right:vec0: {local: 127.0.2.2}}
"""
BRIDGE = """
at=/usr/lib/uml/modules/$(uname -r)/kernel/net  # where Debian's package has what its kernel has not
for module in ../lib/crc-ccitt ipv6/ipv6 llc/llc 802/stp bridge/bridge; do
    [ ! -e $at/$module.ko ] || insmod $at/$module.ko
done
ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0
for device in vec0 vec1 br0; do ip link set "$device" up; done
ip link set vec0 master br0 && ip link set vec1 master br0 && meet bridged host && meet measured host
"""


def test_a_guest_that_bridges_is_measured() -> None:
    need_command("insmod")
    with Wiring(Kernel.of()) as wiring:
        (file := wiring.folder / "bridged.yaml").write_text(LAB)
        strings = wiring.run(*VECNET, "args", file, "--guest", "bridge").stdout.split()
        words = ("loopback", file, "--rfc2544", "--through", "bridge", "--trial", "10ms", "--size", "64")
        chart = Path(wiring.folder, "chart.svg")
        before = wiring.run(*VECNET, *words, check=False)
        with wiring.boot(strings, BRIDGE).at("bridged"):
            done = wiring.run(*VECNET, *words, "--json", "-", "--svg", chart, check=False, timeout=100)
        assert before.returncode == 1, "no guest runs"
        assert done.returncode == 0, done.stdout + done.stderr
        drawn = chart.read_text()
    (link,) = json.loads(done.stdout)["links"]
    assert link["link"] == "left:vec0--bridge--right:vec0"
    opened, probe = link["probes"]
    assert (opened["verdict"], probe["probe"], probe["verdict"]) == ("pass", "64", "pass")
    for key in ("out", "in"):
        assert probe["figures"][f"{key}_pdr_frames_per_s"] > 0, probe
        assert probe["figures"][f"{key}_latency_min_us"] > 0
    assert "left:vec0--bridge--right:vec0" in drawn
