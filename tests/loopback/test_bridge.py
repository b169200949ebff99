"""Bridges, from member to member.

::

    guests a, b, c │ t-a ──┐
                   │ v-b ── lan (bridge)     alone ── single (bridge)
                   │ t-c ──┘
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.network import ip, private_network
from tests.need import need, need_command, need_root
from vecnet import host
from vecnet.loopback import LinkReport, Verdict, Verdicts, prove
from vecnet.loopback.bridge import of_subjects
from vecnet.loopback.subject import of_topology
from vecnet.topology import Topology, loads

LAB = """
name: bridges
links:
  - {transport: tap, endpoints: {a:vec0: {ip: 10.0.0.2/24}, host:t-a: {bridge: lan}}}
  - {transport: raw, endpoints: {b:vec0: {ip: "fd10::3/64"}, host:v-b: {bridge: lan}}}
  - {transport: fd, endpoints: {c:vec0: {ip: [10.0.0.4/24, "fd10::4/64"]}, host:t-c: {bridge: lan}}}
  - {transport: tap, endpoints: {d:vec0: {}, host:alone: {bridge: single}}}
bridges: {lan: {}, single: {}}
"""
NFT = "table {} lab {{ chain out {{ type filter hook forward priority 0; policy {}; {} }}\n}}"


@pytest.fixture
def lab() -> Iterator[Topology]:
    need_root()
    with private_network():
        topology = loads(LAB)
        host.up(topology)
        yield topology


def test_a_member_that_filters_or_is_impaired_is_not_asked() -> None:
    filtered = LAB.replace("{transport: raw,", "{transport: raw, filter: icmp,")
    impaired = filtered.replace("{transport: tap,", "{transport: tap, impair: loss 1%,", 1)
    members = [[one.members for one in of_subjects(of_topology(loads(text)))] for text in (LAB, filtered, impaired)]
    assert [list(map(len, each)) for each in members] == [[3], [2], []]


def proved(lab: Topology) -> Verdicts:
    return prove(lab.name, of_topology(lab), topology=lab, probes=["frames", "cross"])


def bridge(verdicts: Verdicts) -> LinkReport:
    """The only bridge that has two guests; the links themselves are whole."""
    (found,) = (link for link in verdicts.links if link.transport == "bridge")
    assert all(link.verdict is Verdict.PASS for link in verdicts.links if link is not found)
    assert found.link == "lan"
    return found


def nft(rules: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"needs a kernel with nftables: {done.stderr.strip()}")


def test_what_crosses(lab: Topology) -> None:
    found = bridge(proved(lab))
    assert found.verdict is Verdict.PASS, found.reason
    assert found.reason == "frames, IPv4 and IPv6 cross between 3 members"


@pytest.mark.parametrize("member", ["t-a", "v-b", "t-c"])
def test_a_member_whose_frames_the_bridge_does_not_forward(lab: Topology, member: str) -> None:
    need_command("nft")
    nft(NFT.format("bridge", "accept", f'oifname "{member}" drop;'))
    found = bridge(proved(lab))
    assert found.verdict is Verdict.FAIL
    assert "across lan: no frame comes. a packet filter may drop them: nftables, bridge lab out" in found.reason


def test_isolated_members(lab: Topology) -> None:
    need_command("bridge")
    for member in ("v-b", "t-c"):
        ip("link", "set", member, "type", "bridge_slave", "isolated", "on")
    found = bridge(proved(lab))
    assert found.verdict is Verdict.FAIL
    assert found.reason.startswith("b:vec0 to c:vec0 across lan: no frame comes")


@pytest.mark.parametrize(("family", "version"), [("ip", "4"), ("ip6", "6")])
def test_packets_that_the_hosts_filter_takes_from_the_bridge(lab: Topology, family: str, version: str) -> None:
    need_command("nft")
    switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-ip{'' if family == 'ip' else '6'}tables")
    need(switch.exists(), "needs br_netfilter")
    switch.write_text("1")
    nft(NFT.format(family, "drop", ""))
    found = bridge(proved(lab))
    assert found.verdict is Verdict.FAIL
    assert f"across lan: no IPv{version} packet comes" in found.reason
    assert "nftables, lab out, policy drop" in found.reason
