"""What a target cannot do is said at its link, all at once, with what to change; changed so, the target does it."""

from __future__ import annotations

import pytest
import yaml

from tests.export.programs import exported
from vecnet.errors import InputError
from vecnet.export import TARGETS
from vecnet.topology import Topology, loads

HEAD = "name: lab\nlinks:\n- {transport: "  # so that every link is in line 3, column 3
TAP = "tap, endpoints: [web:vec0, host:tap0]}"
GRE = "gre{}, endpoints: {{web:vec0: {{local: 192.0.2.2, key: {}}}, {}: {{local: 192.0.2.1, key: {}}}}}}}"
L2TP = "l2tpv3, encap: ip{}, endpoints: {{web:vec0: {{local: 192.0.2.2{}}}, {}: {{local: 192.0.2.1{}}}}}}}"
JOINS = "raw, endpoints: {db:vec0: {}, host:veth-db: {bridge: br-ours}}}"
SMALL = ", session: 7"

# the target, a link, what is wrong and what to change; the link changed so
LIMITS: list[tuple[str, str, str, str, str]] = [
    (
        "networkd",
        GRE.format(", sequence: on", 1, "host:gt", 2),
        "networkd sends sequence numbers only where it demands them, and a guest's start again at a boot",
        "leave sequence out, or use --for iproute2",
        GRE.format("", 1, "host:gt", 2),
    ),
    (
        "networkd",
        L2TP.format(", cookie: 64", "", "host:l2", ""),
        "networkd has no cookies for L2TP",
        "write cookie: 0 at the link, and none at its ends",
        L2TP.format(", cookie: 0", "", "host:l2", ""),
    ),
    (
        "networkd",
        JOINS,
        "networkd puts an interface into no bridge that it does not make, as br-ours is",
        "write br-ours: {} under bridges, or use --for iproute2",
        f"{JOINS}\nbridges: {{br-ours: {{}}}}",
    ),
    (
        "networkd",
        "tap, endpoints: {web:vec0: {}, host:tap0: {netns: blue}}}",
        "no export makes an interface in the network namespace blue",
        "leave netns out, or use vecnet up",
        TAP,
    ),
    ("netplan", TAP, "netplan has no tap", "write transport: raw, or use --for networkd", TAP.replace("tap,", "raw,")),
    (
        "netplan",
        L2TP.format("", "", "host:l2", ""),
        "netplan has no L2TPv3",
        "write transport: gre, or use --for networkd",
        GRE.format("", 1, "host:gt", 2),
    ),
    (
        "netplan",
        GRE.format(", sequence: on", 1, "host:gt", 2),
        "netplan has no sequence numbers for GRE",
        "leave sequence out, or use --for iproute2",
        GRE.format("", 1, "host:gt", 2),
    ),
    (
        "netplan",
        JOINS.replace(", endpoints", ", gro: off, endpoints").replace("bridge: br-ours", ""),
        "netplan does not switch a veth's checksum offload off, which a guest without gro needs",
        "write gro: on at the link, or use --for iproute2",
        JOINS.replace(", endpoints", ", gro: on, endpoints").replace("bridge: br-ours", ""),
    ),
    (
        "nmstate",
        GRE.format("", 1, "host:gt", 2),
        "nmstate has no gretap",
        "use --for networkd or --for iproute2",
        TAP.replace("tap,", "raw,"),
    ),
    (
        "vyos",
        L2TP.format(", counter: on, cookie: 32", SMALL, "elsewhere:r", SMALL),
        "VyOS has no cookies for L2TPv3",
        "write cookie: 0 at the link, and none at its ends",
        L2TP.format(", counter: on, cookie: 0", SMALL, "elsewhere:r", SMALL),
    ),
    (
        "vyos",
        L2TP.format("", SMALL, "elsewhere:r", SMALL),
        "VyOS always sends the default sublayer of 4 bytes, which the guest does not expect",
        "write counter: on",
        L2TP.format(", counter: on", SMALL, "elsewhere:r", SMALL),
    ),
    (
        "vyos",
        L2TP.format(", counter: on", SMALL, "elsewhere:r", ", session: 429496730"),
        "the session 429496730 of the end elsewhere is higher than 429496729, where VyOS ends",
        "write session: at that end, from 1 to 429496729",
        L2TP.format(", counter: on", SMALL, "elsewhere:r", ", session: 429496729"),
    ),
    (
        "vyos",
        GRE.format("", 1, "elsewhere:r", 2),
        "VyOS has one key for both directions of GRE, and here are 2 and 1",
        "write the same key: at both ends",
        GRE.format("", 2, "elsewhere:r", 2),
    ),
    (
        "vyos",
        GRE.format(", sequence: pinned", 2, "elsewhere:r", 2),
        "VyOS sends no sequence numbers with GRE",
        "leave sequence out",
        GRE.format("", 2, "elsewhere:r", 2),
    ),
    (
        "openwrt",
        L2TP.format("", "", "elsewhere:r", ""),
        "openwrt has no L2TPv3",
        "write transport: gre",
        GRE.format("", 1, "elsewhere:r", 2),
    ),
    (
        "openwrt",
        GRE.format(", mtu: 1480", 1, "elsewhere:r", 2),
        "mtu 1480 makes packets of 1522 bytes, and OpenWrt has no ignore-df to cut them",
        "write mtu: 1458 at the link",
        GRE.format(", mtu: 1458", 1, "elsewhere:r", 2),
    ),
    (
        "openwrt",
        GRE.format("", 1, "elsewhere:r", 2147483648),
        "the key 2147483648 of the end elsewhere is higher than 2147483647, where OpenWrt's numbers end",
        "write key: at that end, from 0 to 2147483647",
        GRE.format("", 1, "elsewhere:r", 2147483647),
    ),
]


