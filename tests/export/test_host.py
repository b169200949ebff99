"""The host's end by other programs: what these have made, vecnet finds healthy, with nothing to change."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.export.programs import SECONDS, as_wanted, exported, ifupdown, networkd, run, script
from tests.host.network import LAB, host_state, ip, names, private_network, topology
from tests.need import need_command, need_root
from vecnet import host

NOTES = r" (home|is)=\S+?(?=[ \"])"  # of a mark, which only `up` can write


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    need_command("ip", "ethtool")
    with private_network():
        yield


def state() -> list[Any]:
    """All that the kernel tells, without what a mark notes and how IPv6's addresses are to be made where none are."""
    text = re.sub(NOTES, "", json.dumps(host_state(numbers=False)))
    return [{key: value for key, value in one.items() if key != "inet6_addr_gen_mode"} for one in json.loads(text)]


def test_iproute2_makes_what_up_makes() -> None:
    wanted = topology(LAB)
    host.up(wanted)
    before = state()
    host.down(wanted.name)
    (text,) = exported(wanted, "iproute2").values()
    assert not script(text, "up")
    as_wanted(wanted)
    assert state() == before
    assert script(text, "up", status=1) == "lan is there already: nothing was made\n"
    as_wanted(wanted)
    assert not script(text, "down")
    assert not names()
    assert not script(text, "down")


def test_an_iproute2_script_that_fails_leaves_nothing() -> None:
    (text,) = exported(topology(LAB), "iproute2").values()
    broken = text.replace("dev hyb address", "dev hyb address nonsense")
    assert broken != text
    assert "nonsense" in script(broken, "up", status=1)
    assert not names()


def test_an_iproute2_script_removes_nothing_of_others() -> None:
    (text,) = exported(topology(LAB), "iproute2").values()
    ip("link", "add", "lan", "type", "bridge")
    ip("link", "add", "hyb", "type", "veth", "peer", "name", "other")
    script(text, "up", status=1)
    script(text, "down")
    assert names() == {"lan", "hyb", "other"}
    assert script(text, "", status=2) == "usage: /run/script.sh up|down\n"


def test_no_shell_reads_a_name() -> None:
    """A bridge that exists may be called whatever the kernel takes."""
    name = "b';$(id)|&*"
    wanted = topology(f'links: [{{transport: tap, endpoints: {{web:vec0: {{}}, host:tap0: {{bridge: "{name}"}}}}}}]')
    ip("link", "add", name, "type", "bridge")
    for target, take in (
        ("iproute2", lambda text: script(text, "up")),
        ("ifupdown", lambda text: ifupdown("ifup", text)),
    ):
        (text,) = exported(wanted, target).values()
        assert not take(text)
        as_wanted(wanted)
        host.down("lab")


def test_ifupdown() -> None:
    wanted = topology(LAB)
    (text,) = exported(wanted, "ifupdown").values()
    ifupdown("ifup", text)
    as_wanted(wanted)
    ifupdown("ifdown", text)
    assert not names()


def test_networkd() -> None:
    wanted = topology(LAB)
    with networkd(exported(wanted, "networkd"), 10):
        as_wanted(wanted)


def test_a_guests_own_end() -> None:
    """A veth of its name stands for the guest's device: only its addresses are at stake."""
    wanted = topology(LAB.replace("ip: 10.0.0.2/24", 'ip: [10.0.0.2/24, "fd00::2/64"]'))
    for name in ("vec0", "vec1", "vec2", "vec3"):
        ip("link", "add", name, "type", "veth", "peer", "name", f"p-{name}")
        ip("link", "set", f"p-{name}", "up")
    (text,) = exported(wanted, "ifupdown", "web").values()
    ifupdown("ifup", text)
    assert addresses("vec0") == {"10.0.0.2", "fd00::2"}
    assert "UP" in json.loads(ip("-j", "link", "show", "vec3"))[0]["flags"]
    ip("address", "flush", "dev", "vec0", "scope", "global")
    with networkd(exported(wanted, "networkd", "web"), 0):  # it waits for routers, and not for those
        until = time.monotonic() + SECONDS
        while addresses("vec0") != {"10.0.0.2", "fd00::2"}:
            assert time.monotonic() < until
            time.sleep(0.05)


def addresses(name: str) -> set[str]:
    (found,) = json.loads(ip("-j", "address", "show", "dev", name))
    return {one["local"] for one in found["addr_info"] if one["scope"] == "global"}


NETPLAN = """
links:
  - transport: gre
    endpoints:
      web:vec0: {local: 192.168.5.2, key: 18}
      host:gt-web: {local: 192.168.5.1, key: 17, bridge: lan}
bridges:
  lan: {ip: ["10.0.0.1/24", "fd00::1/64"]}
"""


@pytest.mark.long  # needs netplan.io, which brings much
def test_netplan(tmp_path: Any) -> None:
    need_command("netplan")
    (tmp_path / "etc/netplan").mkdir(parents=True)
    for name, text in exported(topology(NETPLAN), "netplan").items():
        (file := tmp_path / "etc/netplan" / name).write_text(text)
        file.chmod(0o600)
    assert not run("netplan", "generate", "--root-dir", tmp_path)
    made = {path.name: path.read_text() for path in (tmp_path / "run/systemd/network").iterdir()}
    assert "Kind=gretap" in made["10-netplan-gt-web.netdev"]
    assert {"InputKey=17", "OutputKey=18", "Remote=192.168.5.2"} <= {*made["10-netplan-gt-web.netdev"].splitlines()}
    assert {"Bridge=lan", "MTUBytes=1458"} <= {*made["10-netplan-gt-web.network"].splitlines()}
    assert {"Address=10.0.0.1/24", "Address=fd00::1/64"} <= {*made["10-netplan-lan.network"].splitlines()}
