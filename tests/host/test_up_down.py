"""up, plan and down on the real kernel."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host.network import LAB, LAB_CHANGED, host_state, ip, names, topology
from vecnet import host
from vecnet.errors import HostError, InUseError, NotOursError
from vecnet.host import stages
from vecnet.kernel import rtnl
from vecnet.kernel.namespaces import Namespace, Namespaces
from vecnet.topology import load
from vecnet.transports.link import HostInterface, OuterEnd

ALL = {"lan", "tap-web", "tap-db", "hyb", "veth-db", "p-veth-db", "veth-web", "p-veth-web", "web-vec2", "db-vec2"}


def facts(ifname: str, *namespace: str) -> dict[str, object]:
    (entry,) = json.loads(ip(*namespace, "-j", "-d", "addr", "show", ifname))
    assert isinstance(entry, dict)
    return entry


def checksums(ifname: str) -> str:
    shown = subprocess.run(["ethtool", "-k", ifname], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in shown.splitlines() if "tx-checksum-ip-generic" in line)


@contextmanager
def opened(tap: str, flags: int = 0x5002) -> Iterator[int]:
    """A guest's hold on a tap: its descriptor is open and attached."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", tap.encode(), flags))  # IFF_TAP, NO_PI and VNET_HDR
        yield fd
    finally:
        os.close(fd)


def test_up_makes_what_the_topology_says() -> None:
    done = host.up(topology(LAB))
    assert names() == ALL
    assert {step.action for step in done.steps} == {"create"}
    lan = facts("lan")
    assert {(a["local"], a["prefixlen"]) for a in lan["addr_info"] if a["scope"] == "global"} == {  # type: ignore[attr-defined]
        ("10.0.0.1", 24),
        ("fd00::1", 64),
    }
    assert facts("tap-web")["master"] == "lan"
    assert facts("veth-db")["master"] == "lan"
    tap = facts("tap-db")
    assert tap["linkinfo"]["info_data"] == {  # type: ignore[index]
        "type": "tap",
        "pi": False,
        "vnet_hdr": True,
        "multi_queue": False,
        "persist": True,
        "user": pwd.getpwuid(0).pw_name,
    }
    assert str(tap["ifalias"]).startswith("vecnet lab db:vec0--host:tap-db home=")
    for name in ALL:
        assert "UP" in facts(name)["flags"], name  # type: ignore[operator]


def test_offloads_follow_the_guests_gro() -> None:
    host.up(topology(LAB))
    for name, expected in {"veth-web": "off", "p-veth-web": "off", "veth-db": "on", "p-veth-db": "on"}.items():
        assert checksums(name) == expected, name
    # a guest that opens a tap switches its checksum offload on, whatever it was
    assert [facts(tap)["gso_max_segs"] for tap in ("tap-web", "tap-db")] == [65535, 1]
    again = host.up(topology(LAB.replace("gro: off", "gro: on").replace("gro: false", "gro: true")))
    assert [(step.action, step.node.ifname) for step in again.steps] == [("change", "tap-db"), ("change", "veth-web")]
    assert checksums("veth-web") == checksums("p-veth-web") == "on"
    assert facts("tap-db")["gso_max_segs"] == 65535
    assert not host.plan(topology(LAB.replace("gro: off", "gro: on").replace("gro: false", "gro: true"))).steps


def test_a_guests_end_has_no_addresses_of_its_own() -> None:
    host.up(topology(LAB))
    for name in ("p-veth-db", "p-veth-web", "web-vec2", "db-vec2"):
        assert facts(name)["addr_info"] == [], name


def test_ipv6_is_off_at_a_guests_end_and_there_alone() -> None:
    def off(ifname: str) -> bool:
        return Path(f"/proc/sys/net/ipv6/conf/{ifname}/disable_ipv6").read_text() == "1\n"

    host.up(topology(LAB))
    assert {name for name in ALL if off(name)} == {"p-veth-db", "p-veth-web", "web-vec2", "db-vec2"}


def test_up_twice_changes_nothing() -> None:
    lab = topology(LAB)
    host.up(lab)
    before = host_state()
    assert host.plan(lab).steps == ()
    again = host.up(lab)
    assert again.steps == ()
    assert again.unchanged == 7
    assert "nothing to do" in again.summary()
    assert host_state() == before