def lab(link: str) -> Topology:
    way = 9000 if "mtu" in link else 1500
    return loads(HEAD + link, path="lab.yaml", underlay=lambda *_: way, interface_mtu=lambda _: 1500)


@pytest.mark.parametrize(("target", "link", "message", "instead", "mended"), LIMITS)
def test_a_limit(target: str, link: str, message: str, instead: str, mended: str) -> None:
    with pytest.raises(InputError) as caught:
        exported(lab(link), target)
    (problem,) = caught.value.problems
    assert problem.message.partition(": ")[2] == message
    assert problem.instead == instead
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.where.column) == ("lab.yaml", 3, 3)
    assert exported(lab(mended), target)


def test_all_limits_are_said_at_once() -> None:
    other = L2TP.format("", "", "host:l2", "").replace("web:vec0", "db:vec0")
    two = lab(f"{TAP}\n- {{transport: {other}")
    with pytest.raises(InputError) as caught:
        exported(two, "nmstate")
    assert [problem.where and problem.where.line for problem in caught.value.problems] == [3, 4]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_with_nothing_to_do_says_so(target: str) -> None:
    pair = lab("fd, endpoints: [web:vec0, db:vec0]}")
    with pytest.raises(InputError, match=r"no end elsewhere|needs no interface on the host"):
        exported(pair, target)


@pytest.mark.parametrize("target", sorted({*TARGETS} - {"ifupdown", "networkd"}))
def test_most_targets_configure_no_guests(target: str) -> None:
    with pytest.raises(InputError, match="does not configure guests; give --for ifupdown or --for networkd"):
        exported(lab(TAP), target, "web")


# of a state: the keys that nmstate's YAML API has (nmstate.io, "NMState YAML API")
STATE = {"name", "type", "state", "mtu", "mac-address", "ipv4", "ipv6", "bridge", "veth", "ethtool"}
FAMILY = {"enabled", "dhcp", "address"}


def test_nmstate_by_its_published_keys() -> None:
    """Debian has no nmstate."""
    pair = "raw, gro: off, endpoints: {db:vec0: {}, host:veth-db: {bridge: lan}}}"
    (text,) = exported(lab(f'{pair}\nbridges: {{lan: {{ip: [10.0.0.1/24, "fd00::1/64"]}}}}'), "nmstate").values()
    bridge, first, second = yaml.safe_load(text)["interfaces"]
    for one in (bridge, first, second):
        assert one.keys() <= STATE
        assert one["ipv4"].keys() <= FAMILY
        assert one["state"] == "up"
    assert bridge["type"] == "linux-bridge"
    assert bridge["bridge"] == {"options": {"stp": {"enabled": False}}, "port": [{"name": "veth-db"}]}
    assert bridge["ipv4"]["address"] == [{"ip": "10.0.0.1", "prefix-length": 24}]
    assert bridge["ipv6"]["address"] == [{"ip": "fd00::1", "prefix-length": 64}]
    assert (first["veth"]["peer"], second["veth"]["peer"]) == (second["name"], first["name"])
    assert first["ethtool"] == second["ethtool"] == {"feature": {"tx-checksum-ip-generic": False}}
