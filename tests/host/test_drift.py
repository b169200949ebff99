"""What somebody changes at interfaces that are up: plan and status say it, and up puts it right.

::

    web:vec0 ── tap-web ─┐
    db:vec0  ── veth-db ─┴ lan        db:vec1 ── tap-db        ra:vec0 ── p-veth-ra ═ veth-ra │ in the namespace blue
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.host.network import host_state, ip, names, topology, within
from tests.host.test_up_down import opened
from vecnet import host
from vecnet.errors import InUseError

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
    (ill,) = [entry for entry in host.status("lab", topology(LAB)) if not entry.healthy]
    assert ill.ifname == ifname
    assert f"{name} is {value}, and should be " in ill.why
    (ill,) = [entry for entry in host.status() if not entry.healthy]
    assert ill.ifname == ifname
    assert name in ill.why or value in ill.why or f"{ifname} is down" in ill.why
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


def test_a_mark_is_that_of_what_is_wanted_by_now() -> None:
    """What somebody changed by hand, and then in the file, is no difference any more."""
    brought_up()
    by_hand("link set tap-db mtu 1400")
    changed = topology(
        LAB.replace("{transport: tap, endpoints: {db:vec1", "{transport: tap, mtu: 1400, endpoints: {db:vec1")
    )
    assert [step.changed for step in host.plan(changed).steps] == [("mark",)]
    host.up(changed)
    assert host.plan(changed).steps == ()
    assert all(entry.healthy for entry in host.status())


def ill(*, file: bool) -> dict[str, str]:
    """Each interface that is not healthy, and why."""
    found = host.status("lab", topology(LAB)) if file else host.status()
    return {
        f"{entry.ifname} in {entry.netns}" if entry.netns else entry.ifname: entry.why for entry in found if entry.why
    }


def test_an_interface_that_is_gone_is_told_from_the_file() -> None:
    brought_up()
    by_hand("link del tap-web")
    by_hand("link del veth-db")
    by_hand("link add veth-db type veth peer name mine")
    assert ill(file=True) == {"tap-web": "is gone", "veth-db": "is gone; what has its name is not vecnet's"}


def test_an_interface_that_was_renamed_is_known_and_made_anew() -> None:
    brought_up()
    for words in ("link set tap-db down", "link set tap-db name other", "link set other up"):
        by_hand(words)
    assert ill(file=True) == {"other": "somebody renamed or moved it: it should be tap-db"}
    assert ill(file=False)["other"].startswith("somebody changed its name")  # and with that its addresses
    plan = host.plan(topology(LAB))
    assert "- tap other, db:vec1--host:tap-db: somebody renamed or moved it; tap-db is made anew" in plan.describe()
    with opened("other"), pytest.raises(InUseError, match=r"other: .* open, and somebody renamed .* should be tap-db"):
        host.up(topology(LAB))
    host.up(topology(LAB))
    assert ill(file=True) == {}
    assert "other" not in names()


def test_an_interface_that_was_moved_is_named_and_removed() -> None:
    brought_up()
    ip("netns", "add", "red")
    before = host_state(numbers=False)
    by_hand("link set tap-db netns red")
    by_hand("link set p-veth-db netns red")
    assert ill(file=True)["tap-db in red"] == "somebody renamed or moved it: it should be tap-db"
    assert ill(file=False)["tap-db in red"].startswith("somebody changed its netns")
    host.up(topology(LAB))
    assert host_state(numbers=False) == before
    for words in ("link set tap-db netns red", "link set tap-web netns blue"):
        by_hand(words)
    host.down("lab")
    assert names() == set()
    assert [len(json.loads(ip("-n", name, "-j", "link"))) for name in ("red", "blue")] == [1, 1]


def test_an_interface_that_was_moved_into_a_namespace_without_a_name() -> None:
    brought_up()
    with subprocess.Popen(
        ["unshare", "-n", "sh", "-c", "echo; read x; ip -br link"], stdin=PIPE, stdout=PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        by_hand(f"link set tap-db netns {process.pid}")
        assert list(ill(file=True)) == [f"tap-db in /proc/{process.pid}/ns/net"]
        host.down("lab")
        assert names() == set()
        assert b"tap-db" not in process.communicate(b"\n")[0]


GUEST = """
import fcntl, os, socket, struct, sys
def opened():
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap-db", 0x5002))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind(("p-veth-db", 0))
    return tap, raw
