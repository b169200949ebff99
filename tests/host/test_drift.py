"""What somebody changes at interfaces that are up: plan and status say it, and up puts it right.

::

    web:vec0 ── tap-web ─┐
    db:vec0  ── veth-db ─┴ lan        db:vec1 ── tap-db        ra:vec0 ── p-veth-ra ═ veth-ra │ in the namespace blue
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

from tests.host.network import host_state, ip, topology
from vecnet import host

LAB = """
links:
  - {transport: tap, endpoints: {web:vec0: {}, host:tap-web: {bridge: lan}}}
  - {transport: raw, endpoints: {db:vec0: {}, host:veth-db: {bridge: lan}}}
  - {transport: tap, endpoints: {db:vec1: {}, host:tap-db: {ip: [10.9.0.1/24, "fd09::1/64"]}}}
  - {transport: raw, endpoints: {ra:vec0: {}, host:veth-ra: {netns: blue, ip: 10.8.0.1/24}}}
bridges:
  lan: {ip: 10.0.0.1/24}
"""

# what is done by hand, the interface of which it is said, the value that differs, and what it is then
CHANGES = [
    ("link set tap-web nomaster", "tap-web", "bridge", "none"),
    ("link set tap-db mtu 1400", "tap-db", "mtu", "1400"),
    ("link set tap-db down", "tap-db", "up", "off"),
    ("link set tap-db address 02:00:00:00:00:77", "tap-db", "mac", "02:00:00:00:00:77"),
    ("link set p-veth-db address 02:00:00:00:00:78", "veth-db", "peer_mac", "02:00:00:00:00:78"),
    ("link set p-veth-db master lan", "veth-db", "peer_bridge", "lan"),
    ("addr add 10.6.0.1/24 dev p-veth-ra", "veth-ra", "peer_addresses", "10.6.0.1/24"),
    ("addr add 10.7.0.1/24 dev lan", "lan", "addresses", "10.0.0.1/24, 10.7.0.1/24"),
    ("addr del 10.0.0.1/24 dev lan", "lan", "addresses", "none"),
    ("link set tap-db arp off", "tap-db", "settings", "arp off"),
    ("link set p-veth-db arp off", "veth-db", "peer_settings", "arp off"),
    ("link set tap-db multicast off", "tap-db", "settings", "multicast off"),
    ("-n blue link set veth-ra arp off multicast off", "veth-ra", "settings", "arp off, multicast off"),
    ("link set lan type bridge stp_state 1", "lan", "settings", "stp on"),
    ("link set tap-web type bridge_slave isolated on", "tap-web", "settings", "isolated on"),
    ("link set veth-db type bridge_slave learning off flood off", "veth-db", "settings", "learning off, flood off"),
    (
        "link set tap-web type bridge_slave hairpin on mcast_flood off",
        "tap-web",
        "settings",
        "hairpin on, mcast_flood off",
    ),
    ("tc qdisc add dev tap-db root tbf rate 1mbit burst 10k limit 10k", "tap-db", "settings", "qdisc tbf"),
    ("tc -n blue qdisc add dev veth-ra root tbf rate 1mbit burst 10k limit 10k", "veth-ra", "settings", "qdisc tbf"),
]


def by_hand(words: str) -> None:
    command = words if words.startswith("tc ") else f"ip {words}"
    subprocess.run(command.split(), check=True)


def brought_up() -> host.Plan:
    ip("netns", "add", "blue")
    return host.up(topology(LAB))


@pytest.mark.parametrize(("words", "ifname", "name", "value"), CHANGES)
def test_what_is_changed_by_hand_is_said_and_put_right(words: str, ifname: str, name: str, value: str) -> None:
    brought_up()
    before = host_state()
    by_hand(words)
    (step,) = host.plan(topology(LAB)).steps
    assert step.node.ifname == ifname
    assert (name, value) in [(key, was) for key, was, _ in step.differences]
    host.up(topology(LAB))
    assert host_state() == before
    assert host.plan(topology(LAB)).steps == ()


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ("10.9.0.1 peer 10.5.5.5/24", "10.9.0.1 peer 10.5.5.5/24"),
        ("10.9.0.1/24 noprefixroute", "10.9.0.1/24 noprefixroute"),
        ("fd09::1 peer fd09::9/64", "fd09::1 peer fd09::9/64"),
    ],
)
def test_an_address_that_is_the_same_but_for_its_peer_or_route(add: str, said: str) -> None:
    brought_up()
    before = host_state()
    own = "fd09::1/64" if ":" in add else "10.9.0.1/24"
    by_hand(f"addr del {own} dev tap-db")
    by_hand(f"addr add {add} dev tap-db")
    (step,) = host.plan(topology(LAB)).steps
    assert said in next(step.differences)[1]
    host.up(topology(LAB))
    assert host.plan(topology(LAB)).steps == ()
    assert addresses(host_state()) == addresses(before)


def addresses(state: Sequence[dict[str, object]]) -> set[str]:
    return {str(one) for entry in state for one in entry.get("addr_info", ())}  # type: ignore[attr-defined]
