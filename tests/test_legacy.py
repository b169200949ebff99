"""Legacy strings, whole command lines, and the topologies that do the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cli.command import answer, refused, vecnet
from vecnet import legacy
from vecnet.commandline import is_command_line, read
from vecnet.guests.kernel import EVERY, of_version
from vecnet.legacy import DRIVERS, explained, is_legacy
from vecnet.options import Severity
from vecnet.topology import Topology, loads
from vecnet.vecstring import explain

MAC = "fe:fd:c0:a8:00:01"

# each with the vector string that does the same; strings that people have
SAME = {
    "eth0=tuntap,tap0": "vec0:transport=tap,ifname=tap0",
    "eth0=tuntap,,,192.168.0.254": "vec0:transport=tap,ifname=tap0",
    f"eth2=tuntap,tap0,{MAC},192.168.0.254": f"vec2:transport=tap,ifname=tap0,mac={MAC}",
    "eth1=tuntap": "vec1:transport=tap,ifname=tap1",
    f"eth0=ethertap,tap3,{MAC},192.168.0.254": f"vec0:transport=tap,ifname=tap3,mac={MAC}",
    "eth0=daemon": "vec0:transport=tap,ifname=tap0",
    f"eth0=daemon,{MAC},unix,/tmp/uml.ctl": f"vec0:transport=tap,ifname=tap0,mac={MAC}",
    "eth0=mcast": "vec0:transport=tap,ifname=tap0",
    f"eth0=mcast,{MAC},239.192.168.1,1102,1": f"vec0:transport=tap,ifname=tap0,mac={MAC}",
    f"eth0=ucast,{MAC},1102,10.0.0.2,1103": "vec0:transport=l2tpv3,src=127.0.0.1,dst=10.0.0.2,udp=1,srcport=1102,"
    f"dstport=1103,rx_session=1,tx_session=1,mac={MAC}",
    "eth0=pcap,eth1,tcp,promisc": "vec0:transport=raw,ifname=eth1",
    "eth0=slirp": "vec0:transport=vde,vnl=slirp://",
    "eth0=slirp,,slirp-fullbolt": "vec0:transport=vde,vnl=slirp://",
    f"eth0=slirp,{MAC},/usr/bin/slirp,redir,tcp": f"vec0:transport=vde,vnl=slirp://,mac={MAC}",
    "eth0=slip,192.168.0.254": "vec0:transport=tap,ifname=tap0",
    "eth0=vde": "vec0:transport=vde,vnl=vde://",
    "eth0=vde,/run/vde.ctl": "vec0:transport=vde,vnl=vde:///run/vde.ctl",
    f"eth0=vde,/run/vde.ctl,{MAC},3,uml,660,web": f"vec0:transport=vde,vnl=vde:///run/vde.ctl,descr=web,port=3,"
    f"mode=660,group=uml,mac={MAC}",
}


@pytest.mark.parametrize("text", SAME)
def test_what_does_the_same(text: str) -> None:
    explanation = explained(text, EVERY)
    assert explanation.mended == SAME[text]
    assert explain(SAME[text]).as_meant
    assert all(token.effect.severity is Severity.OK and token.effect.message for token in explanation.tokens)
    for token in explanation.tokens:
        assert text[token.column - 1 :].startswith(token.text)


def test_an_address_that_is_taken_for_another_is_that_one() -> None:
    assert (
        explained("eth0=tuntap,,fe:fd:0:0:0:1", EVERY).mended == "vec0:transport=tap,ifname=tap0,mac=fe:fd:00:00:00:01"
    )


def test_every_driver_is_tried() -> None:
    assert {text.partition("=")[2].partition(",")[0] for text in SAME} == set(DRIVERS)


@pytest.mark.parametrize(
    ("text", "severity", "says"),
    [
        ("eth0=tuntap,tap0,x", Severity.FALLBACK, "'x' is not a unicast MAC address"),
        ("eth0=tuntap,tap0,x", Severity.FALLBACK, "the guest uses a random address"),
        ("eth0=tuntap,a/b", Severity.FALLBACK, "the tap's name: 'a/b' is not an interface name"),
        ("eth0=tuntap,tap0,,1.2.3", Severity.FALLBACK, "'1.2.3' is not an IPv4 or IPv6 address"),
        ("eth0=tuntap,tap0,,10.0.0.1,more", Severity.IGNORED, "the driver has no such field"),
        ("eth0=ucast,,70000", Severity.FALLBACK, "'70000' is not a whole number from 1 to 65535"),
        ("eth0=tuntap,,fe:fd:0:0:0:1", Severity.FALLBACK, "the guest takes it for fe:fd:00:00:00:01"),
        ("eth0=daemon,0x02:0:0:0:0:1", Severity.FALLBACK, "the guest takes it for 02:00:00:00:00:01"),
        ("eth0=vde,,fe:fd:00:00:00:01x", Severity.FALLBACK, "the guest uses a random address"),
        ("eth0=daemon,,tcp,/x", Severity.REFUSED, "'tcp' is not one of unix; the device cannot be brought up"),
        ("eth0=mcast,,10.0.0.1", Severity.REFUSED, "'10.0.0.1' is not an IPv4 multicast address"),
        ("eth0=mcast,,ff02::1", Severity.REFUSED, "the device cannot be brought up"),
        ("eth0=mcast,,239.1.2.3,9,256", Severity.REFUSED, "'256' is not a whole number from 0 to 255"),
        ("eth0=switch", Severity.REFUSED, "no legacy driver has this name"),
        ("eth0=", Severity.REFUSED, "no legacy driver has this name"),
    ],
)
def test_fields_that_are_wrong(text: str, severity: Severity, says: str) -> None:
    tokens = explained(text, EVERY).tokens
    assert any(token.effect.severity == severity and says in token.effect.message for token in tokens), tokens


def test_which_kernels_have_it() -> None:
    """Measured: tests/traps boots them all."""
    have = {str(guest): {name for name in DRIVERS if name in guest.legacy} for guest in EVERY.guests}
    assert have == {
        "6.1": set(DRIVERS) - {"pcap"},
        "6.12": {"tuntap", "ethertap", "daemon", "slip", "slirp"},
        "7.2": set(),
    }
    assert explained("eth0=tuntap,tap0", of_version("6.12")).as_meant
    assert not explained("eth0=tuntap,tap0", of_version("7.2")).as_meant
    (effect,) = explained("eth0=vde,/run/x", EVERY).effects
    assert effect.message == (
        "6.1: the guest has eth0; 6.12: the kernel is built without this driver, and the guest has no eth0; 7.2: the "
        "kernel has no legacy driver any more, and the guest has no eth0"
    )


def test_the_command_says_fields_string_and_link() -> None:
    done = vecnet("check", f"eth0=daemon,{MAC},unix,/tmp/uml.ctl")
    assert done.returncode == 2  # 7.2 has none
    assert done.stdout.splitlines()[1:4] == [
        "  ok        daemon             uml_switch, a switch in a process",
        f"  ok        {MAC}  the guest's Ethernet address",
        "  ok        unix               unix, the one kind of socket",
    ]
    assert done.stdout.splitlines()[-2] == f"  as a vector device: vec0:transport=tap,ifname=tap0,mac={MAC}"
    assert '"bridge": "lan-' in done.stdout.splitlines()[-1]
    assert vecnet("check", "--kernel", "6.1", "eth0=tuntap,tap0").returncode == 0
    report = json.loads(vecnet("check", "--json", "eth0=tuntap,tap0").stdout)
    assert report["mended"] == "vec0:transport=tap,ifname=tap0"
    assert report["link"] == {"transport": "tap", "endpoints": {"guest:vec0": {}, "host:tap0": {}}}


LINE = "linux mem=256M ubd0=root.img eth0=tuntap,tap0 vec1:transport=fd,fd=100,mac=02:00:00:00:00:01 umid=web"


def test_a_whole_command_line() -> None:
    assert is_command_line(LINE)
    line = read(LINE, of_version("6.1"))
    assert [word.text for word in line.words] == ["eth0=tuntap,tap0", "vec1:transport=fd,fd=100,mac=02:00:00:00:00:01"]
    assert line.others == ("linux", "mem=256M", "ubd0=root.img", "umid=web")
    assert line.as_meant
    assert not read(LINE, of_version("7.2")).as_meant


@pytest.mark.parametrize("text", ["vec0:transport=fd, fd=1", "vec0:transport=fd ,fd=1", "mem=1 root=x", "vec0:a", ""])
def test_what_is_no_command_line(text: str) -> None:
    assert not is_command_line(text)


def test_a_word_that_is_there_need_not_be_said() -> None:
    ip = "vec0:transport=l2tpv3,src=1.1.1.1,dst=1.1.1.2,rx_session=1,tx_session=2,mac=02:00:00:00:00:01"
    (alone,) = read(f"mem=1 {ip}", EVERY).words
    (beside,) = read(f"{ip} init_on_alloc=1", EVERY).words
    assert alone.words == ("init_on_alloc=1",)
    assert not beside.words
    assert not beside.effects


def test_a_line_that_is_too_long() -> None:
    """What 7.2 reads for itself does not count."""
    text = f"mem=1 hostfs=/{'x' * 4000} vec0:transport=fd,fd=1,mac=02:00:00:00:00:01 {'y' * 60}"
    (effect,) = read(text, EVERY).effects
    assert effect.severity is Severity.REFUSED
    assert effect.message.startswith("6.1 and 6.12: the line has 41")
    assert effect.message.endswith("a kernel that is given 4096 or more does not start; 7.2: as meant")


def test_the_command_reads_a_line_word_by_word() -> None:
    said = answer("check", "--kernel", "6.1", LINE)
    assert "eth0=tuntap,tap0\n  ok        tuntap  a tap of the host\n" in said
    assert "\nvec1:transport=fd,fd=100,mac=02:00:00:00:00:01\n  ok " in said
    assert said.endswith("4 words of no device: linux mem=256M ubd0=root.img umid=web\n")
    report = json.loads(vecnet("check", "--json", LINE).stdout)
    assert [word["ok"] for word in report["words"]] == [False, True]
    assert report["ok"] is False


def converted(*words: str) -> Topology:
    return loads(answer("convert", *words), underlay=lambda *_: 1500)


def test_convert_prints_a_topology() -> None:
    topology = converted(LINE)
    assert topology.name == "web"
    assert [str(device).partition(",mac")[0] for device in topology.devices("web")] == [
        "vec0:transport=tap,ifname=tap0"
    ]
    assert "# vec1:transport=fd,fd=100,mac=02:00:00:00:00:01 is a vec string already\n" in answer("convert", LINE)


@pytest.mark.parametrize("text", [text for text in SAME if "pcap" not in text])
def test_what_is_converted_is_what_check_says(text: str) -> None:
    topology = converted("--guest", "web", text)
    explanation = explained(text, EVERY)
    assert explanation.device is not None
    device = next(device for device in topology.devices("web"))
    assert device.unit == explanation.device.unit
    assert device.transport.name == explanation.device.transport.name
    if explanation.device.transport.mac:
        assert device.transport.mac == explanation.device.transport.mac


def test_convert_keeps_segments_apart_and_together() -> None:
    words = ["eth0=daemon,,unix,/tmp/a", "eth1=daemon,,unix,/tmp/b", "eth2=daemon,,unix,/tmp/a", "eth3=mcast"]
    bridges = [link.interfaces[0].bridge for link in converted(*words).links]
    assert bridges[0] == bridges[2]
    assert len(set(bridges)) == 3


def test_what_cannot_be_converted() -> None:
    assert refused("convert", "mem=1") == (
        "error: no word here is a legacy driver's; give one such as eth0=tuntap,tap0\n"
    )
    assert "eth0=pcap,lo: no link of a topology does the same" in refused("convert", "eth0=pcap,lo")
    some = answer("convert", "eth0=tuntap,t", "eth1=pcap,lo")
    assert "# eth1=pcap,lo\n  # no link of a topology does the same" in some
    assert "host:t is used twice" in refused("convert", "eth0=tuntap,t", "eth1=tuntap,t")
    assert "--guest: 'a b' is not a name" in refused("convert", "--guest", "a b", "eth0=tuntap")
    assert "both ends of the link are at the host" in refused("convert", "--guest", "host", "eth0=tuntap")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60).map(lambda text: f"eth0={text}"))
@example("eth0=vde,\n")
@example("eth0=tuntap,\x1b[31m")
@example("eth0=daemon,,unix,a=b")
@example("eth0=ucast,,1,::1,2")
def test_any_text_has_an_explanation(text: str) -> None:
    assert is_legacy(text)
    explanation = explained(text, EVERY)
    assert explanation.text == text
    if explanation.mended is not None:
        assert explain(explanation.mended).as_meant
    legacy.link(text, "web")
