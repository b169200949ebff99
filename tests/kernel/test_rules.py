"""What the kernel would refuse, or would mix up, is refused before it is touched; and what it takes is not.

The underlay is drawn in `lab.py`: 192.0.2.1 and fd00:2::1 are this host's, .10 and ::10 a neighbour's.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.network import host_state, names, topology
from tests.kernel.guest_end import GuestEnd, frame
from tests.kernel.lab import check_to_guest, opened, run, tapped, underlay
from tests.thorough import stride
from vecnet import host, parse
from vecnet.errors import HostError, KernelLacksError
from vecnet.topology import Topology
from vecnet.transports.link import L2tpAttributes

pytestmark = pytest.mark.kernel


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with underlay():
        yield


def link(keys: str, guest: str, at_host: str, name: str = "t0", unit: int = 0) -> str:
    """One link between guest and host: what the link has, and what each end has."""
    return f"  - {{{keys}, endpoints: {{a:vec{unit}: {{{guest}}}, host:{name}: {{{at_host}}}}}}}\n"


def lab(*links: str, name: str = "lab") -> Topology:
    return topology("links:\n" + "".join(links), name)


def refused(wanted: Topology, *sentences: str) -> None:
    """`plan` and `up` say every sentence, and nothing was touched."""
    before = host_state(), run("ip l2tp show tunnel")
    for attempt in (host.plan, host.up):
        with pytest.raises(HostError) as caught:
            attempt(wanted)
        for sentence in sentences:
            assert sentence in str(caught.value)
    assert (host_state(), run("ip l2tp show tunnel")) == before


GRE = link("transport: gre, key: on", "local: 192.0.2.10, key: 5", "local: 192.0.2.1, key: 7")
GRE6 = link("transport: gre", 'local: "fd00:2::10"', 'local: "fd00:2::1"')
UDP = link("transport: l2tpv3", "local: 192.0.2.10", "local: 192.0.2.1, port: 5000, session: 7")
IP = link("transport: l2tpv3, encap: ip", "local: 192.0.2.10", "local: 192.0.2.1, session: 7")
TUNNEL = "ip l2tp add tunnel tunnel_id {} peer_tunnel_id 4 encap {} local 192.0.2.1 remote 192.0.2.11"


def test_gre_is_unique_by_its_addresses_and_key() -> None:
    run("ip link add name theirs type gretap local 192.0.2.1 remote 192.0.2.10 ikey 7 okey 9")
    refused(lab(GRE), "t0: theirs is a GRE device from 192.0.2.1 to 192.0.2.10 with key 7 already")
    run("ip link add name theirs6 type ip6gretap local fd00:2::1 remote fd00:2::10")
    refused(lab(GRE6), "t0: theirs6 is a GRE device from fd00:2::1 to fd00:2::10 with no key already")
    run("ip link del theirs")
    run("ip link add name other-key type gretap local 192.0.2.1 remote 192.0.2.10 ikey 8 okey 9")
    run("ip link add name no-key type gretap local 192.0.2.1 remote 192.0.2.10")
    run("ip link add name elsewhere type gretap local 192.0.2.1 remote 192.0.2.11 ikey 7 okey 9")
    run("ip link add name layer3 type gre local 192.0.2.1 remote 192.0.2.10 ikey 7 okey 9")
    wanted = lab(GRE)
    host.up(wanted)
    with opened(wanted.links[0]) as pair:
        check_to_guest(pair)


def test_gre_of_another_topology_is_known() -> None:
    host.up(lab(GRE, name="other"))
    refused(lab(GRE.replace("t0", "t1")), "t1: t0 is a GRE device from 192.0.2.1 to 192.0.2.10 with key 7 already")


BETWEEN_GUESTS = "links: [{{transport: {}, endpoints: {{a:vec0: {{{}}}, b:vec0: {{{}}}}}}}]"


def test_a_guest_is_not_handed_the_gre_of_a_device() -> None:
    """A guest's raw socket receives all GRE of its address, and looks at the key alone."""
    run("ip addr add 192.0.2.2/24 dev under")
    run("ip link add name theirs type gretap local 192.0.2.1 remote 192.0.2.10 ikey 7 okey 9")
    ends = ("local: 192.0.2.1, key: {}", "local: 192.0.2.2, key: 9")
    wanted = topology(BETWEEN_GUESTS.format("gre", ends[0].format(7), ends[1]))
    refused(wanted, "a:vec0: theirs receives GRE to 192.0.2.1 with key 7 already, and the guest would be handed its")
    assert host.plan(topology(BETWEEN_GUESTS.format("gre", ends[0].format(8), ends[1]))).steps == ()
    neighbour = parse("vec0:transport=gre,src=192.0.2.2,dst=192.0.2.1,rx_key=9,tx_key=7")
    with GuestEnd(wanted.devices("a")[0]) as guest, GuestEnd(neighbour) as sender:
        sender.send(frame(b"for theirs"))
        assert next(guest.received()).frame == frame(b"for theirs")  # the sentence is true


