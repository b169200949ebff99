"""Sabotage: real wires, each broken in one way. Every break is found, and the sentence that is reported names it.

::

    the test's own network namespace
    simulated guests │ tap-web ── lan (bridge) 10.0.0.1/24      veth-db 10.1.0.1/24      127.0.0.x: gre, l2tpv3
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.host.network import ip, private_network
from tests.need import need, need_command, need_root
from tests.thorough import stride
from vecnet import host
from vecnet.kernel import rtnl
from vecnet.kernel.namespaces import Namespaces
from vecnet.loopback import LinkReport, Verdict, prove
from vecnet.loopback.subject import Subject, of_topology
from vecnet.loopback.wire import wait_until
from vecnet.topology import Topology, loads
from vecnet.vecstring import VecDevice

LAB = """
name: sabotage
links:
  - transport: tap
    name: tap
    endpoints:
      web:vec0: {ip: [10.0.0.2/24, "fd10::2/64"]}
      host:tap-web: {bridge: lan}
  - transport: raw
    name: raw
    endpoints:
      db:vec0: {ip: 10.1.0.2/24}
      host:veth-db: {ip: 10.1.0.1/24}
  - transport: raw
    name: plain
    gro: off
    endpoints:
      db:vec4: {ip: 10.6.0.2/24}
      host:veth-plain: {ip: 10.6.0.1/24}
  - transport: hybrid
    name: hybrid
    endpoints:
      app:vec0: {ip: 10.2.0.2/24}
      host:hyb-app: {ip: 10.2.0.1/24}
  - transport: gre
    name: gre
    key: on
    sequence: on
    endpoints:
      web:vec1: {local: 127.0.0.5, ip: 10.3.0.1/24}
      db:vec1: {local: 127.0.0.6, ip: 10.3.0.2/24}
  - transport: l2tpv3
    name: udp
    cookie: 64
    counter: on
    endpoints:
      web:vec2: {local: 127.0.0.5, ip: 10.4.0.1/24}
      db:vec2: {local: 127.0.0.6, ip: 10.4.0.2/24}
  - transport: l2tpv3
    name: ip
    encap: ip
    cookie: 0
    endpoints:
      web:vec3: {local: 127.0.0.5, ip: 10.5.0.1/24}
      db:vec3: {local: 127.0.0.6, ip: 10.5.0.2/24}
bridges:
  lan: {ip: [10.0.0.1/24, "fd10::1/64"]}
"""

PROBES = ("frames", "mtu", "ping", "tcp")


@pytest.fixture
def lab() -> Iterator[Topology]:
    need_root()
    with private_network():
        topology = loads(LAB)
        host.prepare_sandbox(topology)
        host.up(topology)
        yield topology


def proved(topology: Topology, *subjects: Subject, probes: Sequence[str] = PROBES[:3]) -> LinkReport:
    return prove(topology.name, subjects, topology=topology, probes=probes).links[0]


def assert_found(report: LinkReport, sentence: str) -> None:
    failures = [result.reason for result in report.results if result.verdict is Verdict.FAIL]
    assert report.verdict is Verdict.FAIL, [result.reason for result in report.results]
    assert any(sentence in reason for reason in failures), failures


def test_the_lab_is_whole(lab: Topology) -> None:
    report = prove(lab.name, of_topology(lab), topology=lab, probes=PROBES)
    assert report.exit_code == 0, [(link.link, link.reason) for link in report.links]


NAMED = """
name: named
links:
  - transport: tap
    endpoints: {web:vec0: {ip: 10.0.0.2/24}, host:t: {ip: 10.0.0.1/24, netns: there}}
  - transport: hybrid
    endpoints: {web:vec1: {ip: 10.1.0.2/24}, host:h: {ip: 10.1.0.1/24, netns: there}}
  - transport: raw
    endpoints: {db:vec0: {ip: 10.2.0.2/24}, host:r: {ip: 10.2.0.1/24, netns: there}}
