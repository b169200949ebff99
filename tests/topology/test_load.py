"""What a topology becomes: the strings, the host's interfaces, and what was chosen."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from vecnet import parse
from vecnet.errors import InputError
from vecnet.topology import Topology, loads
from vecnet.topology.document import Document
from vecnet.transports.l2tpv3 import L2tpv3
from vecnet.transports.link import L2tpAttributes, TapAttributes

DESIGN = """
name: lab
defaults: {depth: 128, gro: true}
links:
  - transport: tap
    endpoints:
      web:vec0:     {ip: 10.0.0.2/24}
      host:tap-web: {owner: alice, bridge: lan}
  - transport: l2tpv3
    encap: udp
    cookie: 64
    counter: on
    endpoints:
      web:vec1:   {local: 192.168.128.2, port: 1706}
      host:l2tp1: {local: 192.168.128.1, port: 1707, ip: 192.168.126.1/24}
  - transport: gre
    key: true
    sequence: pinned
    endpoints:
      web:vec2: {local: "fd00::2"}
      db:vec0:  {local: "fd00::1"}
  - transport: raw
    endpoints: [db:vec1, host:veth-db]
bridges:
  lan: {ip: 10.0.0.1/24}
"""


def made(text: str, mtu: int | None = 1500) -> Topology:
    return loads(text, path="lab.yaml", underlay=lambda *_: mtu)


def strings(text: str, mtu: int | None = 1500) -> list[str]:
    topology = made(text, mtu)
    return [f"{guest} {device}" for guest in topology.guests for device in topology.devices(guest)]


def test_the_design_s_own_file() -> None:
    topology = made(DESIGN)
    assert topology.guests == ("db", "web")
    assert [device.ifname for device in topology.devices("web")] == ["vec0", "vec1", "vec2"]
    assert [(i.kind, i.ifname, i.link) for i in topology.interfaces] == [
        ("bridge", "lan", "bridge lan"),
        ("tap", "tap-web", "web:vec0--host:tap-web"),
        ("l2tp", "l2tp1", "web:vec1--host:l2tp1"),
        ("veth", "veth-db", "db:vec1--host:veth-db"),
    ]
    tap = topology.interfaces[1]
    assert isinstance(tap.attributes, TapAttributes)
    assert (tap.bridge, tap.attributes.owner, tap.offload, tap.mtu) == ("lan", "alice", True, 1500)
    web = topology.devices("web")
    assert [device.transport.depth for device in web] == [128, 128, 128]
    assert str(web[0]).startswith("vec0:transport=tap,ifname=tap-web,depth=128,mac=02:")
    assert web[1].transport.mtu == 1500 - 20 - 8 - 4 - 4 - 8 - 4 - 14
    assert web[2].transport.mtu == 1500 - 40 - 12 - 14


def test_every_string_carries_its_mac_and_is_one_that_a_guest_takes() -> None:
    for line in strings(DESIGN):
        text = line.partition(" ")[2]
        assert ",mac=02:" in text
        assert str(parse(text)) == text


def test_what_an_end_receives_is_what_the_other_sends() -> None:
    for link in made(DESIGN).links:
        first, second = link.options
        mirrored = first.mirror()
        for key in ("src", "dst", "srcport", "rx_session", "tx_session", "rx_cookie", "rx_key", "tx_key"):
            if hasattr(first, key):
                assert getattr(mirrored, key) == getattr(second, key)
        assert first.mtu == second.mtu


def test_the_host_s_end_of_a_tunnel_is_the_guest_s_mirror() -> None:
    link = made(DESIGN).links[1]
    guest = link.options[0]
    assert isinstance(guest, L2tpv3)
    (interface,) = link.interfaces
    of = interface.attributes
    assert isinstance(of, L2tpAttributes)
    assert (of.local, of.remote, of.udp_sport, of.udp_dport) == (
        "192.168.128.1",
        "192.168.128.2",
        1707,
        1706,
    )
    assert (of.session_id, of.peer_session_id) == (guest.tx_session, guest.rx_session)
    assert (of.cookie, of.peer_cookie, of.cookie_size) == (guest.rx_cookie, guest.tx_cookie, 8)
    assert of.l2spec_type == "default"
    assert interface.mtu == guest.mtu
    assert [end.address for end in link.outer_ends] == ["192.168.128.2", "192.168.128.1"]
    assert link.devices[1] is None


def test_both_forms_and_nothing_are_one() -> None:
    short = strings("links:\n  - transport: tap\n    endpoints: [web:vec0, host:tap0]\n")
    for long in ("{web:vec0: {}, host:tap0: {}}", "{web:vec0: , host:tap0: ~}", "[host:tap0, web:vec0]"):
        assert strings(f"links:\n  - transport: tap\n    endpoints: {long}\n") == short
    assert strings('{"links": [{"transport": "tap", "endpoints": ["web:vec0", "host:tap0"]}]}') == short


@pytest.mark.parametrize("yes", ["on", "true", "yes", "True", "ON", '"on"', "'yes'", "1", '"1"', "y"])
@pytest.mark.parametrize("no", ["off", "false", "no", "False", "OFF", '"off"', "'no'", "0", '"0"', "n"])
def test_words_for_on_and_off_mean_the_same_quoted_or_not(yes: str, no: str) -> None:
    text = (
        "links:\n  - transport: gre\n    key: {}\n    sequence: {}\n    gro: {}\n"
        "    endpoints: {{a:vec0: {{local: 192.0.2.1}}, b:vec0: {{local: 192.0.2.2}}}}\n"
    )
    assert strings(text.format(yes, no, yes)) == strings(text.format("on", "off", "on"))


def test_texts_that_yaml_1_1_reads_as_numbers_stay_what_was_written() -> None:
    """52:54:00:12:34:56 is a number to base 60 there, and 0x10 is one in both."""
    text = "links:\n  - transport: fd\n    endpoints: {a:vec0: {mac: 52:54:00:12:34:56, fd: 0x10}, b:vec0: {}}\n"
    assert strings(text)[0] == "a vec0:transport=fd,fd=16,mac=52:54:00:12:34:56"


def test_a_link_s_options_win_over_defaults_and_a_transport_s_own() -> None:
    text = (
        "defaults: {gro: off, depth: 8}\nlinks:\n  - transport: tap\n    depth: 16\n    endpoints: [a:vec0, host:t]\n"
    )
    (link,) = made(text).links
    assert (link.options[0].gro, link.options[0].depth) == (False, 16)
    assert link.interfaces[0].offload is False


def test_merges_and_aliases() -> None:
    text = (
        "links:\n  - &one\n    transport: l2tpv3\n    encap: ip\n    cookie: 64\n"
        "    endpoints: {a:vec0: &a {local: 192.0.2.1}, b:vec0: {local: 192.0.2.2}}\n"
        "  - <<: *one\n    cookie: 32\n    endpoints: {a:vec1: *a, b:vec1: {<<: [*a], local: 192.0.2.3}}\n"
    )
    first, second = (link.options[0] for link in made(text).links)
    assert isinstance(first, L2tpv3)
    assert isinstance(second, L2tpv3)
    assert (first.udp, first.cookie_size, second.udp, second.cookie_size) == (False, 8, False, 4)
    assert second.dst == "192.0.2.3"


def test_a_tap_s_descriptor_takes_one_frame_per_call() -> None:
    (link,) = made("links:\n  - transport: fd\n    endpoints: [web:vec3, host:tap0]\n").links
    assert str(link.devices[0]).startswith("vec3:transport=fd,fd=103,mac=")
    assert str(link.devices[0]).endswith(",vec=0")
    assert link.interfaces[0].attributes == TapAttributes(vnet_hdr=False)


def test_a_file_without_a_name_is_named_after_itself() -> None:
    text = "links:\n  - transport: tap\n    endpoints: [web:vec0, host:tap0]\n"
    assert loads(text, path="/some/where/office.yaml").name == "office"
    assert loads("name: home\n" + text, path="/some/where/office.yaml").name == "home"


def test_a_named_link_keeps_its_strings() -> None:
    text = "links:\n  - transport: tap\n    {}\n    endpoints: [web:vec0, host:tap0]\n"
    (link,) = made(text.format("name: uplink")).links
    assert (link.name, link.interfaces[0].link) == ("uplink", "uplink")
    assert strings(text.format("name: uplink")) == strings(text.format(""))


def test_an_unknown_guest() -> None:
    with pytest.raises(InputError, match="lab has no guest 'wbe'; its guests are db, web"):
        made(DESIGN).devices("wbe")


# MTU

GRE = "links:\n  - transport: gre\n    {}\n    endpoints: {{a:vec0: {{local: {}}}, host:g0: {{local: {}, {}}}}}\n{}"


@pytest.mark.parametrize(
    ("underlay", "inner"), [(1500, 1462), (1400, 1362), (9000, 1500), (65535, 1500), (None, 1462), (614, 576)]
)
def test_mtu_is_1500_or_what_the_underlay_leaves(underlay: int | None, inner: int) -> None:
    (link,) = made(GRE.format("", "192.0.2.1", "192.0.2.2", "", ""), underlay).links
    assert link.mtu == link.options[1].mtu == link.interfaces[0].mtu == inner


def test_a_larger_mtu_can_be_stated_where_it_fits() -> None:
    (link,) = made(GRE.format("mtu: 8962", "192.0.2.1", "192.0.2.2", "", ""), 9000).links
    assert link.mtu == link.interfaces[0].mtu == 8962
    with pytest.raises(InputError, match="write at most 8962"):
        made(GRE.format("mtu: 8963", "192.0.2.1", "192.0.2.2", "", ""), 9000)


def test_an_underlay_that_leaves_too_little() -> None:
    with pytest.raises(InputError, match="leaves 575 bytes for a packet, and a guest needs 576"):
        made(GRE.format("", "192.0.2.1", "192.0.2.2", "", ""), 613)


def test_the_way_is_the_smaller_of_both_directions() -> None:
    ways = {("192.0.2.1", "192.0.2.2"): 1500, ("192.0.2.2", "192.0.2.1"): 1400}
    (link,) = loads(GRE.format("", "192.0.2.1", "192.0.2.2", "", ""), underlay=lambda *way: ways[way]).links
    assert link.mtu == 1362


def test_an_outer_address_on_a_bridge_of_the_topology_has_that_bridge_s_mtu() -> None:
    """Before `up` there is no such route, afterwards it is the loopback's: neither may change the strings."""
    bridges = "bridges: {under: {mtu: 1450, ip: [192.0.2.1/24, 192.0.2.2/24]}}\n"
    for kernel in (None, 65535):
        (link,) = made(GRE.format("", "192.0.2.1", "192.0.2.2", "", bridges), kernel).links
        assert link.mtu == 1450 - 38


