"""Wires that somebody uses: a running guest is not sent our frames, and that it has the wire is no failure of it.

::

    the test's own network namespace
    tap-web ── somebody      p-veth-db ── somebody      127.0.0.5: gre, l2tpv3 ── somebody
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.host.network import private_network
from tests.need import need_root
from tests.test_launch import vecnet
from vecnet import host
from vecnet.host.kinds import tap
from vecnet.loopback import Verdict, Verdicts, prove
from vecnet.loopback.subject import of_topology
from vecnet.topology import Topology, loads

LAB = """
name: used
links:
  - {transport: tap, name: tap, endpoints: [web:vec0, host:tap-web]}
  - {transport: raw, name: raw, endpoints: [db:vec0, host:veth-db]}
  - {transport: gre, name: gre, endpoints: {web:vec1: {local: 127.0.0.5}, db:vec1: {local: 127.0.0.6}}}
  - transport: l2tpv3
    name: udp
    endpoints: {web:vec2: {local: 127.0.0.5, port: 1701}, db:vec2: {local: 127.0.0.6}}
  - {transport: gre, name: v6, endpoints: {web:vec3: {local: "fd05::5"}, db:vec3: {local: "fd05::6"}}}
  - {transport: fd, name: fd, endpoints: [web:vec4, db:vec4]}
"""
ME = f"(process {os.getpid()})"


@pytest.fixture
def lab() -> Iterator[Topology]:
    need_root()
    with private_network():
        topology = loads(LAB)
        host.prepare_sandbox(topology)
        host.up(topology)
        yield topology


@contextmanager
def tap_open() -> Iterator[None]:
    held = tap.attach("tap-web")
    try:
        yield
    finally:
        os.close(held)


def bound(family: int, kind: int, protocol: int, address: tuple[str, int]) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    one.bind(address)
    return one


USERS: dict[str, tuple[Callable[[], AbstractContextManager[object]], str]] = {
    "tap": (tap_open, "a guest has tap-web open"),
    "raw": (
        lambda: bound(socket.AF_PACKET, socket.SOCK_RAW, 0, ("p-veth-db", 3)),
        "a packet socket is bound to p-veth-db",
    ),
    "gre": (
        lambda: bound(socket.AF_INET, socket.SOCK_RAW, 47, ("127.0.0.5", 0)),
        f"{ME} receives GRE at 127.0.0.5",
    ),
    "udp": (
        lambda: bound(socket.AF_INET, socket.SOCK_DGRAM, 0, ("127.0.0.5", 1701)),
        f"{ME} receives UDP at 127.0.0.5",
    ),
    "v6": (
        lambda: bound(socket.AF_INET6, socket.SOCK_RAW, 47, ("fd05::5", 0)),
        f"{ME} receives GRE at fd05::5",
    ),
}


def proved(lab: Topology, *, live: bool = False) -> Verdicts:
    return prove(lab.name, of_topology(lab), topology=lab, probes=["frames"], live=live)


@pytest.mark.parametrize("name", USERS)
def test_what_is_in_use_cannot_be_tested_and_all_else_can(lab: Topology, name: str) -> None:
    user, who = USERS[name]
    with user():
        verdicts = proved(lab)
    assert {link.link for link in verdicts.links if link.verdict is not Verdict.PASS} == {name}
    (link,) = (link for link in verdicts.links if link.link == name)
    assert link.verdict is Verdict.UNTESTED
    assert who in link.reason
    assert verdicts.exit_code == 3


def test_live_sends_all_the_same_where_two_can_have_a_wire(lab: Topology) -> None:
    with USERS["raw"][0](), USERS["gre"][0](), USERS["tap"][0]():
        verdicts = proved(lab, live=True)
    left = {link.link: link for link in verdicts.links if link.verdict is not Verdict.PASS}
    assert set(left) == {"tap"}
    assert left["tap"].verdict is Verdict.UNTESTED
    assert "in use by another process" in left["tap"].reason


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    need_root()
    (file := tmp_path / "lab.yaml").write_text(LAB)
    loopback = f"{shlex.quote(sys.executable)} -m vecnet loopback {file} -p frames -p ping -p throughput"
    done = vecnet(
        "sandbox", file, "--", "sh", "-c", f"{loopback} & first=$!; {loopback}; echo $?; wait $first; echo $?"
    )
    lines = done.stdout.splitlines()
    said = sorted(line for line in lines if not line.startswith("PASS "))
    assert said == ["0", "0", *["used: 6 of 6 links pass"] * 2]
    assert "waiting for another vecnet" in done.stderr
