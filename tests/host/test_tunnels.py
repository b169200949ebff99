"""Kernel tunnels go up, are planned with no change, are healed and go down. Needs a kernel that has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.host.network import host_state, ip, names, topology
from tests.host.test_failures import Striker, every_strike, in_child, striker_runs
from tests.need import need
from vecnet import host
from vecnet.errors import NotOursError

pytestmark = pytest.mark.kernel

TUNNELS = """
links:
  - {transport: gre, endpoints: {a:vec0: {local: 192.0.2.2}, host:g0: {local: 192.0.2.1, ip: 10.1.0.1/24}}}
  - {transport: gre, key: on, sequence: on, endpoints: {a:vec1: {local: 192.0.2.2}, host:g1: {local: 192.0.2.1}}}
  - {transport: gre, key: on, sequence: pinned, endpoints: {a:vec2: {local: "fd00::2"}, host:g2: {local: "fd00::1"}}}
  - transport: l2tpv3
    cookie: 64
    counter: on
    endpoints: {a:vec3: {local: 192.0.2.2}, host:l0: {local: 192.0.2.1, session: 0xffffffff, ip: 10.2.0.1/24}}
  - {transport: l2tpv3, encap: ip, cookie: 32, endpoints: {a:vec4: {local: 192.0.2.2}, host:l1: {local: 192.0.2.1}}}
  - {transport: l2tpv3, encap: ip, endpoints: {a:vec5: {local: "fd00::2"}, host:l2: {local: "fd00::1", bridge: lan}}}
  - {transport: l2tpv3, counter: pinned, endpoints: {a:vec6: {local: "fd00::2"}, host:l3: {local: "fd00::1"}}}
bridges:
  under: {ip: [192.0.2.1/24, 192.0.2.2/24, "fd00::1/64", "fd00::2/64"]}
  lan: {}
"""
# another l2spec, another cookie, another key, one tunnel fewer
CHANGED = "\n".join(
    line.replace("counter: on", "counter: off")
    .replace("cookie: 32", "cookie: 64")
    .replace("sequence: on", "sequence: off")
    for line in TUNNELS.splitlines()
    if "host:l3" not in line
)


EACH = 7  # messages from strike to strike: an emulated processor takes a second for each


@pytest.fixture(autouse=True)
def tunnels(network: None) -> None:
    need("VECNET_KERNEL" in os.environ, "needs a kernel with gretap and l2tp: make test-kernel")


def l2tp(what: str) -> str:
    return subprocess.run(["ip", "l2tp", "show", what], capture_output=True, text=True, check=True).stdout


def bare() -> set[str]:
    """What is there but for the devices that the kernel's modules make by themselves in every namespace."""
    return names() - {"gre0", "gretap0", "erspan0", "ip6gre0", "ip6tnl0", "sit0", "tunl0"}


def test_up_twice_plan_and_down() -> None:
    lab = topology(TUNNELS)
    done = host.up(lab)
    assert len(done.steps) == 9
    assert host.plan(lab).steps == (), host.plan(lab).describe()
    before = host_state()
    assert host.up(lab).steps == ()
    assert host_state() == before
    assert all(entry.healthy for entry in host.status("lab"))
    assert l2tp("session").count("interface name") == 4
    shown = json.loads(ip("-j", "-d", "link", "show", "g1"))[0]["linkinfo"]["info_data"]
    assert shown["ttl"] == 64
    assert "ikey" in shown
    host.down("lab")
    assert bare() == set()
    assert l2tp("tunnel") == ""


def test_up_down_up_at_once() -> None:
    lab = topology(TUNNELS)
    for _ in range(5):
        host.up(lab)
        host.down("lab")
    host.up(lab)
    assert host.plan(lab).steps == ()


def test_a_changed_topology_changes_only_what_differs() -> None:
    host.up(topology(TUNNELS))
    done = host.up(topology(CHANGED))
    assert {(step.action, step.node.ifname) for step in done.steps} == {
        ("replace", "g1"),
        ("replace", "l0"),
        ("replace", "l1"),
        ("delete", "l3"),
    }
    assert host.plan(topology(CHANGED)).steps == ()


