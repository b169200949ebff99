"""A real guest on the kernel's own tunnels, booted from what `vecnet up` printed.

guest "web"                                                      host
vec0 10.1.0.2/24 ─┐                     ╔═ GRE, keys, sequence ═ g0 10.1.0.1/24
vec1 10.2.0.2/24 ─┼─ 192.0.2.2 ═ under ═╬═ L2TPv3/UDP ══════════ l0 10.2.0.1/24
vec2 10.3.0.2/24 ─┘          192.0.2.1  ╚═ L2TPv3/IP ═══════════ l1 10.3.0.1/24
vec3 10.4.0.2/24 ─── 127.0.0.1:1707 ═ the HOWTO's own pair ═ 127.0.0.1:1706 ─ l2tp1 10.4.0.1/24
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from tests.need import need, need_command
from tests.uml.guest import LIMIT_SECONDS, Wiring

pytestmark = [pytest.mark.kernel, pytest.mark.uml]

TOPOLOGY = """
name: lab
links:
  - transport: gre
    key: on
    sequence: on
    endpoints: {web:vec0: {local: 192.0.2.2}, host:g0: {local: 192.0.2.1, ip: 10.1.0.1/24}}
  - transport: l2tpv3
    cookie: 64
    counter: on
    endpoints: {web:vec1: {local: 192.0.2.2}, host:l0: {local: 192.0.2.1, ip: 10.2.0.1/24}}
  - transport: l2tpv3
    encap: ip
    endpoints: {web:vec2: {local: 192.0.2.2}, host:l1: {local: 192.0.2.1, ip: 10.3.0.1/24}}
bridges:
  under: {ip: [192.0.2.1/24, 192.0.2.2/24]}
"""
LIMIT = 200  # seconds; on an idle machine it takes a fifth of that
MTU = {0: 1454, 1: 1438, 2: 1462}  # vecN's
HOWTO = """
ip l2tp add tunnel remote 127.0.0.1 local 127.0.0.1 encap udp tunnel_id 2 peer_tunnel_id 2 \
    udp_sport 1706 udp_dport 1707 &&
ip l2tp add session name l2tp1 tunnel_id 2 session_id 0xffffffff peer_session_id 0xffffffff &&
ip link set l2tp1 up && ip addr add 10.4.0.1/24 dev l2tp1
"""
HOWTO_GUEST = (  # its 0xffffffff would panic the guest
    "vec3:transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=1707,dstport=1706,depth=128,"
    "rx_session=-1,tx_session=-1"
)

# Each process of a guest in an emulated machine takes half a second: few of them.
SCRIPT = """
talk() {  # talk UNIT MTU: ping with packets of the full MTU, then exchange files by TCP
    up vec$1 10.$(($1 + 1)).0.2/24 && pings -M do -s $(($2 - 28)) 10.$(($1 + 1)).0.1 && echo ping$1=$2 &&
        busybox nc 10.$(($1 + 1)).0.1 500$1 <$here/../content >$here/reply$1
}
talk 0 1454; talk 1 1438; talk 2 1462
up vec3 10.4.0.2/24
ping -q -n -c 2 -W 2 10.4.0.1 || echo ping3=lost
"""


def test_a_guest_on_the_kernels_tunnels() -> None:
    need("VECNET_KERNEL" in os.environ, "needs a kernel with gretap and l2tp: make test-kernel")
    need_command("busybox")
    content, reply = (os.urandom(300_000) for _ in range(2))
    with Wiring() as wiring:
        for name, data in (("lab.yaml", TOPOLOGY.encode()), ("content", content), ("reply", reply)):
            (wiring.folder / name).write_bytes(data)
        up = wiring.run(sys.executable, "-m", "vecnet", "up", wiring.folder / "lab.yaml", "--guest", "web")
        wiring.run("sh", "-c", HOWTO)
        servers = []
        for unit in MTU:
            with (wiring.folder / "reply").open("rb") as given, (wiring.folder / f"content{unit}").open("wb") as taken:
                servers.append(wiring.start("busybox", "nc", "-l", "-p", f"500{unit}", stdin=given, stdout=taken))
        guest = wiring.boot([*up.stdout.split(), HOWTO_GUEST], SCRIPT)
        report = guest.wait(LIMIT)
        assert report.status == 0, report
        assert report.values == {**{f"ping{unit}": str(mtu) for unit, mtu in MTU.items()}, "ping3": "lost"}, report
        for unit, server in enumerate(servers):
            assert server.wait(LIMIT_SECONDS) == 0
            assert digest(wiring.folder / f"content{unit}") == hashlib.sha256(content).hexdigest()
            assert digest(guest.folder / f"reply{unit}") == hashlib.sha256(reply).hexdigest()
        shown = wiring.run(sys.executable, "-m", "vecnet", "status", "lab", "--json")
        entries = {entry["ifname"]: entry for entry in json.loads(shown.stdout)}
        for ifname, mtu in zip(("g0", "l0", "l1"), MTU.values(), strict=True):
            assert entries[ifname]["mtu"] == mtu
            assert entries[ifname]["rx_bytes"] > len(content)
            assert entries[ifname]["tx_bytes"] > len(reply)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