def test_the_members_of_a_bridge_have_one_mtu() -> None:
    tap = "  - transport: tap\n    endpoints: {b:vec0: {}, host:t0: {bridge: lan}}\n"
    topology = made(GRE.format("", "192.0.2.1", "192.0.2.2", "bridge: lan", tap + "bridges: {lan: {}}\n"))
    assert [interface.mtu for interface in topology.interfaces] == [1462, 1462, 1462]
    assert [link.options[0].mtu for link in topology.links] == [1462, 1462]
    topology = made("links:\n" + tap + "bridges: {lan: {mtu: 9000}}\n")
    assert [interface.mtu for interface in topology.interfaces] == [9000, 9000]
    assert topology.links[0].options[0].mtu == 9000


# names and addresses per network namespace


def test_one_name_and_address_in_several_network_namespaces() -> None:
    guest = "{{ip: 10.0.0.2/24, ifname: p-{0}}}"
    one = f"  - transport: raw\n    endpoints: {{{{{{0}}:vec0: {guest}, host:eth1: {{{{netns: {{0}}}}}}}}}}\n"
    topology = made("links:\n" + one.format("red") + one.format("blue"))
    assert [(i.netns, i.ifname) for i in topology.interfaces] == [("red", "eth1"), ("blue", "eth1")]


