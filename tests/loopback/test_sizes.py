"""Wires of unusual sizes: a full queue makes a sender wait and loses nothing; one that is too short is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.host.network import private_network
from tests.need import need_root
from vecnet import host
from vecnet.loopback import LinkReport, Verdict, prove
from vecnet.loopback.subject import of_topology
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
