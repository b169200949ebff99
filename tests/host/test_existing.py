"""Bridges and interfaces that are there already: used as they are, and neither made, nor changed, nor removed.

br0, with nic in it ═ far │ tap-web, ours, comes and goes
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from tests.host.network import host_state, ip, names, refused_untouched, topology
from tests.host.test_failures import Striker
from vecnet import host, launch, open_port
from vecnet.errors import HostError, NotOursError
from vecnet.host import existing
from vecnet.host.snapshot import Snapshot
from vecnet.kernel.namespaces import Namespaces
from vecnet.topology import Topology

MEMBER = "links: [{{transport: tap{}, endpoints: {{web:vec0: {{}}, host:{}: {{bridge: br0{}}}}}}}]\n"
DECLARED = "bridges: {br0: {existing: on}}\n"
RAW = "links: [{{transport: raw{}, endpoints: {{web:vec0: {{}}, host:nic: {{existing: on}}}}}}]\n"


def lab(link: str = "", name: str = "lab", tap: str = "tap-web", end: str = "", bridges: str = DECLARED) -> Topology:
    return topology(MEMBER.format(link, tap, end) + bridges, name)


def bridge(mtu: int = 1500) -> None:
    """br0, as a distribution has it: a network card is in it, and it has the card's address, MAC and MTU."""
    ip("link", "add", "nic", "mtu", str(mtu), "type", "veth", "peer", "name", "far", "mtu", str(mtu))
    ip("link", "add", "br0", "type", "bridge")
    for name in ("nic", "far", "br0"):
        ip("link", "set", name, "up")
    ip("link", "set", "nic", "master", "br0")
    ip("addr", "add", "10.5.0.1/24", "dev", "br0")


def theirs() -> list[Any]:
    """All that the kernel tells of what is not ours, but for what a bridge's members have in common."""
    found = [entry for entry in host_state() if entry["ifname"] in ("br0", "nic", "far")]
    return [{key: value for key, value in entry.items() if key != "tso_max_size"} for entry in found]


def members() -> set[str]:
    return {entry["ifname"] for entry in json.loads(ip("-j", "link")) if entry.get("master") == "br0"}


def refusal(wanted: Topology) -> tuple[str, str, str]:
    """What plan and up refuse: where, why and what to write instead. Nothing is touched."""
    problem = refused_untouched(wanted)
    return str(problem.where), problem.message, problem.instead


@pytest.mark.parametrize("bridges", [DECLARED, ""], ids=["declared", "named at the end alone"])
def test_a_member_comes_and_goes_and_the_bridge_stays_as_it_is(bridges: str) -> None:
    bridge()
    before = theirs()
    wanted = lab(bridges=bridges)
    done = host.up(wanted)
    assert [step.node.ifname for step in done.steps] == ["tap-web"]
    assert members() == {"nic", "tap-web"}
    assert theirs() == before
    assert host.plan(wanted).steps == ()
    assert [entry.ifname for entry in host.status("lab")] == ["tap-web"]
    host.down("lab")
    assert theirs() == before
    assert names() == {"br0", "nic", "far"}


def test_a_member_has_a_high_mac_lest_the_bridge_takes_it() -> None:
    bridge()
    ip("link", "set", "nic", "address", "f2:00:00:00:00:01")  # the lowest member's is the bridge's
    (interface,) = lab().links[0].interfaces
    assert interface.mac is not None
    assert interface.mac.startswith("fe:")
    before = theirs()
    host.up(lab())
    assert theirs() == before
    (raw,) = topology("links: [{transport: raw, endpoints: {a:vec0: {}, host:v0: {bridge: br0}}}]").links[0].interfaces
    assert raw.mac is not None
    assert raw.mac.startswith("fe:")


def test_two_topologies_share_a_bridge() -> None:
    bridge()
    one, two = lab(name="one"), lab(name="two", tap="tap-two")
    host.up(one)
    host.up(two)
    assert members() == {"nic", "tap-web", "tap-two"}
    host.down("one")
    assert members() == {"nic", "tap-two"}
    assert host.plan(two).steps == ()


def test_a_member_that_somebody_took_out_is_put_back() -> None:
    bridge()
    host.up(lab())
    before = theirs()
    ip("link", "set", "tap-web", "nomaster")
    (step,) = host.plan(lab()).steps
    assert (step.action, list(step.differences)) == ("change", [("bridge", "none", "br0")])
    host.up(lab())
    assert "tap-web" in members()
    assert theirs() == before


