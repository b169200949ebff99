"""Wires that the kernel's netem impairs: as the file declares, by hand, told, measured, ended; another's is left alone.

web:vec0 ── tap-web        db:vec0 ── p-veth-db ═ veth-db │ in the namespace blue        far:vec0 ═ gre ═ gt
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from tests.host.network import topology
from tests.kernel.lab import outer, run, underlay
from vecnet import host
from vecnet.cli.status import command as status
from vecnet.errors import HostError, NotOursError
from vecnet.impairment import Impairment, ImpairmentText
from vecnet.loopback import Result, Verdict, prove
from vecnet.loopback.subject import of_topology
from vecnet.topology import Topology

pytestmark = pytest.mark.kernel

LAB = f"""
links:
  - {{transport: tap, impair: loss 20% duplicate 5%, endpoints: [web:vec0, host:tap-web]}}
  - transport: raw
    impair: delay 10ms 1ms rate 10mbit seed 7
    endpoints: {{db:vec0: {{}}, host:veth-db: {{netns: blue}}}}
  - transport: gre
    impair: delay 20ms reorder 25% corrupt 0.1%
    endpoints: {{far:vec0: {{local: {outer(False, 10)}}}, host:gt: {{local: {outer(False, 1)}}}}}
"""
WORDS = {
    "tap-web": "loss 20% duplicate 5%",
    "veth-db": "delay 10ms 1ms rate 10mbit",
    "gt": "corrupt 0.1% delay 20ms reorder 25%",
}
WEB = "web:vec0--host:tap-web"


@pytest.fixture(scope="module", autouse=True)
def places() -> Iterator[None]:
    with underlay():
        run("ip netns add blue")
        yield


@pytest.fixture
def lab() -> Iterator[Topology]:
    yield topology(LAB)
    host.down("lab")


def qdisc(ifname: str) -> str:
    """What tc says of an interface's root."""
    return run(
        f"tc -n blue qdisc show dev {ifname} root" if ifname == "veth-db" else f"tc qdisc show dev {ifname} root"
    )


def said() -> dict[str, str]:
    return {entry.ifname: entry.impairment for entry in host.status("lab")}


def plan(text: str) -> Impairment:
    return ImpairmentText().parse(text)


def test_up_impairs_as_the_file_says_and_down_ends_it(lab: Topology) -> None:
    made = host.up(lab)
    assert "impair loss 20% duplicate 5%" in made.describe()
    assert "loss 20% duplicate 5%" in qdisc("tap-web")
    assert "delay 10ms  1ms" in qdisc("veth-db")
    assert "rate 10Mbit" in qdisc("veth-db")
    assert "delay 20ms reorder 25% corrupt 0.1% gap 1" in qdisc("gt")
    assert said() == WORDS
    assert all(entry.healthy for entry in (*host.status(), *host.status("lab", lab)))
    assert host.up(lab).steps == ()
    told, as_json = (CliRunner().invoke(status, ["lab", *words]) for words in ([], ["--json"]))
    assert told.exit_code == 0
    assert "healthy impaired: loss 20% duplicate 5%" in " ".join(told.stdout.split())
    assert {entry["ifname"]: entry["impairment"] for entry in json.loads(as_json.stdout)} == WORDS
    host.down("lab")
    assert host.status("lab") == []


def test_by_hand_it_is_told_and_put_back_by_up(lab: Topology) -> None:
    host.up(lab)
    assert host.impair(lab, WEB, plan("corrupt 1% rate 1kbit")).changes
    assert host.impair(lab, WEB, plan("corrupt 1% rate 1kbit")).changes == ()
    assert "corrupt 1% rate 1Kbit" in qdisc("tap-web")
    assert "loss" not in qdisc("tap-web")
    assert said()["tap-web"] == "corrupt 1% rate 0.001mbit"
    (step,) = host.plan(lab).steps
    assert [*step.differences] == [("impair", "corrupt 1% rate 0.001mbit", "loss 20% duplicate 5%")]
    (ill,) = [entry for entry in host.status("lab", lab) if not entry.healthy]
    assert ill.why == "impair is corrupt 1% rate 0.001mbit, and should be loss 20% duplicate 5%"
    assert all(entry.healthy for entry in host.status("lab"))
    host.impair(lab, WEB, None)
    assert host.impair(lab, WEB, None).changes == ()
    assert "netem" not in qdisc("tap-web")
    host.up(lab)
    assert said() == WORDS
    host.up(topology(LAB.replace("impair: loss 20% duplicate 5%, ", "")))
    assert "netem" not in qdisc("tap-web")


@pytest.mark.parametrize(
    "theirs",
    ["netem delay 1ms", "fq_codel"],  # the last is one that `up` lets pass
)
def test_what_another_made_is_left_alone(lab: Topology, theirs: str) -> None:
    clean = topology(LAB.replace("impair: loss 20% duplicate 5%, ", ""))
    host.up(clean)
    run(f"tc qdisc add dev tap-web root {theirs}")
    before = qdisc("tap-web")
    attempts: list[Callable[[], object]] = [
        lambda: host.impair(clean, WEB, plan("loss 1%")),
        lambda: host.up(lab),
        lambda: host.plan(lab),
    ]
    for attempt in attempts:
        with pytest.raises(NotOursError, match="which is not vecnet's") as caught:
            attempt()
        assert caught.value.problems[0].instead == "take it away first: tc qdisc del dev tap-web root"
    assert host.impair(clean, WEB, None).changes == ()
    assert qdisc("tap-web") == before
    with pytest.raises(HostError, match="not up"):
        host.impair(topology(LAB, "other"), WEB, None)


def measured(lab: Topology) -> tuple[Result, ...]:
    (subject,) = [one for one in of_topology(lab) if one.name == WEB]
    (report,) = prove("lab", [subject], probes=("frames", "impair")).links
    return report.results[1:]


def test_loopback_measures_it(lab: Topology) -> None:
    host.up(lab)
    frames, impair = measured(lab)
    assert (frames.verdict, frames.reason) == (Verdict.ABSENT, f"not tried, since tap-web impairs: {WORDS['tap-web']}")
    assert (impair.verdict, impair.reason) == (Verdict.PASS, f"as asked for: {WORDS['tap-web']}")
    assert impair.figures["loss_share"] > 0.1
    host.impair(lab, WEB, plan("loss 40%"))
    _, impair = measured(lab)
    assert impair.reason.startswith("tap-web impairs: loss 40%; asked for is: loss 20% duplicate 5%")
    _, impair = measured(topology(LAB.replace("impair: loss 20% duplicate 5%, ", "")))
    assert (impair.verdict, impair.reason) == (Verdict.PASS, "as asked for: loss 40%")