def test_a_tunnel_deleted_behind_our_back_is_made_again() -> None:
    lab = topology(TUNNELS)
    host.up(lab)
    tunnel = next(line.split()[1].rstrip(",") for line in l2tp("tunnel").splitlines() if line.startswith("Tunnel"))
    ip("l2tp", "del", "tunnel", "tunnel_id", tunnel)
    ip("link", "del", "g0")
    host.up(lab)
    assert host.plan(lab).steps == ()
    session = l2tp("session").split("Session ")[1].split()[0]
    owner = l2tp("session").split("in tunnel ")[1].split()[0]
    ip("l2tp", "del", "session", "tunnel_id", owner, "session_id", session)
    assert not all(entry.healthy for entry in host.status("lab"))
    host.up(lab)
    assert host.plan(lab).steps == ()
    host.down("lab")
    assert l2tp("tunnel") == ""


def test_all_tunnels_deleted_behind_our_back_are_made_again_at_once() -> None:
    """The kernel has said that they are gone, and is still at it."""
    lab = topology(TUNNELS)
    for _ in range(3):
        host.up(lab)
        before = l2tp("session")
        for line in l2tp("tunnel").splitlines():
            if line.startswith("Tunnel"):
                ip("l2tp", "del", "tunnel", "tunnel_id", line.split()[1].rstrip(","))
        host.up(lab)
        assert host.plan(lab).steps == ()
        assert sorted(l2tp("session").splitlines()) == sorted(before.splitlines())


def test_a_tunnel_that_somebody_made_in_place_of_ours_is_not_taken() -> None:
    lab = topology(TUNNELS)
    host.up(lab)
    ip("link", "del", "g0")
    ip("link", "add", "g0", "type", "gretap", "local", "192.0.2.1", "remote", "192.0.2.2", "ttl", "64")
    with pytest.raises(NotOursError, match="g0: an interface g0 exists and was not made by vecnet"):
        host.up(lab)
    host.down("lab")
    assert bare() == {"g0"}
    ip("link", "del", "g0")
    host.up(lab)
    assert host.plan(lab).steps == ()


def test_a_tunnel_of_somebody_else_stays() -> None:
    host.up(topology(TUNNELS))
    tunnel = "ip l2tp add tunnel tunnel_id 3 peer_tunnel_id 4 encap udp local 192.0.2.1 remote 192.0.2.2"
    subprocess.run([*tunnel.split(), "udp_sport", "5000", "udp_dport", "5001"], check=True)
    host.down("lab")
    assert "Tunnel 3," in l2tp("tunnel")


@pytest.mark.long
@pytest.mark.parametrize("how", ["refused", "lost"])
def test_a_failure_at_each_message_leaves_nothing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    lab = topology(TUNNELS)
    host.up(lab)  # the modules' own devices are there from now on
    host.down("lab")

    def strike(at: int) -> bool:
        with monkeypatch.context() as patched:
            if not striker_runs(Striker(patched, at, how), lab):
                return False
        assert bare() == set(), at
        assert l2tp("tunnel") == "", at
        return True

    assert every_strike(strike, EACH) > 30
    assert host.plan(lab).steps == ()


@pytest.mark.long
def test_a_kill_at_each_message_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = topology(TUNNELS)

    def strike(at: int) -> bool:
        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.up(lab)

        status = in_child(work)
        if at % 2:
            host.up(lab)
            assert host.plan(lab).steps == (), at
        host.down("lab")
        assert bare() == set(), at
        assert l2tp("tunnel") == "", at
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    assert every_strike(strike, EACH) > 30


@pytest.mark.long
def test_a_kill_at_each_message_of_down_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = topology(TUNNELS)

    def strike(at: int) -> bool:
        host.up(lab)

        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.down("lab")

        status = in_child(work)
        if at % 2:
            host.up(lab)
            assert host.plan(lab).steps == (), at
        host.down("lab")
        assert bare() == set(), at
        assert l2tp("tunnel") == "", at
        return os.WIFSIGNALED(status)

    assert every_strike(strike) >= 5  # the group of interfaces, and four tunnels
