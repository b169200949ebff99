"""Real guests of every kind and generation on one switch, which the test's own process runs: any to any, and one that
is killed.

guest a ── bess ──┐                       ┌── bess ── guest b, which is killed and boots again
                  ├─ a path ══ the switch ┤
guest c ── a pair of sockets ══╡  ╞══ raw ── tap-d ── tap ── guest d
guest e ── vde ── vde_switch ══╡  ╞══ l2tpv3 ── guest f
              tap-lan: the host╡  ╞══ l2tpv3 ── another switch, in a namespace of its own ══ bess ── guests g and h
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.datapath.wires import wait_for
from tests.host.network import ip
from tests.need import need_command
from tests.uml.guest import PYTHON, Guest, Kernel, Report, Wiring
from tests.uml.test_transfer import CLIENT, SERVER
from vecnet.datapath.switch import Switch

pytestmark = pytest.mark.uml

SIZE = 1 << 20  # bytes that each guest sends to a, and gets back
GENERATION = dict(zip("abcdefgh", ("6.1", "6.12", "7.2", "6.1", "7.2", "6.12", "7.2", "6.1"), strict=True))
GUESTS = "abcdefgh"
OTHERS_OF_A = GUESTS[1:]
ADDRESSES = {name: f"10.9.0.{number}" for number, name in enumerate([*GUESTS, "host"], 1)}

SCRIPT = """
full_size() {{  # full_size NAME ADDRESS: pings as large as the MTU, in one piece
    until_ok ping -q -n -c 3 -i 0.05 -W 5 -M do -s 1472 "$2" >/dev/null 2>&1; echo "ping.$1=$?"
}}
up vec0 {address}/24
{body}
"""
ALL = "\n".join(f"full_size {name} {address}" for name, address in ADDRESSES.items())
FIRST = """
{python} {folder}/server.py >"$here/server" & until_ok grep -q ready "$here/server"
for other in b c d e f g h; do meet up $other || exit 1; done
{all}
: >"$here/pinged"
meet again b2
full_size again 10.9.0.2
meet done b2
"""
OTHERS = """
for other in a b c d e f g h; do meet up $other || exit 1; done
{all}
{python} {folder}/client.py "$here" 10.9.0.1
: >"$here/pinged"
meet end host
"""
AGAIN = """
full_size a 10.9.0.1
meet again a
{python} {folder}/client.py "$here" 10.9.0.1
meet done a
"""


@dataclass(frozen=True)
class Lab:
    reports: dict[str, Report]
    data: bytes
    returned: dict[str, bytes]  # what a sent back to each
    host: str  # what the host's pings came to
    table: set[tuple[str, str]]  # addresses, and at which port
    stats: dict[str, dict[str, int]]


def mac(number: int) -> str:
    return f"02:00:00:00:09:0{number}"


TUNNEL = "transport=l2tpv3,src=10.8.{near}.{this},dst=10.8.{near}.{that},udp=1,srcport=1701,dstport=1701,{sessions}"
ONE, OTHER = "rx_session=1,tx_session=2", "rx_session=2,tx_session=1"


def tunnel(near: int, this: int) -> str:
    """A tunnel's end with an address 10.8.NEAR.THIS; its other end is the other one of 1 and 2."""
    return TUNNEL.format(near=near, this=this, that=3 - this, sessions=ONE if this == 1 else OTHER)


def make_interfaces(wiring: Wiring, far: Wiring) -> None:
    for name in ("tap-d", "tap-lan"):
        wiring.run("ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr")
        wiring.run("ip", "link", "set", name, "address", "02:00:00:00:09:f" + ("d" if name == "tap-d" else "0"))
    wiring.run("ip", "addr", "add", f"{ADDRESSES['host']}/24", "dev", "tap-lan")
    for name in ("tap-d", "tap-lan"):
        wiring.run("ip", "link", "set", name, "up", "addrgenmode", "none")
    with wiring.entered():  # from outside, since a process inside does not know the other's number
        ip(
            "link",
            "add",
            "wide",
            "mtu",
            "1600",
            "type",
            "veth",
            "peer",
            "wide",
            "mtu",
            "1600",
            "netns",
            str(far.network),
        )
    for end, number in ((wiring, 1), (far, 2)):
        end.run("ip", "addr", "add", f"10.8.0.{number}/24", "dev", "wide")
        end.run("ip", "link", "set", "wide", "up")
    for number in (1, 2):
        wiring.run("ip", "addr", "add", f"10.8.1.{number}/32", "dev", "lo")


