"""A real guest on a bridge that was there before, and one whose tunnel ends at a router of another network.

guest "web" vec0 10.5.0.2 ── tap-web ── br0 10.5.0.1, which is not vecnet's
guest "web" vec0 10.6.0.1 ── 192.0.2.1 ═ wan ══ isp ═ 192.0.2.9 ── a port ══ raw ── inner 10.6.0.2 of the router
"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cli.command import EXECUTABLE
from tests.uml.guest import Wiring
from vecnet import open_port
from vecnet.datapath.loops import forward
from vecnet.topology import load
from vecnet.vecstring import VecDevice

pytestmark = pytest.mark.uml

BRIDGE = """\
name: joins
links:
  - transport: tap
    endpoints: {web:vec0: {}, host:tap-web: {bridge: br0}}
bridges: {br0: {existing: on}}
"""
ROUTER = """\
name: far
links:
  - transport: l2tpv3
    cookie: 64
    endpoints: {web:vec0: {local: 192.0.2.1}, elsewhere:router: {local: 192.0.2.9}}
"""


def ip(wiring: Wiring, *words: str) -> str:
    with wiring.entered():
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
    return done.stdout


def seen(wiring: Wiring) -> dict[str, Any]:
    """What the kernel tells of the bridge, but for what it does of itself once the bridge carries."""
    (entry,) = json.loads(ip(wiring, "-j", "addr", "show", "br0"))
    entry["addr_info"] = [address for address in entry["addr_info"] if address["scope"] == "global"]
    return {key: value for key, value in entry.items() if key not in ("flags", "operstate")}


def test_a_guest_joins_a_bridge_that_is_there() -> None:
    with Wiring() as wiring:
        ip(wiring, "link", "add", "br0", "address", "02:00:00:00:05:01", "type", "bridge")
        ip(wiring, "link", "set", "br0", "up")
        ip(wiring, "addr", "add", "10.5.0.1/24", "dev", "br0")
        before = seen(wiring)
        (file := wiring.folder / "joins.yaml").write_text(BRIDGE)
        strings = wiring.run(EXECUTABLE, "up", file).stdout.splitlines()
        guest = wiring.boot(strings, "up vec0 10.5.0.2/24 && pings 10.5.0.1 && echo reached=yes")
        report = guest.wait()
        assert report.values == {"reached": "yes"}, report
        wiring.run(EXECUTABLE, "down", file)
        assert seen(wiring) == before


def test_a_guest_reaches_a_router_elsewhere() -> None:
    with Wiring() as wiring, Wiring() as router, ExitStack() as stack:
        ip(wiring, "link", "add", "wan", "type", "veth", "peer", "name", "isp", "netns", str(router.network))
        ip(router, "link", "add", "outer", "type", "veth", "peer", "name", "inner")
        for where, name, address in (
            (wiring, "wan", "192.0.2.1/24"),
            (router, "isp", "192.0.2.9/24"),
            (router, "inner", "10.6.0.2/24"),
            (router, "outer", ""),
        ):
            if address:
                ip(where, "addr", "add", address, "dev", name)
            ip(where, "link", "set", name, "up")
        (file := wiring.folder / "far.yaml").write_text(ROUTER)
        up = wiring.run(EXECUTABLE, "up", file)
        assert up.stderr.startswith("far: nothing to do")
        router_end = VecDevice(0, load(file, underlay=lambda *_: 1500).links[0].options[1])
        with router.entered():
            tunnel = stack.enter_context(open_port(router_end))
            inside = stack.enter_context(open_port("vec1:transport=raw,ifname=outer,gro=0"))
        subprocess.run(router.inside("ethtool", "-K", "inner", "tx", "off"), check=True, capture_output=True)
        stack.enter_context(forward(tunnel, inside))
        stack.enter_context(forward(inside, tunnel))
        guest = wiring.boot(up.stdout.splitlines(), "up vec0 10.6.0.1/24 && pings 10.6.0.2 && echo reached=yes")
        report = guest.wait()
        assert report.values == {"reached": "yes"}, report
