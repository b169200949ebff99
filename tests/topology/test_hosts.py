"""A topology of several hosts, and what each of them has to do: self-contained, and the same on whichever reads it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import NoReturn

import pytest

from vecnet import parse
from vecnet.errors import InputError
from vecnet.topology import Topology, loads
from vecnet.transports.gre import Gre
from vecnet.transports.l2tpv3 import L2tpv3
from vecnet.transports.link import GreAttributes, L2tpAttributes

LAB = """
name: lab
hosts:
  alpha: {address: 192.0.2.11}
  beta: {address: [192.0.2.12, "2001:db8::12"], mtu: 9000}
  gamma: {address: ["2001:db8::13", 192.0.2.13]}
guests: {web: {on: alpha, kernel: 7.2}, db: {on: beta}, app: {on: gamma}}
switches: {one: {on: alpha, age: 60}, two: {on: beta}}
bridges: {alpha:br0: {ip: 10.0.0.1/24}, beta:br0: {}}
links:
  - {transport: tap, endpoints: {web:vec0: , alpha:tap0: {bridge: br0}}}
  - {transport: tap, endpoints: {db:vec0: , beta:tap0: {bridge: br0}}}
  - {transport: gre, endpoints: {alpha:trunk: {bridge: br0}, beta:trunk: {bridge: br0}}}
  - {transport: l2tpv3, endpoints: [web:vec1, db:vec1]}
  - {transport: gre, endpoints: {web:vec2: {key: 5}, app:vec0: }}
  - {transport: l2tpv3, encap: ip, endpoints: {db:vec2: {local: "2001:db8::12"}, gamma:far: }}
  - {transport: bess, endpoints: [web:vec3, one:web]}
  - {transport: bess, endpoints: [db:vec3, two:db]}
  - {transport: l2tpv3, endpoints: [one:two, two:one]}
  - {transport: gre, endpoints: {web:vec4: , elsewhere:router: {local: 203.0.113.9}}}
  - {transport: fd, endpoints: {app:vec1: , outside:passt: }}
  - {transport: l2tpv3, endpoints: {app:vec2: {local: 127.0.0.2}, gamma:near: {local: 127.0.0.3}}}
"""


def never(*_: str) -> NoReturn:
    raise AssertionError("the kernel of the machine that reads the file is asked")


def made(text: str = LAB) -> Topology:
    return loads(text, underlay=never, interface_mtu=never)


def options(part: Topology, guest: str) -> dict[str, str]:
    return {device.ifname: str(device) for device in part.devices(guest)}


def test_each_host_has_what_is_its_own() -> None:
    alpha, beta, gamma = map(made().on, ("alpha", "beta", "gamma"))
    assert [part.guests for part in (alpha, beta, gamma)] == [("web",), ("db",), ("app",)]
    names = [[interface.ifname for interface in part.interfaces] for part in (alpha, beta, gamma)]
    assert names == [["br0", "tap0", "trunk"], ["br0", "tap0", "trunk"], ["far", "near"]]
    assert [sorted(part.switches) for part in (alpha, beta, gamma)] == [["one"], ["two"], []]
    assert (alpha.switches["one"].age, alpha.kernel("web").stated) == (60, "7.2")
    assert (alpha.name, alpha.host, dict(alpha.hosts)) == ("lab", "alpha", {})
    assert not beta.kernels


def test_both_hosts_have_the_same_wire() -> None:
    """What one host's guest is told is the mirror of what the other's is, and so with the kernels' tunnels."""
    topology = made()
    one, other = (
        parse(options(topology.on(host), guest)["vec1"]) for host, guest in (("alpha", "web"), ("beta", "db"))
    )
    mirror = one.mirror().transport
    assert isinstance(mirror, L2tpv3)
    assert {**vars(mirror), "mac": ""} == {**vars(other.transport), "mac": ""}
    assert (mirror.dst, mirror.src, mirror.mtu) == ("192.0.2.11", "192.0.2.12", 1450)
    here, there = (
        next(interface for interface in topology.on(host).interfaces if interface.ifname == "trunk")
        for host in ("alpha", "beta")
    )
    assert isinstance(here.attributes, GreAttributes)
    assert isinstance(there.attributes, GreAttributes)
    assert (here.attributes.local, here.attributes.remote) == ("192.0.2.11", "192.0.2.12")
    assert (here.attributes.local, here.attributes.ikey) == (there.attributes.remote, there.attributes.okey)
    assert (here.attributes.remote, here.attributes.okey) == (there.attributes.local, there.attributes.ikey)
    assert here.attributes.ikey is not None  # there may be more between the two
    assert here.mac != there.mac
    assert (here.bridge, here.link, here.mtu, there.mtu) == ("br0", there.link, 1458, 1458)