def test_sessions_of_guests_on_ip_are_not_the_kernels() -> None:
    """Straight on IP the kernel finds a session by its id alone, whatever the packet's addresses are."""
    run("ip addr add 192.0.2.2/24 dev under")
    run("ip addr add 192.0.2.3/24 dev under")
    same = "transport: l2tpv3, encap: ip", "local: 192.0.2.2, session: 7", "local: 192.0.2.1, session: 7"
    refused(lab(link(*same)), "a:vec0: t0 has the session 7 too, and the kernel would take the guest's packets for it")
    assert len(host.plan(lab(link(*same).replace("192.0.2.2", "192.0.2.10"))).steps) == 1  # a guest on another machine
    run(TUNNEL.format(3, "ip"))
    run("ip l2tp add session name theirs tunnel_id 3 session_id 9 peer_session_id 8 l2spec_type none")
    run("ip link set theirs up")
    between = BETWEEN_GUESTS.format(
        "l2tpv3, encap: ip", "local: 192.0.2.2, session: 9", "local: 192.0.2.3, session: 10"
    )
    wanted = topology(between)
    refused(wanted, "a:vec0: theirs has the session 9 too, and the kernel would take the guest's packets for it")
    with tapped("theirs") as device, GuestEnd(wanted.devices("b")[0]) as guest:
        guest.send(frame(b"for the guest a"))
        assert device.recv(65536) == frame(b"for the guest a")  # the sentence is true
    assert host.plan(topology(between.replace("encap: ip", "encap: udp"))).steps == ()


def test_l2tp_tunnel_ids_are_unique() -> None:
    wanted = lab(UDP)
    attributes = wanted.interfaces[0].attributes
    assert isinstance(attributes, L2tpAttributes)
    number = attributes.tunnel_id
    run(TUNNEL.format(number, "udp") + " udp_sport 6000 udp_dport 6000")
    refused(wanted, f"t0: a tunnel with the id {number} exists and is not vecnet's; rename the host's interface")


def test_l2tp_sessions_are_unique_once_a_tunnel_is_straight_on_ip() -> None:
    run(TUNNEL.format(3, "udp") + " udp_sport 6000 udp_dport 6000")
    run("ip l2tp add session name theirs tunnel_id 3 session_id 7 peer_session_id 8")
    assert len(host.plan(lab(UDP)).steps) == 1  # nothing runs on IP yet
    refused(lab(IP), "t0: the session 7 exists in the tunnel 3, which is not this topology's; give another `session`")
    run(TUNNEL.format(4, "ip"))
    refused(lab(UDP), "t0: the session 7 exists in the tunnel 3, which is not this topology's; give another `session`")


def test_l2tp_sessions_of_one_topology_are_unique_once_a_tunnel_is_straight_on_ip() -> None:
    second = link("transport: l2tpv3", "local: 192.0.2.11", "local: 192.0.2.1, port: 5001, session: 7", "t1", 1)
    host.up(lab(UDP, second))
    third = link("transport: l2tpv3, encap: ip", "local: 192.0.2.12", "local: 192.0.2.1", "t2", 2)
    refused(lab(UDP, second, third), "t1: t0 has the session 7 too, which the kernel allows only while all tunnels run")


def test_one_udp_tunnel_has_a_local_address_and_port() -> None:
    sentence = "t0: another socket has the UDP port 5000 on 192.0.2.1; give the link another `port`"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("192.0.2.1", 5000))
        refused(lab(UDP), sentence)
    run(TUNNEL.format(3, "udp") + " udp_sport 5000 udp_dport 6000")  # to another remote
    refused(lab(UDP), sentence)
    host.up(lab(UDP.replace("5000", "5001")))