def test_down_removes_all_of_it_and_nothing_else() -> None:
    ip("link", "add", "mine", "type", "bridge")
    ip("link", "add", "veth-mine", "type", "veth", "peer", "name", "veth-mine2")
    ip("link", "add", "other", "type", "bridge")
    ip("link", "set", "other", "group", "118")
    before = host_state()
    host.up(topology(LAB))
    done = host.down("lab")
    assert len(done.steps) == 7
    assert host_state() == before
    assert host.down("lab").steps == ()
    assert host.down("lab").summary() == "lab: nothing to do"


def test_an_interface_in_our_group_with_the_mark_of_another_topology_stays() -> None:
    host.up(topology(LAB))
    group = facts("lan")["group"]
    ip("link", "add", "mine", "group", str(group), "type", "bridge")
    ip("link", "set", "mine", "alias", "vecnet other bridge")
    host.down("lab")
    assert names() == {"mine"}


def test_an_alias_that_somebody_wrote_disowns_nothing() -> None:
    host.up(topology(LAB))
    before = {name: facts(name) for name in ALL}
    for name in ("tap-db", "lan", "veth-db", "p-veth-web", "web-vec2"):
        ip("link", "set", "dev", name, "alias", "the printer's")
    assert {entry.ifname for entry in host.status("lab")} == {
        name for name in ALL if not name.startswith(("p-", "db-"))
    }
    plan = host.up(topology(LAB))
    assert {(step.action, step.node.ifname) for step in plan.steps} >= {("change", "tap-db"), ("change", "veth-db")}
    assert {name: facts(name)["ifalias"] for name in ALL} == {name: before[name]["ifalias"] for name in ALL}
    assert host.plan(topology(LAB)).steps == ()
    ip("link", "set", "dev", "tap-db", "alias", "x")
    ip("link", "set", "dev", "hyb", "alias", "x")
    host.down("lab")
    assert names() == set()


def test_two_topologies_side_by_side() -> None:
    other = topology("links: [{transport: tap, endpoints: [a:vec0, host:tap-a]}]", "other")
    host.up(topology(LAB))
    before = host_state()
    host.up(other)
    assert names() == ALL | {"tap-a"}
    assert {entry.topology for entry in host.status()} == {"lab", "other"}
    host.down("other")
    assert host_state() == before


def test_a_changed_topology_changes_only_what_differs() -> None:
    host.up(topology(LAB))
    before = {name: facts(name) for name in ALL}
    plan = host.plan(topology(LAB_CHANGED))
    assert {(step.action, step.node.ifname): step.changed for step in plan.steps} == {
        ("delete", "veth-web"): (),
        ("replace", "tap-db"): ("owner",),
        ("change", "tap-web"): ("addresses", "bridge"),
        ("change", "veth-db"): ("mtu", "peer_mtu"),
        ("create", "veth-new"): (),
        ("change", "lan"): ("mtu",),  # a bridge carries what its smallest member does
    }
    text = plan.describe()
    assert "~ veth veth-db" in text
    assert "mtu 1500 → 1400" in text
    done = host.up(topology(LAB_CHANGED))
    assert done.as_json() == plan.as_json()
    json.dumps(plan.as_json())
    assert host.plan(topology(LAB_CHANGED)).steps == ()
    for name in ("hyb", "web-vec2", "db-vec2"):
        assert facts(name) == before[name], name
    assert facts("veth-db")["mtu"] == facts("p-veth-db")["mtu"] == 1400
    assert facts("lan")["mtu"] == 1400
    assert "master" not in facts("tap-web")


def test_a_link_that_is_renamed_keeps_its_interface_and_says_so() -> None:
    before, after = (
        f"links: [{{transport: tap, name: {name}, endpoints: [a:vec0, host:t0]}}]" for name in ("old", "new")
    )
    host.up(topology(before))
    plan = host.plan(topology(after))
    assert plan.describe().splitlines() == ["~ tap t0, new", "    link old → new", "lab: 1 to change, 0 unchanged"]
    (step,) = (step.as_json() for step in plan.steps)
    assert (step["before"], step["after"]) == ({"link": "old"}, {"link": "new"})
    host.up(topology(after))
    assert host.plan(topology(after)).steps == ()


def test_what_somebody_changed_by_hand_is_put_right() -> None:
    host.up(topology(LAB))
    before = host_state(numbers=False)
    ip("link", "set", "veth-db", "down")
    ip("link", "set", "p-veth-web", "mtu", "1300")
    ip("addr", "add", "10.44.0.1/24", "dev", "lan")
    ip("link", "set", "tap-web", "nomaster")
    ip("link", "del", "hyb")
    subprocess.run(["ethtool", "-K", "veth-web", "tx", "on"], check=True, capture_output=True)
    assert len(host.up(topology(LAB)).steps) == 5
    assert host_state(numbers=False) == before


