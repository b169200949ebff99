"""Guests whose raw links have a `filter:`, as `vecnet up` compiles it: real ones read the file that their strings name.

guest ── vec0 ══ arp or icmp ══ veth0, the host        vec1 ══ arp or (ip and tcp port 80) ══ veth1
"""

from __future__ import annotations

import sys

import pytest

from tests.need import need_command
from tests.uml.guest import Kernel, Wiring

pytestmark = pytest.mark.uml

LAB = """
name: filtered
links:
  - {transport: raw, filter: arp or icmp, endpoints: {a:vec0: {}, host:veth0: {ip: 10.5.0.2/24}}}
  - {transport: raw, filter: arp or (ip and tcp port 80), endpoints: {a:vec1: {}, host:veth1: {ip: 10.5.1.2/24}}}
"""
SCRIPT = """
up vec0 10.5.0.1/24; up vec1 10.5.1.1/24
for wire in 0 1; do
    ping -q -n -c 1 -W 2 10.5.$wire.2 >/dev/null; echo "ping$wire=$?"
    ip neigh show dev vec$wire | grep -q "10.5.$wire.2 .*lladdr"; echo "arp$wire=$?"
done
"""


@pytest.mark.alike
def test_what_passes_is_what_the_filter_says(kernel: Kernel) -> None:
    """The answer to ARP passes on both wires, the one to a ping on the first alone."""
    need_command("tcpdump")
    with Wiring(kernel) as wiring:
        file = wiring.folder / "filtered.yaml"
        file.write_text(LAB)
        words = wiring.run(sys.executable, "-m", "vecnet", "up", file).stdout.split()
        strings = [word for word in words if word.startswith("vec")]
        assert len(strings) == 2
        assert all(",bpffile=" in string for string in strings)
        report = wiring.boot(strings, SCRIPT, name="a").wait()
        wiring.run(sys.executable, "-m", "vecnet", "down", file)
    assert report.status == 0, report
    assert report.values == {"ping0": "0", "arp0": "0", "ping1": "1", "arp1": "0"}, report