def test_a_failure_at_each_message_leaves_the_bridge_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge()
    before = host_state()
    for at in range(100):
        with monkeypatch.context() as patch:
            if Striker(patch, at, "refused").at_end(lambda: host.up(lab())):
                break
        assert host_state() == before, at
    assert at > 2
    assert members() == {"nic", "tap-web"}


def test_a_bridge_that_is_not_there_is_told_with_its_place() -> None:
    where, message, instead = refusal(lab())
    assert (where, message) == ("topology:3:27", "br0 is not there, and vecnet does not make it")
    assert "for vecnet to make it, write br0: {} under bridges" in instead
    where, message, instead = refusal(lab(bridges=""))
    assert (where, message) == ("topology:2:75", "br0 is not there, and vecnet does not make it")


def test_every_one_that_is_not_there_is_told_at_once() -> None:
    text = RAW.format("") + "bridges: {br0: {existing: on}, br1: {existing: on}}"
    with pytest.raises(HostError) as caught:
        host.plan(topology(text))
    assert sorted(problem.message.split()[0] for problem in caught.value.problems) == ["br0", "br1", "nic"]


def test_another_kind_is_told() -> None:
    ip("link", "add", "br0", "type", "veth", "peer", "name", "far")
    where, message, _ = refusal(lab())
    assert (where, message) == ("topology:3:27", "br0 is an interface of the kind veth, and no bridge")
    tap = "links: [{transport: tap, endpoints: {web:vec0: {}, host:nic: {existing: on}}}]"
    ip("link", "add", "nic", "type", "bridge")
    assert refusal(topology(tap))[1] == "nic is an interface of the kind bridge, and no tap"
    ip("link", "del", "nic")
    ip("tuntap", "add", "nic", "mode", "tun")
    assert refusal(topology(tap))[1] == "nic is a tun, whose packets have no Ethernet header"
    assert refusal(topology(RAW.format("")))[1] == "nic is no Ethernet interface"
    ip("tuntap", "del", "nic", "mode", "tun")
    ip("tuntap", "add", "nic", "mode", "tap", "multi_queue")
    assert refusal(topology(tap))[1] == "nic has several queues, and a guest opens a tap of one"


def test_what_this_topology_made_does_not_become_somebody_elses_in_silence() -> None:
    host.up(lab(bridges="bridges: {br0: {}}"))
    where, _, instead = refusal(lab())
    assert (where, instead) == ("topology:3:27", "leave existing: on out, or run vecnet down before")


def test_nobody_is_told_to_delete_an_interface() -> None:
    bridge()
    _, message, instead = refusal(lab(bridges="bridges: {br0: {}}"))
    assert message == "br0: an interface br0 exists and was not made by vecnet"
    assert instead == "choose another name, or write existing: on to use it as it is"
    _, message, instead = refusal(lab(bridges="bridges: {nic: {}}\n").starting(()))
    assert "del" not in instead


def test_the_guest_has_the_mtu_of_the_bridge() -> None:
    bridge(9000)
    assert lab().devices("web")[0].transport.mtu == 9000
    before = theirs()
    host.up(lab())
    assert theirs() == before
    ip("link", "set", "nic", "mtu", "1400")  # and the bridge's follows
    _, message, instead = refusal(lab(bridges="bridges: {br0: {existing: on, mtu: 9000}}"))
    assert message == "br0 has mtu 1400, and what joins it here 9000"
    assert "write mtu: 1400 at the bridge" in instead


def test_an_interface_that_exists_is_left_alone_and_carries() -> None:
    bridge()
    ip("link", "set", "nic", "nomaster")
    ip("link", "set", "far", "mtu", "1400")
    ip("link", "set", "nic", "mtu", "1400")
    before = theirs()
    wanted = topology(RAW.format(""))
    (device,) = wanted.devices("web")
    assert (str(device).split(",")[1], device.transport.mtu) == ("ifname=nic", 1400)
    assert host.up(wanted).steps == ()
    with open_port(device) as guest, open_port("vec1:transport=raw,ifname=far,mtu=1400,gro=1") as other:
        frame = b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + b"\x88\xb5" + b"there" * 20
        guest.send([frame])
        assert frame in other.recv(timeout=5)
    host.down("lab")
    assert theirs() == before