def test_a_guest_at_the_kernel_of_another_host() -> None:
    db = parse(options(made().on("beta"), "db")["vec2"]).transport
    (far,) = (one for one in made().on("gamma").interfaces if one.ifname == "far")
    assert isinstance(db, L2tpv3)
    assert isinstance(far.attributes, L2tpAttributes)
    assert (far.attributes.local, far.attributes.remote) == (db.dst, db.src) == ("2001:db8::13", "2001:db8::12")
    assert (far.attributes.session_id, far.attributes.peer_session_id) == (db.tx_session, db.rx_session)


def test_the_outer_addresses_of_a_host_are_looked_at_and_those_of_others_only_reached() -> None:
    ends = {f"{end.link} {end.endpoint}": end for end in made().on("alpha").outer_ends}
    web, db = ends["db:vec1--web:vec1 web:vec1"], ends["db:vec1--web:vec1 db:vec1"]
    assert (web.here, web.elsewhere, db.here, db.elsewhere) == (True, False, False, True)
    trunk = ends["alpha:trunk--beta:trunk beta:trunk"]
    assert (trunk.here, trunk.elsewhere) == (False, False)  # the kernel's tunnel looks for itself
    router = ends["web:vec4--elsewhere:router elsewhere:router"]
    assert (router.here, router.elsewhere) == (False, True)


def test_what_leaves_a_host_has_its_address_and_what_stays_has_its_own() -> None:
    web, app = (made().on(host).devices(guest) for host, guest in (("alpha", "web"), ("gamma", "app")))
    router, near = (device.transport for device in (web[4], app[2]))
    assert isinstance(router, Gre)
    assert isinstance(near, L2tpv3)
    assert (router.src, router.dst, router.rx_key) == ("192.0.2.11", "203.0.113.9", None)
    assert (near.src, near.dst, near.mtu) == ("127.0.0.2", "127.0.0.3", 1500)
    keyed = web[2].transport
    assert isinstance(keyed, Gre)
    assert (keyed.src, keyed.dst, keyed.rx_key) == ("192.0.2.11", "192.0.2.13", 5)  # IPv4, which both have
    assert keyed.tx_key is not None


@pytest.mark.parametrize(("stated", "mtu"), [(("", ""), 1450), (("mtu: 9000", ""), 1450), (("mtu: 9000",) * 2, 1500)])
def test_the_mtu_of_a_way_is_what_both_hosts_state(stated: tuple[str, str], mtu: int) -> None:
    hosts = ", ".join(f"h{n}: {{address: 192.0.2.{n}, {one}}}" for n, one in enumerate(stated, 1))
    text = f"hosts: {{{hosts}}}\nguests: {{a: {{on: h1}}, b: {{on: h2}}}}\n"
    text += "links: [{transport: l2tpv3, endpoints: [a:vec0, b:vec0]}]\n"
    (link,) = made(text).links
    assert link.mtu == mtu
    jumbo = text.replace("transport", "mtu: 8950, transport")
    if stated == ("mtu: 9000",) * 2:
        assert made(jumbo).links[0].mtu == 8950
    else:
        with pytest.raises(InputError, match="write at most 1450"):
            made(jumbo)


def test_one_lan_has_one_mtu_on_all_hosts() -> None:
    mtus = {interface.ifname: interface.mtu for interface in made().on("beta").interfaces}
    assert mtus == {"br0": 1458, "tap0": 1458, "trunk": 1458}
    switched = [link for link in made().links if link.transport == "bess" or "one:two" in link.name]
    assert [link.mtu for link in switched] == [1450] * 3
    smaller = LAB.replace("beta:br0: {}", "beta:br0: {mtu: 1280}")
    assert {one.mtu for host in ("alpha", "beta") for one in made(smaller).on(host).interfaces} == {1280}


