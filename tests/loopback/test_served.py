"""Loopback through vecnet's own switches and real programs outside, as an ordinary user; and that its probes can fail.

web ── bess ──┐               ┌── far:web ── l2tpv3 ── web        app ── bess ── slirp4netns
db  ── fd  ── lan ── bess ── far                                  app ── fd ──── passt
               └── slirp4netns
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.datapath.wires import receive
from tests.need import need, need_command
from tests.serving.test_serve import folder, guest, serving
from vecnet import loopback
from vecnet.errors import HostError
from vecnet.loopback import outside
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import Failed, Verdict, Verdicts
from vecnet.programs import PROGRAMS
from vecnet.serving.control import states
from vecnet.serving.join import joined
from vecnet.topology import loads

__all__ = ["folder"]  # a fixture

USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
LOOP = """
name: loop
switches: {lan: {}, far: {}}
links:
  - {transport: bess, endpoints: {web:vec0: {ip: 10.0.2.15/24}, lan:web: }}
  - {transport: fd, endpoints: {db:vec0: {ip: 10.0.2.16/24}, lan:db: }}
  - {transport: bess, endpoints: [lan:far, far:lan]}
  - {transport: l2tpv3, endpoints: {web:vec1: {local: 127.0.0.2}, far:web: {local: 127.0.0.3}}}
"""
OUTSIDE = """
  - {transport: bess, endpoints: [lan:out, outside:slirp4netns]}
  - {transport: bess, mtu: 9000, endpoints: {app:vec0: , outside:slirp4netns: {subnet: 10.7.0.0/16}}}
  - {transport: fd, mtu: 9000, endpoints: [app:vec1, outside:passt]}
  - {transport: bess, endpoints: [app:vec2, outside:gvproxy]}