def test_a_tap_of_somebody_elses_is_left_alone() -> None:
    ip("tuntap", "add", "tap9", "mode", "tap", "user", "root")
    ip("link", "set", "tap9", "up")
    text = "links: [{{transport: {}, endpoints: {{web:vec0: {{}}, host:tap9: {{existing: on}}}}}}]"
    before = host_state()
    for transport in ("tap", "hybrid", "fd"):
        wanted = topology(text.format(transport))
        assert host.up(wanted).steps == ()
        if transport == "fd":
            (inherited,) = launch.descriptors(wanted, ["web"])["web"].values()
            open_port(f"vec0:transport=fd,fd={inherited},vec=0").close()
        else:
            open_port(wanted.devices("web")[0]).close()
        host.down("lab")
    assert host_state() == before


def test_an_interface_in_a_named_namespace() -> None:
    ip("netns", "add", "blue")
    ip("link", "add", "nic", "netns", "blue", "type", "veth", "peer", "name", "far")
    wanted = topology(RAW.format("").replace("existing: on", "existing: on, netns: blue"))
    assert host.plan(wanted).steps == ()
    assert launch.namespace(wanted, "web") == "blue"
    assert "nic in blue is down" in host.plan(wanted).notes[0]


def test_what_it_needs_is_said_and_not_changed() -> None:
    bridge()
    ip("link", "set", "nic", "nomaster")
    ip("link", "set", "br0", "down")
    subprocess.run(["ethtool", "-K", "nic", "gro", "on"], check=True)
    ip("link", "set", "nic", "down")
    before = host_state()
    notes = host.up(topology(RAW.format(", gro: off, mtu: 1600"))).notes
    assert host_state() == before
    assert [note.rpartition(": ")[2] for note in notes] == [
        "ip link set nic up",
        "1500 at web:vec0--host:nic",
        "ethtool -K … tx off, at its other end",
        "ethtool -K nic gro off",
    ]
    host.up(lab())
    ip("link", "set", "tap-web", "nomaster")
    told = "\n".join(host.plan(lab()).notes)
    assert "br0 is down, and carries nothing until it is up: ip link set br0 up" in told
    assert "br0 has no other member, and takes the first one's MAC address" in told
    ip("tuntap", "add", "tap9", "mode", "tap")
    tap = "links: [{transport: tap, gro: off, endpoints: {web:vec0: {}, host:tap9: {existing: on}}}]"
    assert "ip link set tap9 gso_max_segs 1" in host.plan(topology(tap)).notes[1]


def test_a_network_card_takes_what_is_for_the_guest_only_if_it_takes_all() -> None:
    ip("link", "add", "nic", "type", "veth", "peer", "name", "far")
    (interface,) = topology(RAW.format("")).interfaces
    with Namespaces() as namespaces:
        snapshot = Snapshot(namespaces)
        there = snapshot.at(("", "nic"))
        assert there is not None
        assert not there.promiscuous
        card = replace(there, kind="")  # as a driver's interface has none
        assert "ip link set nic promisc on" in "".join(existing._notes(interface, card, snapshot))
        ip("link", "set", "nic", "promisc", "on")
        there = Snapshot(namespaces).at(("", "nic"))
        assert there is not None
        assert "promisc" not in "".join(existing._notes(interface, replace(there, kind=""), snapshot))


def test_an_alternative_name_is_taken_as_any_other() -> None:
    ip("link", "add", "theirs", "type", "veth", "peer", "name", "far")
    ip("link", "property", "add", "dev", "theirs", "altname", "tap-web")
    sentence = "tap-web: an interface tap-web exists, as an alternative name of theirs, and was not made by vecnet"
    assert refusal(topology("links: [{transport: tap, endpoints: [web:vec0, host:tap-web]}]"))[1] == sentence
    ip("link", "property", "add", "dev", "theirs", "altname", "nic")
    assert refusal(topology(RAW.format("")))[2] == "write theirs, which has that for its alternative name"
    ip("link", "property", "add", "dev", "theirs", "altname", "p-v0")
    with pytest.raises(NotOursError, match="p-v0 exists, as an alternative name of theirs, and was not made"):
        host.plan(topology("links: [{transport: raw, endpoints: [web:vec0, host:v0]}]"))
