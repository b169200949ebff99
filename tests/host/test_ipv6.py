"""IPv6 where it is not, or only at some interfaces: an MTU below 1280 takes it away, and so may an administrator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.host.network import host_state, ip, topology
from vecnet import host
from vecnet.errors import HostError

PAIRS = """
links:
  - {{transport: raw, mtu: {mtu}, endpoints: [a:vec0, b:vec0]}}
  - {{transport: raw, mtu: {mtu}, endpoints: {{a:vec1: {{}}, host:v0: {{ip: 10.0.0.1/24}}}}}}
"""
GUESTS = ("a-vec0", "b-vec0", "p-v0")  # ends of guests

SIX = """
links:
  - {transport: tap, endpoints: {a:vec1: {}, host:t0: {ip: "fd00::1/64"}}}
bridges:
  br0: {ip: ["10.0.0.1/24", "fd01::1/64"]}
"""


def addresses(ifname: str) -> list[str]:
    (facts,) = json.loads(ip("-j", "address", "show", "dev", ifname))
    return [entry["local"] for entry in facts["addr_info"]]


def setting(ifname: str, value: str = "") -> str:
    file = Path("/proc/sys/net/ipv6/conf", ifname, "disable_ipv6")
    if value:
        file.write_text(value)
    return file.read_text().strip()


@pytest.mark.parametrize("mtu", [576, 1279, 1280])
def test_a_wire_that_is_too_small_for_ipv6_comes_up(mtu: int) -> None:
    before = host_state()
    lab = topology(PAIRS.format(mtu=mtu))
    host.up(lab)
    assert host.plan(lab).steps == ()
    assert [addresses(ifname) for ifname in GUESTS] == [[], [], []]
    host.down("lab")
    assert host_state() == before


def test_ipv6_stays_off_guests_ends_that_grow_large_enough_for_it() -> None:
    for mtu in (576, 1500, 1000, 9000):
        host.up(topology(PAIRS.format(mtu=mtu)))
        if mtu >= 1280:
            assert [setting(ifname) for ifname in (*GUESTS, "v0")] == ["1", "1", "1", "0"]
        assert [addresses(ifname) for ifname in GUESTS] == [[], [], []]


def test_a_plan_foresees_that_ipv6_is_off_for_what_is_new() -> None:
    setting("default", "1")
    before = host_state()
    for attempt in (host.plan, host.up):
        with pytest.raises(HostError) as caught:
            attempt(topology(SIX))
        assert [str(problem) for problem in caught.value.problems] == [
            f"{who}: IPv6 is off in this network namespace; "
            "allow it with: sysctl -w net.ipv6.conf.default.disable_ipv6=0"
            for who in ("br0 cannot get fd01::1/64", "t0 cannot get fd00::1/64")
        ]
    assert host_state() == before
    setting("default", "0")
    host.up(topology(SIX))
    assert host.plan(topology(SIX)).steps == ()


def test_a_plan_foresees_that_ipv6_is_off_for_what_is_there() -> None:
    host.up(topology(SIX.replace('"fd01::1/64"', "").replace(", ]", "]")))
    setting("br0", "1")
    with pytest.raises(HostError, match=r"^br0 cannot get fd01::1/64: .*: sysctl -w net.ipv6.conf.br0.disable_ipv6=0$"):
        host.plan(topology(SIX))


def test_outer_addresses_of_a_sandbox_without_ipv6() -> None:
    setting("lo", "1")
    lab = topology('links: [{transport: gre, endpoints: {a:vec0: {local: "fd05::5"}, b:vec0: {local: "fd05::6"}}}]')
    with pytest.raises(HostError, match=r"^loopback lo cannot get fd05::5, fd05::6: IPv6 is off in this network"):
        host.prepare_sandbox(lab)
