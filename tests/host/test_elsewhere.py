"""Devices elsewhere: nothing is made for them, and whoever configures them is told what they need.

the test's network namespace                              "far", which stands for a router
the guest's string ═ wan 192.0.2.1/24 ═══ veth ═══ isp 192.0.2.254/24, lo 203.0.113.9 ═ a port by what was told
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.command import answer, vecnet
from tests.host.network import host_state, ip, names, refused_untouched, topology, within
from vecnet import host, open_port, parse
from vecnet.datapath.port import Port
from vecnet.topology import Topology
from vecnet.topology.model import ResolvedLink
from vecnet.transports import TRANSPORTS
from vecnet.vecstring import VecDevice

FRAME = b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + b"\x88\xb5" + bytes(range(200))
LINKS = {
    "gre": "transport: gre",
    "gre with stated keys": "transport: gre, key: on, sequence: on",
    "l2tpv3": "transport: l2tpv3, cookie: 64",
    "l2tpv3 on IP": "transport: l2tpv3, encap: ip, counter: on, cookie: 32",
}
ENDS = "web:vec0: {{local: {}{}}}, elsewhere:router: {{local: {}{}}}"


def lab(link: str, own: str = "192.0.2.1", far: str = "203.0.113.9", mine: str = "", theirs: str = "") -> Topology:
    return topology(f"links: [{{{link}, endpoints: {{{ENDS.format(own, mine, far, theirs)}}}}}]")


def router() -> None:
    ip("netns", "add", "far")
    ip("link", "set", "lo", "up")
    ip("link", "add", "wan", "type", "veth", "peer", "name", "isp", "netns", "far")
    ip("addr", "add", "192.0.2.1/24", "dev", "wan")
    ip("link", "set", "wan", "up")
    for words in (
        ("link", "set", "lo", "up"),
        ("link", "set", "isp", "up"),
        ("addr", "add", "192.0.2.254/24", "dev", "isp"),
        ("addr", "add", "203.0.113.9/32", "dev", "lo"),
    ):
        ip("-n", "far", *words)
    ip("route", "add", "default", "via", "192.0.2.254")


def refusal(wanted: Topology) -> tuple[str, str]:
    problem = refused_untouched(wanted)
    for advice in ("dev lo", "ip addr add"):
        assert advice not in str(problem)
    return problem.message, problem.instead


def built(link: ResolvedLink) -> VecDevice:
    """The device there, from what was told, and from nothing else."""
    told: Mapping[str, str | int] = link.far_settings
    options: dict[str, str | int | bool] = {"src": told["local"], "dst": told["remote"], "mtu": told["mtu"]}
    if link.transport == "gre":
        options |= {"sequence": told["sequence numbers"] == "sent"}
        if "local key" in told:
            options |= {"rx_key": told["local key"], "tx_key": told["remote key"]}
    else:
        options |= {"rx_session": told["local session"], "tx_session": told["remote session"]}
        options |= {"counter": told["L2-specific sublayer"] != "none"}
        if "over UDP" in str(told["tunnel"]):
            options |= {"udp": True, "srcport": told["local port"], "dstport": told["remote port"]}
        if "local cookie" in told:
            here, there = str(told["local cookie"]), str(told["remote cookie"])
            options |= {"rx_cookie": int(here, 16), "tx_cookie": int(there, 16), "cookie64": len(here) == 18}
    return VecDevice(0, TRANSPORTS[link.transport](**options))  # type: ignore[arg-type]


def passes(one: Port, other: Port) -> bool:
    one.send([FRAME])
    return FRAME in other.recv(timeout=5)


@pytest.mark.parametrize("name", LINKS)
def test_what_is_told_makes_the_other_end(name: str) -> None:
    router()
    wanted = lab(LINKS[name])
    before = host_state()
    assert host.up(wanted).steps == ()
    assert host_state() == before
    (link,) = wanted.links
    (device,) = wanted.devices("web")
    with within("far"):
        there = open_port(built(link))
    with there, open_port(parse(str(device))) as here:
        assert passes(here, there)
        assert passes(there, here)
    assert host.status("lab") == []
    assert host.down("lab").steps == ()


def test_what_the_device_has_stated_is_what_the_guest_sends() -> None:
    wanted = lab(
        "transport: l2tpv3, encap: ip", theirs=", session: 301, cookie: 0x1f", mine=", session: 103, cookie: 9"
    )
    (device,) = wanted.devices("web")
    assert "rx_session=103,tx_session=301,rx_cookie=9,tx_cookie=31" in str(device)
    assert device.transport.mtu == 1458
    told = wanted.links[0].far_settings
    assert (told["local cookie"], told["remote cookie"]) == ("0x0000001f", "0x00000009")
    assert (told["local session"], told["remote session"], told["mtu"]) == (301, 103, 1458)


def test_several_tunnels_end_at_one_router() -> None:
    far = "elsewhere:r: {{local: 203.0.113.9, port: 1701}}"
    one = f"{{{{transport: l2tpv3, endpoints: {{{{web:vec{{0}}: {{{{local: 192.0.2.1}}}}, {far}}}}}}}}}"
    wanted = topology(f"links: [{one.format(0)}, {one.format(1)}]")
    sessions = {link.far_settings["local session"] for link in wanted.links}
    assert len(sessions) == 2


def test_the_guests_own_address_must_be_this_hosts() -> None:
    router()
    message, instead = refusal(lab("transport: gre", own="192.0.2.77"))
    assert message.startswith("link web:vec0--elsewhere:router: the address 192.0.2.77 is on no interface of this host")
    assert instead == "write an address that this host has, as `ip -br addr` shows"


def test_a_device_that_no_route_leads_to() -> None:
    router()
    ip("route", "del", "default")
    message, instead = refusal(lab("transport: gre"))
    assert message == "link web:vec0--elsewhere:router: no route leads to 203.0.113.9"
    assert instead == "add one with: ip route add 203.0.113.9 via …"


def test_an_address_elsewhere_that_is_here_is_said() -> None:
    router()
    ip("addr", "add", "203.0.113.9/32", "dev", "lo")
    (note,) = host.plan(lab("transport: gre")).notes
    assert note == "203.0.113.9, which is elsewhere:router's, is an address of this host: nothing leaves it"


REMOTE = """\
name: remote
links:
  - transport: l2tpv3
    encap: ip
    endpoints:
      web:vec0:    {local: 192.0.2.1,   session: 103}
      router:vec0: {local: 203.0.113.9, session: 301}