def test_an_address_that_somebody_gave_a_lifetime_is_there_for_good_again() -> None:
    lab = topology('links: [{transport: tap, endpoints: {a:vec0: {}, host:t0: {ip: ["fd01::1/64", 10.1.0.1/24]}}}]')
    host.up(lab)
    before = host_state()
    for address in ("fd01::1/64", "10.1.0.1/24"):
        ip("addr", "change", address, "dev", "t0", "valid_lft", "100", "preferred_lft", "100")
    assert host_state() != before
    assert len(host.up(lab).steps) == 1
    assert host_state() == before


def test_an_ipv6_address_with_an_ipv4_one_inside_is_given_once() -> None:
    addresses = '["::ffff:10.0.0.1/96", "::10.0.0.2/96", "2001:db8::10.0.0.3/96"]'
    lab = topology(f"links: [{{transport: tap, endpoints: {{a:vec0: {{}}, host:t0: {{ip: {addresses}}}}}}}]")
    host.up(lab)
    assert host.plan(lab).steps == ()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (("link", "add", "tap-web", "type", "bridge"), "tap-web"),
        (("link", "add", "lan", "type", "veth", "peer", "name", "y"), "lan"),
        (("tuntap", "add", "tap-db", "mode", "tap"), "tap-db"),
        (("link", "add", "p-veth-db", "type", "bridge"), "p-veth-db"),
        (("link", "add", "veth-web", "type", "veth", "peer", "name", "x"), "veth-web"),
    ],
)
def test_an_interface_of_that_name_is_never_taken_over(make: tuple[str, ...], name: str) -> None:
    ip(*make)
    before = host_state()
    for attempt in (host.plan, host.up):
        with pytest.raises(NotOursError, match=f"interface {name} exists and was not made by vecnet"):
            attempt(topology(LAB))
    assert host_state() == before


def test_another_topologys_interface_is_named() -> None:
    host.up(topology(LAB))
    with pytest.raises(NotOursError, match="tap-web exists and belongs to the topology lab"):
        host.plan(topology("links: [{transport: tap, endpoints: [a:vec0, host:tap-web]}]", "other"))


def test_every_reason_is_told_at_once() -> None:
    ip("link", "add", "tap-web", "type", "bridge")
    ip("link", "add", "hyb", "type", "bridge")
    with pytest.raises(NotOursError) as caught:
        host.plan(topology(LAB))
    assert "tap-web" in str(caught.value)
    assert "hyb" in str(caught.value)


def test_what_a_running_guest_uses_is_left_alone() -> None:
    host.up(topology(LAB))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with opened("tap-db"), raw:
        raw.bind(("p-veth-web", 0))
        with pytest.raises(InUseError, match="tap-db: a guest has tap-db open, and its owner cannot be changed"):
            host.up(topology(LAB_CHANGED))
        keep_owner = LAB_CHANGED.replace('owner: "1"', 'owner: "0"')
        done = host.up(topology(keep_owner))
        assert {step.node.ifname for step in done.steps if step.action == "keep"} == {"veth-web"}
        assert "a packet socket is bound to p-veth-web: left alone" in done.summary()
        assert {"veth-web", "p-veth-web"} <= names()
        assert [entry.in_use for entry in host.status("lab") if entry.ifname == "tap-db"] == ["a guest has tap-db open"]
        assert "although a guest has tap-db open" in host.down("lab").summary()
    assert names() == set()


def test_a_guest_that_opened_the_tap_without_a_header_is_no_difference() -> None:
    lab = topology(LAB)
    host.up(lab)
    with opened("tap-web", 0x1002):
        assert host.plan(lab).steps == ()


def test_interfaces_in_a_named_namespace() -> None:
    lab = topology(
        """
links:
  - {transport: tap, endpoints: {a:vec0: {}, host:tap-a: {netns: blue, bridge: br}}}
  - {transport: raw, endpoints: {a:vec1: {}, host:veth-a: {netns: blue, ip: 10.2.0.1/24}}}
  - {transport: tap, endpoints: [a:vec2, host:tap-b]}
bridges:
  br: {netns: blue, ip: 10.3.0.1/24}
"""
    )
    with pytest.raises(HostError, match="no network namespace blue; make it with: ip netns add blue"):
        host.plan(lab)
    ip("netns", "add", "blue")
    before = host_state()
    host.up(lab)
    assert names() == {"p-veth-a", "tap-b"}
    blue = {entry["ifname"] for entry in json.loads(ip("-n", "blue", "-j", "link"))} - {"lo"}
    assert blue == {"tap-a", "veth-a", "br"}
    assert facts("tap-a", "-n", "blue")["master"] == "br"
    assert host.plan(lab).steps == ()
    assert {entry.ifname for entry in host.status("lab") if entry.healthy} == {"br", "tap-a", "tap-b", "veth-a"}
    host.down("lab")
    assert host_state() == before