"""


def test_hosts_in_a_named_network_namespace() -> None:
    need_root()
    need_command("ip")
    with private_network():
        ip("netns", "add", "there")
        topology = loads(NAMED)
        host.up(topology)
        report = prove("named", of_topology(topology), topology=topology, probes=PROBES)
    assert report.exit_code == 0, [(link.link, link.reason) for link in report.links]


def test_an_ipv6_address_that_the_kernel_has_still_to_route_is_waited_for() -> None:
    need_root()
    need_command("ip")
    ends = "{a:vec0: {local: 'fd00::1'}, b:vec0: {local: 'fd00::2'}}"
    with private_network():
        topology = loads(f"name: late\nlinks: [{{transport: gre, endpoints: {ends}}}]")
        host.prepare_sandbox(topology)
        route = ("local", "fd00::1", "dev", "lo", "table", "local")
        with Namespaces() as namespaces:
            wait_until(partial(rtnl.is_reached, namespaces.home, "fd00::1"))
            ip("-6", "route", "del", *route)
            assert not rtnl.is_reached(namespaces.home, "fd00::1")
        worker = subprocess.Popen(["sh", "-c", f"sleep 1; ip -6 route add {' '.join(route)}"])
        report = prove("late", of_topology(topology), topology=topology, probes=PROBES[:2])
        worker.wait()
    assert report.exit_code == 0, [(link.link, link.reason) for link in report.links]


# ---- the far guest's string is another than the topology's ----


def other(**options: Any) -> Callable[[Subject], Subject]:
    """The far end's device with these options instead, so that near and far no longer fit."""

    def change(subject: Subject) -> Subject:
        device = subject.far.device
        assert device is not None
        given = {key: option(device.transport) if callable(option) else option for key, option in options.items()}
        changed = VecDevice(device.unit, dataclasses.replace(device.transport, **given))
        return dataclasses.replace(subject, far=dataclasses.replace(subject.far, device=changed))

    return change


STRINGS: dict[str, tuple[str, Callable[[Subject], Subject], str]] = {
    "gre: the key sent": ("gre", other(tx_key=77), "the sender sends key 77, this string expects"),
    "gre: the key expected": ("gre", other(rx_key=78), "this string expects 78"),
    "gre: no keys": ("gre", other(rx_key=None, tx_key=None), "the sender sends no key"),
    "gre: no sequence": ("gre", other(sequence=False), "the sender sends no sequence numbers"),
    "gre: the address sent to": ("gre", other(dst="127.0.0.9"), "sends to 127.0.0.9, this string receives at"),
    "gre: the address received at": ("gre", other(src="127.0.0.7"), "this string receives at src=127.0.0.7"),
    "udp: the session sent": ("udp", other(tx_session=7), "the sender sends session 7, this string expects"),
    "udp: the session expected": ("udp", other(rx_session=9), "this string expects 9"),
    "udp: the cookie sent": ("udp", other(tx_cookie=5), "the sender sends cookie 0000000000000005"),
    "udp: the cookie expected": ("udp", other(rx_cookie=6), "this string expects 0000000000000006"),
    "udp: the cookie's length": (
        "udp",
        other(cookie64=False, rx_cookie=1, tx_cookie=1),
        "the sender sends a cookie of 4 bytes, this string expects 8",
    ),
    "udp: no cookies": ("udp", other(cookie64=False, rx_cookie=None, tx_cookie=None), "cookie of 0 bytes"),
    "udp: no counter": ("udp", other(counter=False), "the sender sends no l2spec word"),
    "udp: the port sent to": ("udp", other(dstport=9), "the sender sends to port 9, this string has srcport="),
    "udp: the port received at": ("udp", other(srcport=1234), "this string has srcport=1234"),
    "udp: over IP": ("udp", other(udp=False, srcport=None, dstport=None), "the sender uses L2TPv3 over IP, not UDP"),
    "ip: a counter": ("ip", other(counter=True), "the sender's l2spec adds 4 bytes: set counter=1"),
    "ip: a cookie": (
        "ip",
        other(rx_cookie=0x12345678, tx_cookie=0xDEADBEEF),
        "a cookie of 4 bytes, this string expects 0",
    ),
    "ip: the session": ("ip", other(tx_session=0xFFFFFFFF), "the sender sends session 4294967295"),
    "ip: an address that is not there": ("ip", other(src="192.0.2.1"), "192.0.2.1 is on no interface here"),
}


@pytest.mark.parametrize("name", list(STRINGS)[:: stride(2)])
def test_a_string_that_does_not_fit(lab: Topology, name: str) -> None:
    link, change, sentence = STRINGS[name]
    assert_found(proved(lab, *map(change, of_topology(lab, [link])), probes=["frames"]), sentence)


# ---- the host's end is another than the topology's ----

