"""Wires of unusual sizes: a full queue makes a sender wait and loses nothing; one that is too short is named."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.host.network import private_network
from tests.need import need, need_command, need_root
from vecnet import host
from vecnet.datapath.port import open_port
from vecnet.loopback import LinkReport, Verdict, prove
from vecnet.loopback.nursery import Nursery
from vecnet.loopback.probes.mtu import mtu
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire, opened
from vecnet.topology import loads


def proved(text: str, probes: Sequence[str]) -> LinkReport:
    topology = loads(f"name: sizes\nlinks: [{{{text}}}]")
    with private_network():
        host.prepare_sandbox(topology)
        host.up(topology)
        return prove("sizes", of_topology(topology), topology=topology, probes=probes).links[0]


@pytest.mark.parametrize("size", ["mtu: 12000", "mtu: 65000", "mtu: 576", "depth: 192", "depth: 1024, mtu: 9000"])
@pytest.mark.parametrize("ends", ["transport: fd, endpoints: ['a:vec0', 'b:vec0']", "bess"])
def test_a_full_queue_is_no_loss(tmp_path: Path, ends: str, size: str) -> None:
    need_root()
    if ends == "bess":
        ends = f"transport: bess, endpoints: {{a:vec0: {{}}, host:port: {{path: {tmp_path}/switch}}}}"
    report = proved(f"{ends}, {size}", ["frames", "mtu", "burst"])
    assert report.verdict is Verdict.PASS, report.results


def test_a_queue_that_is_shorter_than_a_burst_is_named() -> None:
    need_root()
    report = proved("transport: tap, depth: 1024, endpoints: ['a:vec0', 'host:t0']", ["frames", "burst"])
    assert report.verdict is Verdict.FAIL
    assert "t0 holds 1000 packets, fewer than depth=1024: ip link set t0 txqueuelen 1024" in report.reason


FILTER = """
table netdev lab {
    chain in { type filter hook ingress device t0 priority 0; meta protocol %s drop; }
    chain out { type filter hook egress device t0 priority 0; meta protocol %s drop; }
}
"""


def test_tagged_frames_that_do_not_pass_are_told_and_no_failure() -> None:
    need_root()
    need_command("nft")
    topology = loads("name: sizes\nlinks: [{transport: tap, endpoints: ['a:vec0', 'host:t0']}]")
    with private_network():
        host.up(topology)
        rules = FILTER % ("vlan", "vlan")
        done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
        need(done.returncode == 0, f"needs a kernel with nftables at interfaces: {done.stderr.strip()}")
        (link,) = prove("sizes", of_topology(topology), topology=topology, probes=["mtu"]).links
    assert link.verdict is Verdict.PASS, link.reason
    assert "pass both ways, with a VLAN's tag" in link.results[1].reason
    assert "tag too" not in link.results[1].reason


def test_a_tag_that_the_wire_takes_away_is_a_failure() -> None:
    need_root()
    topology = loads("name: sizes\nlinks: [{transport: raw, endpoints: ['a:vec0', 'host:v0']}]")
    with private_network(), ExitStack() as stack:
        host.up(topology)
        (subject,) = of_topology(topology)
        with opened(subject) as wire:  # and is up to its ends
            macs = wire.macs
        assert subject.near.device is not None
        near = stack.enter_context(open_port(subject.near.device, restore_vlan=False))  # as a guest, which loses tags
        far = stack.enter_context(open_port("vec0:transport=raw,ifname=v0,gro=1"))
        with pytest.raises(Failed, match="host:v0 to a:vec0: a frame with a VLAN's tag comes without it"):
            mtu(Wire(subject, near, far, macs), Stacks(stack, Nursery(), {}))