def test_the_same_topology_in_two_namespaces_does_not_meet() -> None:
    """`down` in one namespace leaves alone what the same topology has made in another, which has a name."""
    ip("netns", "add", "blue")
    script = "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *"
    inside = ["ip", "netns", "exec", "blue", sys.executable, "-c"]
    subprocess.run([*inside, f"{script}; host.up(topology(LAB))"], check=True)
    host.up(topology(LAB))
    host.down("lab")
    assert names() == set()
    assert len(json.loads(ip("-n", "blue", "-j", "link"))) == 1 + len(ALL)
    subprocess.run([*inside, f"{script}; host.down('lab')"], check=True)
    assert len(json.loads(ip("-n", "blue", "-j", "link"))) == 1


def test_200_links_go_up_are_planned_and_go_down() -> None:
    links = [f"{{transport: raw, endpoints: [g{i}:vec0, host:v{i}]}}" for i in range(150)]
    links += [f"{{transport: tap, endpoints: [h{i}:vec0, host:t{i}]}}" for i in range(50)]
    many = topology(f"links: [{', '.join(links)}]", "many")
    told: list[tuple[int, int]] = []
    host.up(many, progress=lambda done, total: told.append((done, total)))
    assert len(names()) == 350
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    assert host.plan(many).steps == ()
    host.down("many")
    assert names() == set()


def test_up_waits_until_every_pair_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's worker is late where it has thousands to do; here `up` finds each end late once."""
    late, sending = set(), set()

    def sends(place: Namespace, ifname: str) -> bool:
        if ifname not in late:
            late.add(ifname)
            return False
        if rtnl.sends(place, ifname):
            sending.add(ifname)
        return ifname in sending

    monkeypatch.setattr(stages, "sends", sends)
    links = [f"{{transport: raw, endpoints: [g{i}:vec0, host:v{i}]}}" for i in range(70)]
    host.up(topology(f"links: [{', '.join(links)}]"))
    assert sending == {f"v{i}" for i in range(70)}


def test_a_pair_sends_once_both_of_its_ends_are_up() -> None:
    host.up(topology("links: [{transport: raw, endpoints: [g:vec0, host:v0]}]"))
    with Namespaces() as places:
        assert rtnl.sends(places[None], "v0")
        ip("link", "set", "p-v0", "down")
        assert not rtnl.sends(places[None], "v0")


def test_unknown_owner_is_named() -> None:
    with pytest.raises(HostError, match="this host has no user 'nobody-of-that-name'"):
        host.plan(topology("links: [{transport: tap, endpoints: {a:vec0: {}, host:t: {owner: nobody-of-that-name}}}]"))


def test_the_largest_number_of_a_user_and_of_a_group() -> None:
    lab = topology("links: [{transport: tap, endpoints: {a:vec0: {}, host:t: {owner: 4294967294, group: 4294967294}}}]")
    host.up(lab)
    assert host.plan(lab).steps == ()


def test_a_kind_that_the_kernel_lacks_is_named_with_its_module() -> None:
    from vecnet.kernel.namespaces import Namespaces
    from vecnet.kernel.probe import lacks_kind

    before = host_state()
    with Namespaces() as namespaces:
        assert lacks_kind(namespaces.home, "veth") is False
        assert lacks_kind(namespaces.home, "nosuchkind") is True
    assert host_state() == before


def test_without_privilege_plan_works_and_up_says_what_to_do() -> None:
    script = (
        "import os, sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
        "import vecnet.host.apply, vecnet.kernel.encode, pyroute2.netlink.generic.ethtool; "
        "lab = topology(LAB); host.plan(lab); "
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534); "
        "print(len(host.plan(lab).steps)); host.up(lab)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "7\n", done.stderr
    assert "HostError" in done.stderr
    assert "run this as root, or give it CAP_NET_ADMIN; `vecnet sandbox` needs no such right" in done.stderr
    assert names() == set()