@pytest.mark.parametrize("text", [GRE, GRE6, UDP, IP][:: stride(2)], ids=["gre", "gre6", "udp", "ip"][:: stride(2)])
def test_the_local_address_is_there_and_the_remote_one_is_reached(text: str) -> None:
    v6 = "fd00" in text
    away = text.replace('fd00:2::1"', 'fd00:2::77"') if v6 else text.replace("192.0.2.1,", "192.0.2.77,")
    missing = "fd00:2::77" if v6 else "192.0.2.77"
    refused(
        lab(away),
        f"t0: the address {missing} is on no interface of this host",
        "write an address that this host has",
    )
    far = text.replace("fd00:2::10", "fd00:9::9") if v6 else text.replace("192.0.2.10", "203.0.113.9")
    unreached = "fd00:9::9" if v6 else "203.0.113.9"
    refused(lab(far), f"t0: no route leads to {unreached}; add one with: ip route add {unreached} via …")


def test_two_topologies_share_an_underlay_address() -> None:
    """Their tunnels have the same two addresses, and one goes down without the other."""
    links = (
        link("transport: gre, key: on", "local: 192.0.2.10", "local: 192.0.2.1", "{}g", 0),
        link("transport: l2tpv3", "local: 192.0.2.10", "local: 192.0.2.1", "{}u", 1),
        link("transport: l2tpv3, encap: ip", "local: 192.0.2.10", "local: 192.0.2.1", "{}i", 2),
    )
    one, two = (lab(*(text.replace("{}", name) for text in links), name=name) for name in ("one", "two"))
    host.up(one)
    host.up(two)
    assert host.plan(one).steps == host.plan(two).steps == ()
    for wanted in (one, two):
        for wire in wanted.links:
            with opened(wire) as pair:
                check_to_guest(pair)
    host.down("one")
    assert {"oneg", "oneu", "onei"}.isdisjoint(names())
    assert host.plan(two).steps == ()
    assert all(entry.healthy for entry in host.status("two"))
    with opened(two.links[1]) as pair:
        check_to_guest(pair)


MODULES = ("l2tp_eth", "l2tp_ip6", "l2tp_ip", "l2tp_netlink", "ip6_gre", "ip_gre")


@contextmanager
def no_modules(*names: str) -> Iterator[None]:
    """Modules that are loaded no more, and no others are, within the block."""
    loader = Path("/proc/sys/kernel/modprobe")
    before = loader.read_text()
    for name in names:
        if Path("/sys/module", name).exists():
            run(f"rmmod {name}")
    loader.write_text("/bin/false\n")
    try:
        yield
    finally:
        loader.write_text(before)


IP6 = link("transport: l2tpv3, encap: ip", 'local: "fd00:2::10"', 'local: "fd00:2::1"')


@pytest.mark.parametrize(
    ("text", "kind", "module"),
    [
        (GRE, "gretap", "ip_gre"),
        (GRE6, "ip6gretap", "ip6_gre"),
        (UDP, "l2tp", "l2tp_netlink"),
        (IP, "l2tp", "l2tp_ip"),
        (IP6, "l2tp", "l2tp_ip6"),
    ],
    ids=["gretap", "ip6gretap", "l2tp", "l2tp-ip", "l2tp-ip6"],
)
def test_a_missing_module_is_named(text: str, kind: str, module: str) -> None:
    for needed in ("l2tp_eth", "l2tp_netlink"):
        run(f"modprobe {needed}")
    gone = MODULES if module == "l2tp_netlink" else ("l2tp_ip6", module) if module == "l2tp_ip" else (module,)
    wanted = lab(text)
    with no_modules(*gone), pytest.raises(KernelLacksError) as caught:
        host.plan(wanted)
    assert f"this kernel has no {kind} interfaces, which t0 would be" in str(caught.value)
    found = re.search(r"modprobe -a (.*) \(or boot a kernel that has (.*)\)", str(caught.value))
    assert found
    assert found[1] == module
    assert found[2] == module
    assert len(host.plan(wanted).steps) == 1  # they are loaded by being asked for


def test_a_missing_module_that_only_up_can_find_is_named_and_all_is_undone() -> None:
    run("modprobe l2tp_netlink")
    with no_modules("l2tp_eth"):
        before = host_state()
        with pytest.raises(HostError, match=r"refused to make its session: .* modprobe -a l2tp_eth l2tp_ip l2tp_ip6"):
            host.up(lab(UDP))
        assert host_state() == before
        assert run("ip l2tp show tunnel") == ""