def test_what_two_hosts_have_is_no_clash() -> None:
    """A name, a port, a path, an address within: each is one host's."""
    wires = "".join(
        f"  - {{transport: {transport}, endpoints: {{{guest}:vec{unit}: {near}, {host}:{name}: {far}}}}}\n"
        for guest, host in (("a", "alpha"), ("b", "beta"))
        for unit, (transport, name, near, far) in enumerate(
            [
                ("tap", "tap0", "{ip: 10.0.0.1/24}", "{ip: 10.0.0.2/24}"),
                ("raw", "eth9", "{ifname: peer9}", ""),
                ("bess", "sw", "", "{path: /run/x}"),
                ("l2tpv3", "l2", "{local: 127.0.0.2, port: 5000}", "{local: 127.0.0.3}"),
            ]
        )
    )
    hosts = (
        "hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}\nguests: {a: {on: alpha}, b: {on: beta}}"
    )
    topology = made(f"{hosts}\nlinks:\n{wires}")
    assert [len(topology.on(host).links) for host in topology.hosts] == [4, 4]


def test_a_bridge_that_another_host_has_too_is_there_already() -> None:
    undeclared = LAB.replace("alpha:br0: {ip: 10.0.0.1/24}, ", "").replace("links:", "defaults: {mtu: 1400}\nlinks:")
    kinds = {interface.ifname: interface.existing for interface in made(undeclared).on("alpha").interfaces}
    assert kinds == {"tap0": False, "trunk": False, "br0": True}


def test_one_host_alone_has_everything() -> None:
    text = "hosts: {alpha: {address: 192.0.2.11}}\nlinks: [{transport: tap, endpoints: [web:vec0, alpha:tap0]}]\n"
    assert made(text).on("alpha").guests == ("web",)


def test_what_is_of_several_machines_is_not_taken_for_one() -> None:
    with pytest.raises(InputError, match=r"is for the hosts alpha, beta, gamma, .*give one, such as --on alpha"):
        made().one_machine()
    for what in ("interfaces", "outer_ends"):  # from which the host wing would make all of them here
        with pytest.raises(InputError, match="it is not said which of them this is"):
            getattr(made(), what)
    with pytest.raises(InputError, match="lab has no host 'alpa'; did you mean alpha"):
        made().on("alpa")
    with pytest.raises(InputError, match="names no hosts, and is for one machine; leave --on out, or add hosts:"):
        made("links: [{transport: tap, endpoints: [web:vec0, host:tap0]}]").on("alpha")
    with pytest.raises(InputError, match="lab names no hosts"):
        made().on("alpha").on("alpha")


def test_the_order_of_hosts_changes_nothing() -> None:
    swapped = made(
        LAB.replace("  alpha: {address: 192.0.2.11}\n", "").replace(
            "guests:", "  alpha: {address: 192.0.2.11}\nguests:", 1
        )
    )
    for host, guest in (("alpha", "web"), ("beta", "db"), ("gamma", "app")):
        assert options(swapped.on(host), guest) == options(made().on(host), guest)


def many(hosts: int, each: int = 40) -> str:
    """As many hosts, every one with a guest that has `each` tunnels to the guests of others."""
    lines = ["name: many", "hosts:", *(f"  h{n}: {{address: 10.0.0.{n + 1}}}" for n in range(hosts)), "guests:"]
    lines += [*(f"  g{n}: {{on: h{n}}}" for n in range(hosts)), "links:"]
    for here in range(hosts):
        for number in range(each // 2):
            there = (here + 1 + number % (hosts - 1)) % hosts
            ends = f"[g{here}:vec{number}, g{there}:vec{each + here * each + number}]"
            lines.append(f"  - {{transport: {('gre', 'l2tpv3')[number % 2]}, endpoints: {ends}}}")
    return "\n".join(lines)


def test_a_hundred_hosts_with_forty_links_each() -> None:
    started = time.process_time()
    topology = made(many(100))
    parts = {host: topology.on(host) for host in topology.hosts}
    assert time.process_time() - started < 3
    assert Counter(len(part.links) for part in parts.values()) == {40: 100}
    macs = [device.transport.mac for host, part in parts.items() for device in part.devices(f"g{host[1:]}")]
    assert len(set(macs)) == len(macs) == 4000
    few = made(many(21)).on("h0")
    size = len(repr(parts["h0"]))
    assert size == pytest.approx(len(repr(few)), rel=0.02)  # what a host has to do does not grow with their number


def test_the_file_that_the_docs_show() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text()
    shown = text.partition("\n    name: lab\n")[2].partition("\n\n|")[0]
    topology = made("name: lab\n" + "".join(f"{line.removeprefix('    ')}\n" for line in shown.splitlines()))
    assert [topology.on(host).guests for host in topology.hosts] == [("web",), ("db",)]