tap, raw = opened()
other = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(other, 0x400454CA, struct.pack("16sH22x", b"tap-web", 0x5002))
print("open", flush=True)
sys.stdin.readline()
os.close(tap), raw.close()  # as a guest does whose devices go down, and come up
held = opened()
print("open again", flush=True)
sys.stdin.readline()
"""


def test_a_guest_whose_interface_was_made_anew_is_to_open_it_again() -> None:
    brought_up()
    words = [f"vec{n}:transport={t},ifname={i},gro=1" for n, t, i in ((0, "tap", "tap-web"), (1, "tap", "tap-db"))]
    words += ["vec2:transport=raw,ifname=p-veth-db", "vec3:transport=raw,ifname=tap-d", "x=ifname=tap-db"]
    with subprocess.Popen([sys.executable, "-c", GUEST, *words], stdin=PIPE, stdout=PIPE) as guest:
        assert guest.stdin is not None
        assert guest.stdout is not None
        guest.stdout.readline()
        assert host.plan(topology(LAB)).notes == ()
        assert ill(file=False) == {}
        by_hand("link del tap-db")
        by_hand("link del veth-db")
        who = f"{Path(sys.executable).name} (process {guest.pid})"
        said = {
            ifname: f"{who} still has the {end} that was there before: in that guest, "
            f"ip link set {device} down, and up again"
            for ifname, end, device in (("tap-db", "tap-db", "vec1"), ("veth-db", "p-veth-db", "vec2"))
        }
        assert set(host.plan(topology(LAB)).notes) == {*said.values()}
        done = host.up(topology(LAB))
        assert all(f"note: {text}" in done.summary().splitlines() for text in said.values())
        assert set(host.plan(topology(LAB)).notes) == {*said.values()}
        assert ill(file=True) == ill(file=False) == said
        guest.stdin.write(b"\n")
        guest.stdin.flush()
        guest.stdout.readline()
        assert ill(file=True) == {}
        assert host.plan(topology(LAB)).notes == ()


def test_the_name_of_the_very_own_namespace() -> None:
    """And two names of another one: each interface is there once, whatever its namespace is called."""
    for name in ("blue", "home"):
        ip("netns", "add", name)
    Path("/run/netns/azure").touch()
    subprocess.run(["mount", "--bind", "/run/netns/blue", "/run/netns/azure"], check=True)
    lab = topology(
        """
links:
  - {transport: tap, endpoints: {a:vec0: {}, host:t0: {netns: home}}}
  - {transport: raw, endpoints: {a:vec1: {}, host:v1: {netns: home, bridge: br}}}
  - {transport: tap, endpoints: {a:vec2: {}, host:t2: {netns: blue}}}
  - {transport: tap, endpoints: {a:vec3: {}, host:t3: {netns: azure}}}
bridges:
  br: {netns: home}
"""
    )
    with within("home"):
        host.up(lab)
        assert names() == {"t0", "v1", "p-v1", "br"}
        assert host.plan(lab).steps == ()
        assert {entry.ifname for entry in host.status("lab") if entry.healthy} == {"t0", "v1", "br", "t2", "t3"}
        assert all(entry.healthy for entry in host.status("lab", lab))
        host.down("lab")
        assert names() == set()
    assert len(json.loads(ip("-n", "blue", "-j", "link"))) == 1


def test_a_name_that_sorts_before_the_one_in_the_file_is_no_other_namespace() -> None:
    ip("netns", "add", "blue")
    Path("/run/netns/azure").touch()
    subprocess.run(["mount", "--bind", "/run/netns/blue", "/run/netns/azure"], check=True)
    lab = topology("links: [{transport: tap, endpoints: {a:vec2: {}, host:t2: {netns: blue}}}]")
    host.up(lab)
    assert host.plan(lab).steps == ()


@pytest.mark.parametrize("limit", [pytest.param(1024, marks=pytest.mark.long), 100])
def test_more_namespaces_than_descriptors(limit: int, tmp_path: Path) -> None:
    many = 509 if limit == 1024 else 60
    for number in range(many):
        ip("netns", "add", f"n{number}")
    file = tmp_path / "lab.yaml"
    links = [
        f"{{transport: tap, endpoints: {{g{i}:vec0: {{}}, host:t{i}: {{netns: n{i}}}}}}}" for i in range(0, many, 2)
    ]
    file.write_text(f"name: lab\nlinks: [{', '.join(links)}]\n")
    for command, said in (("up", "made"), ("plan", "nothing to do"), ("status", "healthy"), ("down", "removed")):
        words = f"ulimit -n {limit}; exec {shlex.quote(sys.executable)} -m vecnet {command} {file}"
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout + done.stderr
    assert len(json.loads(ip("-n", "n0", "-j", "link"))) == 1


def addresses(state: Sequence[dict[str, object]]) -> set[str]:
    return {str(one) for entry in state for one in entry.get("addr_info", ())}  # type: ignore[attr-defined]
