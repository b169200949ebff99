"""Impaired wires where the kernel has no netem, or they are not vecnet's. With netem: tests/kernel/test_impair.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.host.network import host_state, ip, refused_untouched, topology
from tests.need import need
from vecnet import host
from vecnet.cli.impair import command
from vecnet.errors import HostError, KernelLacksError, NotOursError
from vecnet.host.as_netem import rounded
from vecnet.impairment import Impairment, ImpairmentText
from vecnet.kernel import netem
from vecnet.kernel.namespaces import Namespaces

LAB = """
links:
  - {transport: tap, impair: loss 1%, endpoints: [web:vec0, host:tap-web]}
"""
CLEAN = LAB.replace("impair: loss 1%, ", "")
WEB = "web:vec0--host:tap-web"


def plan(text: str) -> Impairment:
    return ImpairmentText().parse(text)


@pytest.fixture
def without_netem() -> None:
    with Namespaces() as namespaces:
        need(netem.lacking(namespaces.home), "needs a kernel without sch_netem")


@pytest.mark.usefixtures("without_netem")
def test_a_kernel_without_netem_is_told_with_its_module(tmp_path: Path) -> None:
    problem = refused_untouched(topology(LAB))
    assert problem.message == "this kernel has no netem, which would impair tap-web"
    assert problem.instead == "load it with: modprobe sch_netem (or boot a kernel that has it), or leave impair out"
    host.up(topology(CLEAN))
    before = host_state()
    file = tmp_path / "lab.yaml"
    file.write_text(f"name: lab\n{CLEAN}")
    with pytest.raises(KernelLacksError, match="this kernel has no netem"):
        CliRunner().invoke(command, [str(file), WEB, "loss 1%"], catch_exceptions=False)
    done = CliRunner().invoke(command, [str(file), "host:tap-web", "off"], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, f"{WEB}: tap-web impairs nothing\n")
    assert host_state() == before


def test_what_is_not_up_cannot_be_impaired() -> None:
    with pytest.raises(HostError, match="tap-web is not up"):
        host.impair(topology(CLEAN), WEB, plan("loss 1%"))


def test_an_interface_of_somebody_elses_is_not_impaired() -> None:
    ip("link", "add", "eth1", "type", "veth", "peer", "name", "eth2")
    lab = topology("links: [{transport: raw, impair: loss 1%, endpoints: {web:vec0: {}, host:eth1: {existing: on}}}]")
    before = host_state()
    assert "eth1 is not vecnet's to impair: no frame of web:vec0--host:eth1 suffers loss 1%" in host.up(lab).notes
    with pytest.raises(NotOursError, match="eth1 is not vecnet's, which changes nothing of it"):
        host.impair(lab, "web:vec0--host:eth1", plan("loss 2%"))
    assert host_state() == before


def test_one_end_of_a_wire_impairs_and_a_switch_before_the_kernel() -> None:
    lab = topology("""
switches: {lan: {}}
links:
  - {transport: raw, impair: loss 1%, endpoints: [a:vec0, b:vec0]}
  - {transport: tap, impair: loss 2%, endpoints: [lan:up, host:tap-lan]}
""")
    (pair,), (tap,) = (link.interfaces for link in lab.links)
    assert (pair.impairment, tap.impairment) == (plan("loss 1%"), None)


def test_the_kernels_steps_do_not_show_in_words() -> None:
    usual = "loss 1% duplicate 0.5% corrupt 0.01% delay 10.5ms 2ms reorder 5% rate 123.456mbit"
    assert rounded(plan(usual)).words == usual
    assert rounded(plan("loss 0%")).words == ""
    for text in ("delay 9us", "delay 64.5123ms 1.00017ms", "delay 3s", "rate 1bit", "rate 20gbit", "loss 0.0000001%"):
        once = rounded(plan(text))
        assert rounded(plan(once.words)).words == once.words
