"""vecnet loopback over the kernel's tunnels: the examples pass, and each sabotage of a tunnel is found and named.

simulated guest ── its string ═ GRE or L2TPv3 ═ the kernel's gretap, ip6gretap or l2tp device ── the host's stack
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.host.network import ip, private_network
from tests.loopback.test_loopback import TUNNELS
from tests.loopback.test_sabotage import assert_found
from tests.thorough import stride
from vecnet import host
from vecnet.loopback import LinkReport, Verdict, prove
from vecnet.loopback.report import as_text
from vecnet.loopback.subject import of_topology
from vecnet.topology import load

pytestmark = pytest.mark.kernel

PROBES = ("frames", "mtu", "ping", "tcp")


def tunnel() -> str:
    """The id of the first L2TP tunnel here, if there is one."""
    match = re.search(r"Tunnel (\d+),", ip("l2tp", "show", "tunnel"))
    return match[1] if match else ""


def proved(name: str, commands: Sequence[str], probes: Sequence[str] = PROBES) -> LinkReport:
    """The example's link, after commands of `ip`."""
    path = Path(f"topologies/{name}.yaml")
    with private_network():
        host.prepare_sandbox(load(path))
        topology = load(path)
        host.up(topology)
        for command in commands:
            words = command.replace("TUNNEL", tunnel()).split()
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{words}: {done.stderr}"
        report = prove(topology.name, of_topology(topology), topology=topology, probes=probes)
    print(as_text(report, verbose=True))
    return report.links[0]


@pytest.mark.parametrize("name", sorted(TUNNELS)[:: stride(2)])
def test_every_tunnel_example_passes(name: str) -> None:
    report = proved(name, [], probes=())
    assert {result.probe: str(result.verdict) for result in report.results if result.verdict is not Verdict.PASS} == {
        "impair": "n/a"
    }, json.dumps(report.as_json(), indent=2)


GRETAP = "ip link set gt-web type gretap local 192.168.5.1 remote 192.168.5.2"
SESSION = "ip l2tp add session name l2tp-web tunnel_id TUNNEL session_id 7001 peer_session_id"
SABOTAGE: dict[str, tuple[str, list[str], str]] = {
    "gretap: its key": ("gretap", [f"{GRETAP} ikey 99 okey 18 oseq"], "ikey is 99, and should be 17"),
    "gretap: the guest's key": (
        "gretap",
        [f"{GRETAP} ikey 17 okey 98 oseq"],
        "the sender sends key 98, this string expects 18",
    ),
    "gretap: no sequence": ("gretap", [f"{GRETAP} ikey 17 okey 18 nooseq"], "the sender sends no sequence numbers"),
    "gretap: MTU lowered": ("gretap", ["ip link set gt-web mtu 1300"], "gt-web: mtu is 1300, and should be"),
    "gretap: down": ("gretap", ["ip link set gt-web down"], "gt-web"),
    "l2tp: another session": (
        "l2tpv3-udp",
        [
            "ip l2tp del session tunnel_id TUNNEL session_id 7001",
            f"{SESSION} 7003 cookie 1122334455667788 peer_cookie 8877665544332211 l2spec_type default",
            "ip link set l2tp-web up mtu 1438",
        ],
        "the sender sends session 7003, this string expects 7002",
    ),
    "l2tp: a short cookie": (
        "l2tpv3-udp",
        [
            "ip l2tp del session tunnel_id TUNNEL session_id 7001",
            f"{SESSION} 7002 cookie 11223344 peer_cookie 8877665544332211 l2spec_type default",
            "ip link set l2tp-web up mtu 1438",
        ],
        "the sender sends a cookie of 4 bytes, this string expects 8",
    ),
    "l2tp: no l2spec": (
        "l2tpv3-udp",
        [
            "ip l2tp del session tunnel_id TUNNEL session_id 7001",
            f"{SESSION} 7002 cookie 1122334455667788 peer_cookie 8877665544332211 l2spec_type none",
            "ip link set l2tp-web up mtu 1438",
        ],
        "the sender sends no l2spec word",
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if at < 3 else pytest.mark.long) for at, one in enumerate(SABOTAGE)]
)
def test_a_tunnel_that_does_not_fit(name: str) -> None:
    example, commands, sentence = SABOTAGE[name]
    assert_found(proved(example, commands), sentence)