"""
WIRE = ("open", "frames", "mtu", "burst", "latency", "throughput")


def proved(text: str, path: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """What `vecnet loopback` of an ordinary user comes to: the results by link and probe."""
    need_command("unshare")
    allowed = subprocess.run([*USER, "true"], capture_output=True, check=False)
    need(allowed.returncode == 0, "needs user namespaces")
    (path / "loop.yaml").write_text(text)
    done = subprocess.run(
        [*USER, sys.executable, "-m", "vecnet", "loopback", "loop.yaml", "--json", "-", *words],
        capture_output=True,
        text=True,
        cwd=path,
        env=os.environ | {"XDG_RUNTIME_DIR": str(path)},
        timeout=200,
        check=False,
    )
    links = json.loads(done.stdout)["links"]
    found = {link["link"]: {probe["probe"]: probe for probe in link["probes"]} for link in links}
    return done.returncode, found, done.stderr


def verdicts(results: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {name: result["verdict"] for name, result in results.items()}


@pytest.mark.parametrize(
    ("own", "met"),
    [
        ("10.0.2.15/24", ("10.0.2.254/24",)),
        ("10.0.2.254/24", ("10.0.2.253/24",)),
        ("10.0.2.1/30", ("10.0.2.2/30",)),
        ("10.0.2.0/31", ()),
        ("fd00::1/64", ("fd00::ffff:ffff:ffff:fffe/64",)),
    ],
)
def test_a_guest_that_is_alone_at_its_switch_meets_an_address_that_is_nobodys(own: str, met: tuple[str, ...]) -> None:
    link = f"{{transport: bess, endpoints: {{web:vec0: {{ip: '{own}'}}, lan:web: }}}}"
    (one,) = of_topology(loads(f"name: one\nswitches: {{lan: }}\nlinks: [{link}]"))
    assert one.far.addresses == met


def test_every_link_to_a_switch_is_proved_through_the_real_one(tmp_path: Path) -> None:
    code, found, said = proved(LOOP, tmp_path)
    assert code == 0, (found, said)
    assert len(found) == 4
    for results in found.values():
        assert {verdicts(results)[name] for name in WIRE} == {"pass"}, results
    for name in ("web:vec0--lan:web", "db:vec0--lan:db"):  # another guest's address is met on the switch
        assert verdicts(found[name])["ping"] == verdicts(found[name])["tcp"] == "pass"
    assert not (tmp_path / "vecnet" / "loop").exists()


def test_every_program_is_proved(tmp_path: Path) -> None:
    need_command("slirp4netns", "passt", "gvproxy")
    code, found, said = proved(LOOP + OUTSIDE, tmp_path, "-p", "arp", "-p", "dhcp", "-p", "ping", "-p", "tcp")
    programs = {name: verdicts(results) for name, results in found.items() if "outside:" in name}
    assert len(programs) == 4
    for name, results in programs.items():
        assert set(results) == {"open", "arp", "dhcp", "ping", "tcp"}
        lacks = {"ping"} if name.endswith("passt") else set()  # a host may let no program ping
        assert {verdict for probe, verdict in results.items() if probe not in lacks} == {"pass"}, (found, said)
        assert results["ping"] in ("pass", "n/a")
    assert code == 0, said


def prove(text: str) -> Verdicts:
    topology = loads(text)
    return loopback.prove("loop", of_topology(topology), topology=topology)


def test_a_switch_that_is_served_is_the_very_one_that_is_proved(folder: Path) -> None:
    """So is the program that is behind it."""
    need_command("slirp4netns")
    lab = LOOP.replace("name: loop", "name: lab") + OUTSIDE.splitlines(keepends=True)[2]
    (folder.parents[1] / "lab.yaml").write_text(lab)
    with serving(folder.parents[1] / "lab.yaml"):
        before = {(one.port, one.connected): one.counters["rx_frames"] for one in states("lab")}
        report = prove(lab)
        assert report.exit_code == 0, report
        for link in report.links:
            passed = {result.probe for result in link.results if result.verdict is Verdict.PASS}
            assert passed >= {"arp", "dhcp", "tcp"} if "outside:" in link.link else passed >= set(WIRE), link
        after = {(one.port, one.connected): one.counters["rx_frames"] for one in states("lab")}
        assert all(after[port] > count + 100 for port, count in before.items()), (before, after)
        with guest(f"{folder}/lan:web"):
            report = prove(lab)
            assert report.exit_code == 3
            (link,) = (link for link in report.links if link.verdict is Verdict.UNTESTED)
            assert link.reason == "the wire is in use: a guest is connected at lan:web; stop it"


def test_who_joins_a_served_switch_is_one_more_on_it_until_it_ends(folder: Path) -> None:
    with serving(folder.parents[1] / "lab.yaml"), guest(f"{folder}/lan:web") as web:
        frame = bytes.fromhex("ffffffffffff 020000000009 88b5") + bytes(50)
        with joined("lab", "lan", 1500) as port:
            port.send(frame)
            assert receive(web, 1) == [frame]
            web.send(frame)
            assert receive(port, 1) == [frame]
        for switch, mtu, why in (("nothing", 1500, "no switch nothing is served"), ("lan", 1, "mtu")):
            with pytest.raises(HostError, match=why), joined("lab", switch, mtu):
                pass
        with joined("lab", "lan", 1500) as port:  # who answers goes on
            port.send(frame)
            assert receive(web, 1) == [frame]
    with pytest.raises(HostError, match="nobody serves lab"), joined("lab", "lan", 1500):
        pass


@pytest.mark.parametrize("program", ["slirp4netns", "passt", "gvproxy"])
def test_a_program_that_is_missing_fails_its_link(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    transport = PROGRAMS[program].transport
    report = prove(f"name: loop\nlinks: [{{transport: {transport}, endpoints: [web:vec0, outside:{program}]}}]\n")
    (link,) = report.links
    assert link.verdict is Verdict.FAIL
    assert f"{program} is not installed; apt-get install {program}" in link.reason
    assert [result.tried for result in link.results] == [True, False, False, False, False]


def test_a_program_that_stands_still_fails_every_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_command("slirp4netns")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(outside, "_PATIENCE", 1.0)
    text = "name: loop\nlinks: [{transport: bess, endpoints: [web:vec0, outside:slirp4netns]}]\n"
    (subject,) = of_topology(loads(text))
    with outside.opened(subject) as beyond, loopback_stacks() as stacks:
        for probe in outside.PROBES.values():
            probe(beyond, stacks)
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        pids = [int(pid) for task in children for pid in task.read_text().split()]
        (pid,) = [pid for pid in pids if "slirp4netns" in Path(f"/proc/{pid}/comm").read_text()]
        os.kill(pid, signal.SIGSTOP)
        try:
            for probe in outside.PROBES.values():
                with pytest.raises(Failed):
                    probe(beyond, stacks)
        finally:
            os.kill(pid, signal.SIGCONT)


def loopback_stacks() -> Any:
    from vecnet.loopback.stack import Stacks

    return Stacks.started()


def test_a_host_that_is_closed_has_no_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_command("slirp4netns")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    report = prove(
        "name: loop\nlinks: [{transport: bess, endpoints: {web:vec0: , outside:slirp4netns: {loopback: off}}}]\n"
    )
    (link,) = report.links
    assert {result.probe: result.verdict for result in link.results}["tcp"] is Verdict.ABSENT
    assert link.verdict is Verdict.PASS