def test_raw_between_guests_is_one_veth_pair() -> None:
    (interface,) = made("links:\n  - transport: raw\n    endpoints: [web:vec0, db:vec1]\n").interfaces
    assert interface.peer is not None
    assert (interface.kind, interface.ifname, interface.peer.ifname) == (
        "veth",
        "web-vec0",
        "db-vec1",
    )


def test_long_names_are_cut_and_stay_apart() -> None:
    text = "links:\n" + "".join(
        f"  - transport: raw\n    endpoints: [a-guest-with-a-long-name:vec{n}, db:vec{n}]\n" for n in range(3)
    )
    names = {interface.peer.ifname for interface in made(text).interfaces if interface.peer}
    names |= {interface.ifname for interface in made(text).interfaces}
    assert len(names) == 6
    assert all(len(name) <= 15 for name in names)


@pytest.mark.parametrize(
    "word", ["", "~", "null", "Null", "NULL", "nUll", "<<", "=", "on", "1", "'~'", "'<<'", "! ~", "[]"]
)
def test_what_is_null_or_merges_is_what_yaml_says(word: str) -> None:
    def said(node: yaml.Node | None) -> list[bool]:
        assert isinstance(node, yaml.MappingNode)
        ((key, value),) = node.value
        return [one.tag == f"tag:yaml.org,2002:{tag}" for one in (key, value) for tag in ("null", "merge", "seq")]

    text = f"? {word}\n: {word}\n"
    assert said(Document("lab.yaml", text).root) == said(yaml.compose(text, Loader=yaml.SafeLoader))


def test_the_model_is_plain_data() -> None:
    topology = made(DESIGN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        topology.name = "other"  # type: ignore[misc]
    assert made(DESIGN) == topology


def test_what_is_expected_of_all_links_and_of_one_is_kept_with_its_place() -> None:
    text = """defaults:
  expect: {loss: 0, latency_p99: 2ms}
links:
  - {transport: tap, endpoints: [web:vec0, host:tap0]}
  - transport: tap
    endpoints: [web:vec1, host:tap1]
    expect: {loss: 1.5%, throughput: 500M}
  - {transport: bess, endpoints: [web:vec2, outside:slirp4netns]}
"""
    every, own, outside = ([(e.key, e.limit, e.where.line) for e in link.expected] for link in made(text).links)
    assert every == [("loss", 0, 2), ("latency_p99", 0.002, 2)]
    assert own == [("loss", 0.015, 7), ("latency_p99", 0.002, 2), ("throughput", 5e8, 7)]
    assert outside == [], "what its probes cannot tell is not expected of a program outside"