@pytest.fixture(scope="module")
def lab() -> Lab:
    need_command("ping", "vde_switch", "vde_plug")
    kernels = {name: Kernel.of(generation) for name, generation in GENERATION.items()}
    near, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, other, Wiring() as wiring, Wiring() as far, Switch() as lan, Switch() as far_lan:
        make_interfaces(wiring, far)
        path, far_path, vde = wiring.folder / "lan", far.folder / "lan", wiring.folder / "vde"
        wiring.start("vde_switch", "--sock", vde, "--mgmt", f"{vde}.mgmt", stdin=subprocess.PIPE)
        wait_for(lambda: Path(f"{vde}.mgmt").exists())
        lan.add(f"vec0:transport=bess,dst={path}", name="lan")
        lan.add(f"vec0:transport=fd,fd={near.fileno()}", name="c")
        lan.add(f"vec0:transport=vde,vnl=vde://{vde}", name="e")
        with wiring.entered():
            lan.add("vec0:transport=raw,ifname=tap-d,gro=1", name="d")
            lan.add("vec0:transport=tap,ifname=tap-lan,gro=1", name="host")
            lan.add(f"vec0:{tunnel(1, 1)}", name="f")
            lan.add(f"vec0:{tunnel(0, 1)}", name="far")
        far_lan.add(f"vec0:transport=bess,dst={far_path}", name="lan")
        with far.entered():
            far_lan.add(f"vec0:{tunnel(0, 2)}", name="near")
        strings = {
            "a": f"transport=bess,dst={path}",
            "b": f"transport=bess,dst={path},src={wiring.folder}/own",
            "c": f"transport=fd,fd={other.fileno()}",
            "d": "transport=tap,ifname=tap-d,gro=1",
            "e": f"transport=vde,vnl=vde://{vde}",
            "f": tunnel(1, 2),
            "g": f"transport=bess,dst={far_path}",
            "h": f"transport=bess,dst={far_path}",
        }
        data = os.urandom(SIZE)
        for place in (wiring, far):
            (place.folder / "server.py").write_text(SERVER)
            (place.folder / "client.py").write_text(CLIENT)

        def boot(name: str, like: str, body: str) -> Guest:
            mine, theirs = (far, wiring) if like in "gh" else (wiring, far)
            (theirs.folder / name).symlink_to(mine.folder / name)  # where guests meet
            script = SCRIPT.format(
                address=ADDRESSES[like], body=body.format(all=ALL, python=PYTHON, folder=mine.folder)
            )
            vec = f"vec0:{strings[like]},mac={mac(GUESTS.index(like) + 1)}"
            descriptors = [other.fileno()] if like == "c" else ()
            guest = mine.boot([vec], script, name=name, descriptors=descriptors, kernel=kernels[like])
            (guest.folder / "data").write_bytes(data)
            return guest

        guests = {name: boot(name, name, FIRST if name == "a" else OTHERS) for name in GUESTS}
        for guest in guests.values():
            wait_for(lambda guest=guest: (guest.folder / "pinged").exists() or guest.ended, 180)  # type: ignore[misc]
        host = wiring.run("ping", "-q", "-n", "-c", "3", "-i", "0.1", "-M", "do", "-s", "1472", "10.9.0.3", check=False)
        table = {(one.address, one.port) for one in lan.table}
        guests["b"].kill()
        (wiring.folder / "own").unlink()  # a guest does not bind to a path that another one has left
        guests["b2"] = boot("b2", "b", AGAIN)
        reports = {"a": guests["a"].wait(180), "b2": guests["b2"].wait()}
        with contextlib.ExitStack() as ends:
            for name in "cdefgh":
                ends.enter_context(guests[name].at("end"))
        reports |= {name: guests[name].wait() for name in "cdefgh"} | {"b": Report.read(guests["b"].folder)}
        returned = {
            name: (guests[name].folder / ADDRESSES["a"]).read_bytes()
            for name in (*OTHERS_OF_A, "b2")
            if (guests[name].folder / ADDRESSES["a"]).exists()
        }
        stats = lan.stats | {f"far {name}": counters for name, counters in far_lan.stats.items()}
        return Lab(reports, data, returned, host.stdout, table, stats)


@pytest.mark.parametrize("name", GUESTS)
def test_every_guest_reaches_every_other_and_the_host_at_the_full_mtu(lab: Lab, name: str) -> None:
    report = lab.reports[name]
    assert {to: report.values.get(f"ping.{to}") for to in ADDRESSES} == dict.fromkeys(ADDRESSES, "0"), report


def test_the_host_reaches_a_guest(lab: Lab) -> None:
    assert " 0% packet loss" in lab.host


@pytest.mark.parametrize("name", [*OTHERS_OF_A, "b2"])
def test_the_content_of_a_stream_to_guest_a_and_back_is_the_same(lab: Lab, name: str) -> None:
    assert lab.returned[name] == lab.data[::-1], lab.reports[name]


def test_a_guest_that_was_killed_and_boots_again_is_there_again(lab: Lab) -> None:
    assert lab.reports["b"].status is None  # it never ended by itself
    assert lab.reports["b2"].values["ping.a"] == "0", lab.reports["b2"]
    assert lab.reports["a"].values["ping.again"] == "0", lab.reports["a"]
    assert sum(lab.stats[name]["connected"] for name in ("lan.1", "lan.2")) == 3
    assert "lan.3" not in lab.stats


def test_every_address_was_learnt_at_its_port(lab: Lab) -> None:
    assert {port for address, port in lab.table if address in (mac(1), mac(2))} == {"lan.1", "lan.2"}
    others = {(mac(number), name) for number, name in enumerate(("c", "d", "e", "f", "far", "far"), 3)}
    assert others | {("02:00:00:00:09:f0", "host")} < lab.table


def test_nothing_was_lost(lab: Lab) -> None:
    for name, counters in lab.stats.items():
        lost = {cause: n for cause, n in counters.items() if "drop_" in cause and n}
        lost.pop("drop_down", None)  # for b, when it was killed
        lost.pop("drop_home", None)  # what one switch floods meanwhile, the other knows to be on that side
        assert not lost, name