HOSTS: dict[str, tuple[str, Sequence[str], str]] = {
    "tap: MTU lowered": ("tap", ["ip link set tap-web mtu 1400"], "tap-web: mtu is 1400, and should be 1500"),
    "tap: down": ("tap", ["ip link set tap-web down"], "tap-web is down"),
    "tap: deleted": ("tap", ["ip link del tap-web"], "tap-web is not there"),
    "tap: not in the bridge": ("tap", ["ip link set tap-web nomaster"], "tap-web: bridge is none, and should be lan"),
    "tap: the bridge down": ("tap", ["ip link set lan down"], "lan"),
    "tap: the bridge without an address": ("tap", ["ip addr flush dev lan"], "lan: addresses is none, and should be"),
    "raw: MTU lowered": ("raw", ["ip link set veth-db mtu 1300"], "veth-db: mtu is 1300, and should be 1500"),
    "raw: down": ("raw", ["ip link set veth-db down"], "veth-db is down"),
    "raw: the guest's end down": ("raw", ["ip link set p-veth-db down"], "p-veth-db is down"),
    "raw: the wrong namespace": ("raw", ["ip netns add away", "ip link set veth-db netns away"], "veth-db"),
    "raw: another address": (
        "raw",
        ["ip addr del 10.1.0.1/24 dev veth-db", "ip addr add 10.1.0.9/24 dev veth-db"],
        "veth-db: addresses is 10.1.0.9/24, and should be 10.1.0.1/24",
    ),
    "raw: no ARP": ("raw", ["ip link set veth-db arp off"], "does not resolve neighbours: ip link set veth-db arp on"),
    "raw: a wrong neighbour": (
        "raw",
        ["ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:99 dev veth-db nud permanent"],
        "the host holds 10.1.0.2 to be at 02:00:00:00:00:99",
    ),
    "raw: a route that leads away": (
        "raw",
        ["ip route add blackhole 10.1.0.2/32"],
        "the host's route to 10.1.0.2 does not leave by veth-db: unreachable",
    ),
    "hybrid: MTU lowered": ("hybrid", ["ip link set hyb-app mtu 1000"], "hyb-app: mtu is 1000, and should be 1500"),
    "hybrid: down": ("hybrid", ["ip link set hyb-app down"], "hyb-app is down"),
}


@pytest.mark.parametrize("name", list(HOSTS)[:: stride(2)])
def test_a_host_that_does_not_fit(lab: Topology, name: str) -> None:
    link, commands, sentence = HOSTS[name]
    for command in commands:
        ip(*command.split()[1:])
    assert_found(proved(lab, *of_topology(lab, [link])), sentence)


def nft(rules: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"needs a kernel with nftables: {done.stderr.strip()}")


FILTERS = {
    "gre": "table inet sabotage { chain in { type filter hook input priority 0; ip protocol gre drop; }\n}",
    "udp": "table inet sabotage { chain in { type filter hook input priority 0; meta l4proto udp drop; }\n}",
    "raw": "table inet sabotage { chain in { type filter hook input priority 0; meta l4proto icmp drop; }\n}",
}


@pytest.mark.parametrize("link", FILTERS)
def test_a_packet_filter(lab: Topology, link: str) -> None:
    need_command("nft")
    nft(FILTERS[link])
    assert_found(proved(lab, *of_topology(lab, [link])), "a packet filter may drop them: nftables, inet sabotage in")


def test_a_filter_that_refuses_to_send(lab: Topology) -> None:
    need_command("nft")
    nft("table inet sabotage { chain out { type filter hook output priority 0; ip protocol gre drop; }\n}")
    assert_found(proved(lab, *of_topology(lab, ["gre"])), "packets that a firewall refuses")


@pytest.mark.long
def test_offloads_that_the_guest_does_not_take(lab: Topology) -> None:
    need_command("ethtool")
    subprocess.run(["ethtool", "-K", "veth-plain", "tx", "on", "tso", "on"], check=True, capture_output=True)
    report = proved(lab, *of_topology(lab, ["plain"]), probes=PROBES)
    assert_found(report, "veth-plain: offload is on, and should be off")


def test_one_broken_link_of_seven_fails_alone(lab: Topology) -> None:
    ip("link", "set", "hyb-app", "mtu", "900")
    report = prove(lab.name, of_topology(lab), topology=lab, probes=PROBES)
    assert {link.link: link.verdict for link in report.links if link.verdict is not Verdict.PASS} == {
        "hybrid": Verdict.FAIL
    }
    assert report.exit_code == 1


def test_a_full_disk_for_the_report(tmp_path: Path) -> None:
    from tests.test_launch import vecnet

    need_root()
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    loopback = ("-m", "vecnet", "loopback", file, "--link", "gre", "--probe", "frames", "--json", "/dev/full")
    import sys

    done = vecnet("sandbox", file, "--", sys.executable, *loopback)
    assert done.returncode == 1
    assert "cannot be written to /dev/full: No space left on device" in done.stderr