"""


def test_a_guest_that_may_be_another_machine(tmp_path: Path) -> None:
    """Nobody is told to take its address; whoever starts the other guest alone is not kept from it."""
    router()
    message, instead = refusal(topology(REMOTE.partition("\n")[2]))
    assert message.startswith("link router:vec0--web:vec0: the address 203.0.113.9 is on no interface of this host")
    assert instead.endswith("if router is another machine, write elsewhere:router in place of router:vec0")
    (file := tmp_path / "remote.yaml").write_text(REMOTE)
    assert vecnet("up", file).returncode == 1
    assert answer("args", file, "--guest", "web") == vecnet("up", file, "--guest", "web").stdout
    assert "src=192.0.2.1" in vecnet("run", file, "--guest", "web", "--", "echo").stdout
    for words in (["--guest", "router"], []):
        done = vecnet("run", file, *words, "--", "echo")
        assert done.returncode == 1
        assert "203.0.113.9 is on no interface of this host" in done.stderr


def test_check_plan_and_args_print_what_the_device_needs(tmp_path: Path) -> None:
    router()
    (file := tmp_path / "lab.yaml").write_text(REMOTE.replace("router:vec0", "elsewhere:router"))
    table = [
        ["elsewhere:router, for web:vec0:"],
        ["tunnel", "Ethernet over L2TPv3 over IP, protocol 115, static"],
        ["local", "203.0.113.9"],
        ["remote", "192.0.2.1"],
        ["local session", "301"],
        ["remote session", "103"],
        ["L2-specific sublayer", "none"],
        ["mtu", "1462"],
    ]
    for words, stream in (["check"], "stdout"), (["plan"], "stdout"), (["args"], "stderr"):
        done = vecnet(*words, file)
        assert done.returncode == 0
        rows = [line.split("  ") for line in getattr(done, stream).splitlines()][-len(table) :]
        assert [[cell.strip() for cell in row if cell] for row in rows] == table
    told = json.loads(answer("check", file, "--json"))["elsewhere"]
    assert told == json.loads(answer("plan", file, "--json"))["elsewhere"]
    assert told["web:vec0--elsewhere:router"]["local_session"] == 301
    explained = answer("check", "vec0:transport=gre,src=192.0.2.1,dst=203.0.113.9,rx_key=7,tx_key=8,sequence=1")
    assert "its other end: tunnel Ethernet over GRE" in explained
    assert "local 203.0.113.9, remote 192.0.2.1, local key 8, remote key 7" in explained
    assert names() == {"wan"}
