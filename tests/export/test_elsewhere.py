"""The far end: VyOS' commands by its published grammar, OpenWrt's sections by what its scripts read.

Both are written down here from vyos-1x (interface-definitions) and openwrt (package/network/config/gre).
"""

from __future__ import annotations

import re

import pytest

from tests.export.programs import exported
from vecnet.topology import Topology, loads

V4 = r"\d+\.\d+\.\d+\.\d+"
V6 = r"[0-9a-f:]+"
ADDRESS = rf"({V4}|{V6})"
NUMBER = r"\d+"
VYOS = {  # each leaf, and what it takes; of the kind of interface, whose names have a form
    r"l2tpv3 l2tpeth\d+": {
        "address": rf"{ADDRESS}/\d+",
        "description": r"'[^']+'",
        "destination-port": NUMBER,
        "encapsulation": "udp|ip",
        "mtu": NUMBER,
        "peer-session-id": NUMBER,
        "peer-tunnel-id": NUMBER,
        "remote": ADDRESS,
        "session-id": NUMBER,
        "source-address": ADDRESS,
        "source-port": NUMBER,
        "tunnel-id": NUMBER,
    },
    r"tunnel tun\d+": {
        "address": rf"{ADDRESS}/\d+",
        "description": r"'[^']+'",
        "encapsulation": "gretap|ip6gretap",
        "mtu": NUMBER,
        "parameters ip ignore-df": "",
        "parameters ip key": NUMBER,
        "parameters ip no-pmtu-discovery": "",
        "parameters ip ttl": "0",  # which no-pmtu-discovery demands
        "parameters ipv6 encaplimit": "none",
        "remote": ADDRESS,
        "source-address": ADDRESS,
    },
}
GRETAP = {"ipaddr": V4, "peeraddr": V4, "df": "[01]"}
GREV6TAP = {"ip6addr": V6, "peer6addr": V6, "encaplimit": "ignore"}
BOTH = {"mtu": NUMBER, "ttl": NUMBER, "ikey": NUMBER, "okey": NUMBER, "oseqno": "[01]"}

LAB = """\
name: lab
links:
- transport: gre
  key: on
  endpoints:
    web:vec0: {local: 192.0.2.1, key: 7}
    elsewhere:router: {local: 203.0.113.9, key: 7, ip: ["10.0.17.2/30", "fd00::2/64"]}
- transport: gre
  endpoints:
    web:vec1: {local: "2001:db8::1"}
    elsewhere:router: {local: "2001:db8::9"}
"""
L2TP = """\
- transport: l2tpv3
  counter: on
  endpoints:
    web:vec2: {local: 192.0.2.1, session: 7, port: 1701}
    elsewhere:router: {local: 203.0.113.9, session: 8, port: 1702}
- transport: l2tpv3
  encap: ip
  counter: on
  endpoints:
    web:vec3: {local: 192.0.2.1, session: 17}
    elsewhere:other: {local: 203.0.113.10, session: 18}
"""


def lab(text: str) -> Topology:
    return loads(text, underlay=lambda *_: 1500)


def test_vyos() -> None:
    files = exported(lab(LAB + L2TP), "vyos")
    assert set(files) == {"router.vyos", "other.vyos"}
    for line in "".join(files.values()).splitlines():
        kinds = [kind for kind in VYOS if re.match(rf"set interfaces {kind} ", line)]
        assert len(kinds) == 1, line
        rest = re.sub(rf"^set interfaces {kinds[0]} ", "", line)
        forms = [f"{leaf} ({form})" if form else leaf for leaf, form in VYOS[kinds[0]].items()]
        assert any(re.fullmatch(form, rest) for form in forms), line
    text = files["router.vyos"]
    assert len(set(re.findall(r"tun\d+|l2tpeth\d+", text))) == 3
    for said in ("parameters ip key 7", "source-address 203.0.113.9", "remote 192.0.2.1", "address 10.0.17.2/30"):
        assert f" {said}\n" in text
    for said in ("session-id 8", "peer-session-id 7", "source-port 1702", "destination-port 1701", "mtu 1446"):
        assert f" {said}\n" in text


def test_openwrt() -> None:
    (text,) = exported(lab(LAB), "openwrt").values()
    sections = re.split(r"config interface '(\w+)'\n", text)[1:]
    assert len(sections) == 6
    for name, body in zip(sections[::2], sections[1::2], strict=True):
        options = dict(re.findall(r"^\toption (\w+) '([^']*)'$", body, re.MULTILINE))
        lists = re.findall(r"^\tlist (\w+) '([^']*)'$", body, re.MULTILINE)
        assert len(options) + len(lists) == body.count("\t")
        proto = options.pop("proto")
        if proto == "static":
            assert options == {"device": f"gre4t-{name.removesuffix('a')}"}
            assert lists == [("ipaddr", "10.0.17.2/30"), ("ip6addr", "fd00::2/64")]
            continue
        assert len(f"gre4t-{name}") < 16
        known = {"gretap": GRETAP, "grev6tap": GREV6TAP}[proto] | BOTH
        assert all(re.fullmatch(known[key], value) for key, value in options.items())
        assert options["mtu"] == {"gretap": "1458", "grev6tap": "1442"}[proto]


@pytest.mark.parametrize("target", ["linux", "vyos"])
def test_wires_of_one_device_are_in_one_file(target: str) -> None:
    files = exported(lab(LAB + L2TP), target)
    assert len(files) == 2


def test_a_switch_may_be_at_the_near_end() -> None:
    link = "{transport: l2tpv3, endpoints: {lan:far: {local: 192.0.2.1}, elsewhere:r: {local: 203.0.113.9}}}"
    guest = "{transport: bess, endpoints: [web:vec0, lan:web]}"
    near = loads(f"name: lab\nswitches: {{lan: {{}}}}\nlinks: [{link}, {guest}]", underlay=lambda *_: 1500)
    (text,) = exported(near, "linux").values()
    assert "local 203.0.113.9 remote 192.0.2.1" in text
