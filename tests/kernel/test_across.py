"""vecnet loopback across two hosts whose kernels' tunnels join a bridge on each: one LAN, proved from trunk to trunk.

here: br0 10.9.0.1 ── trunk ═ 192.0.2.1 ═══ veth ═══ 192.0.2.10 ═ trunk ── br0 10.9.0.2: there, the namespace "far"
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.host.network import ip, within
from tests.kernel.lab import outer, run, underlay
from vecnet import host
from vecnet.fleet.proof import AGENT
from vecnet.fleet.reach import of_variables
from vecnet.loopback import Verdict, across
from vecnet.loopback.across.between import between
from vecnet.loopback.across.machine import living, started
from vecnet.topology import loads

pytestmark = [pytest.mark.kernel, pytest.mark.long]

LAB = f"""
name: lab
hosts:
  here: {{address: ["{outer(False, 1)}", "{outer(True, 1)}"]}}
  there: {{address: ["{outer(False, 10)}", "{outer(True, 10)}"]}}
guests: {{web: {{on: here}}}}
bridges: {{here:br0: {{ip: 10.9.0.1/24}}, there:br0: {{ip: 10.9.0.2/24}}, here:br1: , there:br1: }}
links:
  - {{transport: gre, name: gre, endpoints: {{here:trunk: {{bridge: br0}}, there:trunk: {{bridge: br0}}}}}}
  - transport: l2tpv3
    name: l2tp
    cookie: 64
    endpoints: {{here:wide: {{bridge: br1}}, there:wide: {{bridge: br1}}}}
  - transport: l2tpv3
    name: guest
    encap: ip
    endpoints: {{web:vec0: {{ip: 10.8.0.1/24}}, there:far: {{ip: 10.8.0.2/24}}}}
"""
PROBES = ("frames", "ping")
NAMESPACES = {"here": None, "there": "far"}


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with underlay():
        yield


REACHES = {
    "here": of_variables("here", {"ansible_connection": "local"}),
    "there": of_variables("there", {"ansible_connection": "vecnet.uml.netns", "ansible_netns": "far"}),
}


@pytest.mark.timeout(900)  # an emulated processor starts two agents in a minute
def test_a_lan_over_two_hosts_is_proved_and_its_breaks_are_told() -> None:
    lab = loads(LAB)
    parts = {machine: lab.on(machine) for machine in lab.hosts}
    for machine, namespace in NAMESPACES.items():
        with within(namespace):
            host.up(parts[machine])
    with started({name: reach.command(*AGENT) for name, reach in REACHES.items()}) as machines:
        report = across.prove(lab, machines, probes=PROBES)
        assert report.exit_code == 0, [(link.link, link.reason) for link in report.links]
        assert {link.link: link.far_end for link in report.links} == dict.fromkeys(
            ("gre", "l2tp", "guest"), "the host on there"
        )
        absent = {link.link for link in report.links for one in link.results if one.verdict is Verdict.ABSENT}
        assert absent == {"l2tp"}  # whose ends have no address to ping

        with within("far"):
            (trunk,) = json.loads(ip("-d", "-j", "link", "show", "trunk"))
            okey = trunk["linkinfo"]["info_data"]["okey"]
            ip("link", "set", "trunk", "type", "gretap", "ikey", "0.0.0.9", "okey", okey)
        (broken,) = (link for link in lab.links if link.name == "gre")
        with living(machines.values()):
            told = between([broken], parts, machines, probes=("frames",))[0].reason
    assert "on there, trunk: " in told
    assert "key is 9, and should be" in told
    assert "here:trunk to there:trunk: 3 packets sent, " in told
    for namespace in NAMESPACES.values():
        with within(namespace):
            host.down("lab")
            assert "trunk" not in run("ip link")
