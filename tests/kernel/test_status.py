"""`vecnet status` tells the kernel's own counters of tunnels. The underlay is drawn in `lab.py`."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest

from tests.host.network import topology
from tests.kernel.guest_end import frame
from tests.kernel.lab import Pair, opened, outer, run, underlay
from vecnet import host
from vecnet.host.health import Report

pytestmark = pytest.mark.kernel


def with_a_checksum(pair: Pair) -> None:
    """GRE with a checksum, to a device that has none."""
    pair.guest.send(frame(b"checked"), chksum_present=1)


def too_large(pair: Pair) -> None:
    """More than the device's MTU and a VLAN tag."""
    pair.guest.send(frame(bytes(pair.link.mtu + 5)))


@pytest.mark.parametrize(
    ("link", "v6", "mistake"),
    [
        ("transport: gre, key: on", False, with_a_checksum),
        ("transport: gre", True, with_a_checksum),
        ("transport: l2tpv3, cookie: 32", False, too_large),
        ("transport: l2tpv3, encap: ip, cookie: 64", True, too_large),
    ],
    ids=["gretap", "ip6gretap", "l2tp-udp", "l2tp-ip6"],
)
def test_counters(link: str, v6: bool, mistake: Any) -> None:
    ends = f'{{a:vec0: {{local: "{outer(v6, 10)}"}}, host:t0: {{local: "{outer(v6, 1)}"}}}}'
    lab = topology(f"links: [{{{link}, endpoints: {ends}}}]")
    with underlay():
        host.up(lab)
        sent = [frame(bytes(size)) for size in (50, 500, 1000)]
        with opened(lab.links[0]) as pair:
            before = status()
            mistake(pair)
            if lab.interfaces[0].kind == "l2tp":
                pair.guest.send(frame(b"wrong"), cookie=pair.guest.transport.tx_cookie ^ 1)
            for inner in sent:
                pair.guest.send(inner)
                assert pair.device.recv(65536) == inner
            for inner in sent:
                pair.device.send(inner)
                pair.guest.receive()
            least = kernels()
            after = status()
            most = kernels()
        assert after.rx_packets - before.rx_packets == len(sent)
        assert after.errors - before.errors == 1
        assert after.tx_packets - before.tx_packets >= len(sent)  # and what the device says by itself
        for name in ("packets", "bytes"):
            assert least["tx"][name] <= getattr(after, f"tx_{name}") <= most["tx"][name]
            assert least["rx"][name] == getattr(after, f"rx_{name}") == most["rx"][name]
        if lab.interfaces[0].kind == "l2tp":
            assert after.tunnel["rx_cookie_discards"] == 1
        lines = run(f"{shlex.quote(sys.executable)} -m vecnet status lab").splitlines()
        titles, told = (next(line.split() for line in lines if word in line) for word in ("interface", "t0"))
        assert told[titles.index("rx")] == str(after.rx_packets)
        assert told[titles.index("errors")] == str(after.errors)


def status() -> Report:
    (entry,) = host.status("lab")
    return entry


def kernels() -> dict[str, dict[str, int]]:
    """What the kernel tells of t0."""
    counters: dict[str, dict[str, int]] = json.loads(run("ip -s -j link show t0"))[0]["stats64"]
    return counters
