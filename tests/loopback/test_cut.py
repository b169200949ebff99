"""Wires that are cut while a probe runs on them: that probe has a verdict, and every other link a report.

::

    the test's own network namespace
    simulated guests │ tap-web 10.0.0.1/24 ── cut      veth-db 10.1.0.1/24 ── whole
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.host.network import ip, private_network
from tests.need import need_root
from vecnet import host
from vecnet.errors import HostError
from vecnet.loopback import Verdict, prove, stack
from vecnet.loopback.probes import PROBES
from vecnet.loopback.report import as_junit
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import LinkReport, Result, Verdicts
from vecnet.loopback.wire import Wire
from vecnet.topology import Topology, loads

LAB = """
name: cut
links:
  - transport: tap
    name: cut
    endpoints: {web:vec0: {ip: 10.0.0.2/24}, host:tap-web: {ip: 10.0.0.1/24}}
  - transport: raw
    name: whole
    endpoints: {db:vec0: {ip: 10.1.0.2/24}, host:veth-db: {ip: 10.1.0.1/24}}
"""


@pytest.fixture
def lab() -> Iterator[Topology]:
    need_root()
    with private_network():
        topology = loads(LAB)
        host.up(topology)
        yield topology


Act = Callable[[Wire, Stacks], None]


def proved(
    monkeypatch: pytest.MonkeyPatch, lab: Topology, probe: str, act: Act, folder: Path | None = None
) -> Verdicts:
    """All links, the first of which suffers `act` once the probe has begun."""
    real = PROBES[probe]

    def cut(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
        if wire.subject.name == "cut":
            act(wire, stacks)
        return real(wire, stacks)

    monkeypatch.setitem(PROBES, probe, cut)
    return prove(lab.name, of_topology(lab), topology=lab, probes=["frames", "ping", probe], captures=folder)


def result(verdicts: Verdicts, probe: str) -> Result:
    """What the probe on the link that was cut came to. The link that was not is whole."""
    cut, whole = verdicts.links
    assert (cut.link, whole.link) == ("cut", "whole")
    assert whole.verdict is Verdict.PASS, whole.reason
    return next(one for one in cut.results if one.probe == probe)


def down(wire: Wire, stacks: Stacks) -> None:
    ip("link", "set", "tap-web", "down")


def lowered(wire: Wire, stacks: Stacks) -> None:
    ip("link", "set", "tap-web", "mtu", "1400")


def gone(wire: Wire, stacks: Stacks) -> None:
    ip("link", "del", "tap-web")


@pytest.mark.parametrize(
    ("probe", "act"), [(probe, gone if probe in ("mtu", "tcp") else down) for probe in PROBES if probe != "impair"]
)
def test_an_interface_that_goes_fails_the_probe_and_not_the_report(
    lab: Topology, monkeypatch: pytest.MonkeyPatch, probe: str, act: Act
) -> None:
    found = result(verdicts := proved(monkeypatch, lab, probe, act), probe)
    assert found.verdict is Verdict.FAIL, found
    assert "tap-web" in found.reason or "the interface went down or away" in found.reason, found
    assert verdicts.exit_code == 1
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(as_junit(verdicts))}
    assert suites["whole"].get("failures") == "0"
    assert next(suites["cut"].iterfind("testcase[failure]")).get("name") == probe


def test_a_stack_that_says_nothing_is_left_and_the_next_link_gets_another(
    lab: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(wire: Wire, stacks: Stacks) -> None:
        os.kill(stacks.guest("near").pid, signal.SIGSTOP)

    monkeypatch.setattr(stack, "PATIENCE", 4.0)
    found = result(proved(monkeypatch, lab, "ping", stopped), "ping")
    assert found.verdict is Verdict.UNTESTED
    assert "a simulated guest's IP stack gave no answer for 4 seconds" in found.reason


def test_a_stack_that_dies_is_left_and_the_next_link_gets_another(
    lab: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(wire: Wire, stacks: Stacks) -> None:
        os.kill(stacks.guest("near").pid, signal.SIGKILL)

    found = result(proved(monkeypatch, lab, "tcp", killed), "tcp")
    assert found.verdict is Verdict.UNTESTED
    assert "a simulated guest's IP stack ended" in found.reason


@pytest.mark.parametrize(
    ("error", "verdict", "sentence"),
    [
        (HostError("the host is on fire", "water it"), Verdict.FAIL, "the host is on fire; water it"),
        (OSError(errno.EMFILE, "Too many open files"), Verdict.UNTESTED, "Too many open files; this process may have"),
        (TimeoutError("the loop still runs"), Verdict.UNTESTED, "took too long: the loop still runs"),
        (TimeoutError(), Verdict.UNTESTED, "it took too long"),
    ],
)
def test_every_failure_below_a_probe_has_its_verdict(
    lab: Topology, monkeypatch: pytest.MonkeyPatch, error: Exception, verdict: Verdict, sentence: str
) -> None:
    def fail(wire: Wire, stacks: Stacks) -> None:
        raise error

    found = result(proved(monkeypatch, lab, "latency", fail), "latency")
    assert found.verdict is verdict
    assert sentence in found.reason


def test_captures_that_cannot_be_kept_take_no_verdict_along(
    lab: Topology, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", tmp_path], check=True)
    try:
        found = result(proved(monkeypatch, lab, "mtu", lowered, tmp_path), "mtu")
        assert not list(tmp_path.glob("cut-mtu*"))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert found.verdict is Verdict.FAIL
    assert f"The packets cannot be written to {tmp_path}/cut-mtu.pcapng: No space left on device" in found.reason


def test_captures_follow_no_link(lab: Topology, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (folder := tmp_path / "captures").mkdir()
    for name in ("cut-mtu", "cut-frames", "whole-frames"):
        (folder / f"{name}.pcapng").symlink_to(tmp_path / "precious")
    assert result(proved(monkeypatch, lab, "mtu", down, folder), "mtu").verdict is Verdict.FAIL
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (folder / "cut-mtu.pcapng").is_symlink()


def test_a_report_of_all_links_is_printed(lab: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    links: tuple[LinkReport, ...] = proved(monkeypatch, lab, "burst", gone).links
    assert [len(link.results) for link in links] == [4, 4]