def test_pyroute2_is_loaded_for_a_change_alone_and_never_all_of_it() -> None:
    """It would take longer than all else that a small `up` does."""
    host.up(topology(LAB))
    script = (
        "import sys; sys.path.insert(0, '.'); from vecnet import host; from tests.host.network import *; "
        "lab, loaded = topology(LAB), lambda name: any(one.startswith(name) for one in sys.modules); "
        "print(len(host.plan(lab).steps), len(host.status()), len(host.up(lab).steps), loaded('pyroute2')); "
        "print(len(host.down('lab').steps), loaded('pyroute2.'), loaded('pyroute2.iproute'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "0 7 0 False\n7 True False\n"


def test_status_tells_what_is_not_healthy() -> None:
    host.up(topology(LAB))
    assert all(entry.healthy for entry in host.status("lab"))
    ip("link", "set", "p-veth-db", "down")
    ip("link", "set", "veth-web", "mtu", "1300")
    why = {entry.ifname: entry.why for entry in host.status("lab") if not entry.healthy}
    assert why == {
        "veth-db": "p-veth-db is down",
        "veth-web": "its two ends have different MTUs, 1300 and 1500",
    }
    json.dumps([entry.as_json() for entry in host.status()])
    assert host.status("nothing-of-that-name") == []


def test_prepare_sandbox_puts_outer_addresses_on_the_loopback() -> None:
    lab = topology(
        """
links:
  - {transport: gre, endpoints: {a:vec0: {local: 192.0.2.1}, b:vec0: {local: 192.0.2.2}}}
  - {transport: gre, endpoints: {a:vec1: {local: "2001:db8::1"}, b:vec1: {local: "2001:db8::2"}}}
"""
    )
    with pytest.raises(HostError, match=r"192\.0\.2\.1 is on no interface .* write elsewhere:a in place of"):
        host.plan(lab)
    host.prepare_sandbox(lab)
    host.prepare_sandbox(lab)
    assert host.plan(lab).steps == ()
    local = {one["local"] for one in facts("lo")["addr_info"]}  # type: ignore[attr-defined]
    assert {"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "127.0.0.1"} <= local


def test_outer_ends_of_a_network_that_is_no_topology_are_checked() -> None:
    """Whoever hands in a network of their own states its tunnels' ends as well, or mypy refuses it."""

    class Own:
        name = "own"
        interfaces: Sequence[HostInterface] = ()
        outer_ends = (OuterEnd("a--b", "a:vec0", "192.0.2.1", is_host=False, here=True, claims=()),)

    with pytest.raises(HostError, match=r"link a--b: the address 192\.0\.2\.1 is on no interface"):
        host.plan(Own())


def test_a_stated_link_local_address_is_given_once() -> None:
    lab = topology('links: [{transport: tap, endpoints: {a:vec0: {}, host:t0: {ip: ["fe80::77/64", 10.1.0.1/24]}}}]')
    host.up(lab)
    assert "fe80::77" in {one["local"] for one in facts("t0")["addr_info"]}  # type: ignore[attr-defined]
    assert host.plan(lab).steps == ()


def asked(count: int, folder: Path) -> dict[str, int]:
    """What an `up` that changes nothing asks of the kernel, for so many links: Python itself tells of each call."""
    file = folder / f"{count}.yaml"
    # between guests, whose ends get no address of IPv6: a dump is read again where one settles meanwhile
    links = [f"{{transport: raw, endpoints: [g{i}:vec0, h{i}:vec0]}}" for i in range(count)]
    file.write_text(f"name: many\nlinks: [{', '.join(links)}]\n")
    host.up(load(file))
    script = (
        "import collections, json, re, sys; from vecnet import host; from vecnet.topology import load; "
        "many = load(sys.argv[1]); calls = collections.Counter(); "
        "other = lambda event, args: event == 'open' and re.match('/proc/[0-9]', str(args[0])); "  # other processes
        "sys.addaudithook(lambda event, args: None if other(event, args) else calls.update([event])); "
        "steps = host.up(many).steps; told = dict(calls); assert not steps; "
        "print(json.dumps({call: told[call] for call in told if call.startswith(('socket.', 'fcntl.', 'open'))}))"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=True)
    calls: dict[str, int] = json.loads(done.stdout)
    return calls


def test_a_second_up_of_many_links_asks_no_more_than_of_few(tmp_path: Path) -> None:
    few = asked(2, tmp_path)
    assert few["socket.sendto"] > 3  # dumps
    assert asked(300, tmp_path) == few
