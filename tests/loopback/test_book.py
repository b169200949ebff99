"""Measured by the book: the search by a loss that is known, and a wire whose rate is known: vecnet itself limits it.

the tester ── a switch, rate 4mbit, which holds 1000 frames ── fd ══ fd ── the tester
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.host.network import private_network
from tests.need import need_root
from vecnet import host
from vecnet.datapath.loops import forward
from vecnet.datapath.port import open_port
from vecnet.errors import InputError
from vecnet.impairment import ImpairmentText
from vecnet.loopback import Verdict, Verdicts
from vecnet.loopback.book import KEYS, measure
from vecnet.loopback.book.chart import as_svg
from vecnet.loopback.book.figures import Measuring
from vecnet.loopback.book.search import MOST_TIMES, MOST_TRIALS, RESOLUTION, SPREAD, highest, repeated
from vecnet.loopback.book.spoiled import apart, spoiled
from vecnet.loopback.book.standards import ETHERNET, IPV6, Criteria, fits, standard_of
from vecnet.loopback.book.table import as_lines
from vecnet.loopback.book.through import subject_through
from vecnet.loopback.book.trial import Way, learn, tried
from vecnet.loopback.codes import Code
from vecnet.loopback.report import as_json
from vecnet.loopback.subject import of_strings, of_topology
from vecnet.loopback.verdict import Failed, LinkReport, Result
from vecnet.loopback.wire import Wire, opened
from vecnet.topology import loads
from vecnet.vecstring import parse

BITS = 4e6  # a second, of the wire whose rate is known
HOLDS = 1000  # frames, of what limits it
FD = "name: book\nlinks: [{{transport: fd, {0}endpoints: [web:vec0, db:vec0]}}]"


# ---- the search ----


@given(st.floats(10, 1e7), st.floats(1e-4, 2), st.sampled_from([0.0, 0.005, 0.1]), st.none() | st.floats(1, 1e7))
def test_the_search_finds_a_capacity(most: float, part: float, allowed: float, start: float | None) -> None:
    capacity, loads_tried = max(10.0, most * part), []

    def loss(load: float) -> float:
        loads_tried.append(load)
        return max(0.0, 1 - capacity / load)

    found = highest(loss, most, allowed=allowed, start=start)
    true = min(most, capacity / (1 - allowed))
    assert true * (1 - RESOLUTION) - 1e-6 <= found.load <= true * (1 + 1e-9)
    assert found.trials == len(loads_tried) < MOST_TRIALS
    assert all(0 < load <= most for load in loads_tried)


@given(st.floats(1, 1e7), st.lists(st.floats(0, 1), min_size=1), st.floats(0, 0.9))
def test_whatever_is_lost_the_search_ends_with_a_load_that_passed(
    most: float, losses: list[float], allowed: float
) -> None:
    passed = {0.0}
    turn = iter(range(10**6))

    def loss(load: float) -> float:
        lost = losses[next(turn) % len(losses)]
        if lost <= allowed:
            passed.add(load)
        return lost

    found = highest(loss, most, allowed=allowed)
    assert found.load in passed
    assert found.trials <= MOST_TRIALS + 1


def test_a_wire_that_loses_at_any_load_carries_nothing_without_loss() -> None:
    assert highest(lambda _: 0.01, 1e6).load == 0
    assert highest(lambda _: 0.01, 1e6, allowed=0.02).load == 1e6


@given(st.lists(st.floats(1, 1e6), min_size=MOST_TIMES, max_size=MOST_TIMES))
def test_it_is_measured_again_until_the_spread_is_small_or_often_enough(values: list[float]) -> None:
    given_before: list[float | None] = []

    def measured(before: float | None) -> float:
        given_before.append(before)
        return values[len(given_before) - 1]

    found = repeated(measured)
    taken = values[: found.times]
    assert given_before == [None, *taken[:-1]]
    assert (found.low, found.high) == (min(taken), max(taken))
    assert found.is_steady == (found.high - found.low <= SPREAD * found.median)
    assert found.is_steady or found.times == MOST_TIMES


# ---- wires ----


@contextmanager
def ways(impair: str) -> Iterator[list[Way]]:
    """Both directions of a pair of sockets; what is impaired is what the first one's sender sends."""
    (subject,) = of_topology(loads(FD.format(f"impair: {impair}, ")))
    with opened(subject) as wire, spoiled(wire) as impaired:
        yield both(impaired)


def both(wire: Wire) -> list[Way]:
    return [Way(way[0], key, *way[1:]) for key, way in zip(KEYS, wire.directions, strict=True)]


def test_a_rate_that_is_known_is_found_and_so_is_the_buffer_before_it() -> None:
    """A busy machine keeps this process waiting: that looks like a slower wire, and is tried again."""
    known = BITS / (60 * 8)
    for _ in range(3):
        with ways("rate 4mbit") as (out, back):
            learn(back)
            figures = Measuring(out, 64, Criteria(trial=0.05)).figures(lambda: None)
        assert figures["out_ndr_frames_per_s"] < 1.12 * known
        assert figures["out_ndr_frames_per_s"] <= figures["out_pdr_frames_per_s"] < 1.12 * known
        if figures["out_ndr_frames_per_s_high"] > 0.9 * known:
            break
    assert figures["out_ndr_frames_per_s_high"] > 0.9 * known
    assert figures["out_ndr_mbit_per_s"] == pytest.approx(figures["out_ndr_frames_per_s"] * 64 * 8 / 1e6)
    assert figures["out_sender_frames_per_s"] > 2 * known, "the test says nothing of a sender that is as slow"
    assert 0.8 * HOLDS < figures["out_buffer_frames"] < 1.3 * HOLDS
    assert figures["out_missing_at_100"] > 0.4
    curve = [share for name, share in figures.items() if name.startswith("out_missing_at_")]
    assert curve[-2:] == [0, 0], "two trials without loss end it"


def test_what_waits_behind_the_trial_before_is_not_lost() -> None:
    with ways("rate 1mbit") as (out, back):
        learn(back)
        learn(out)
        given_up = tried(replace(out, quiet=0.001), 1518, 80, seconds=1)  # 12 ms each
        behind = tried(replace(out, quiet=0.5), 1518, 5, seconds=1)
    assert given_up.received < given_up.sent == 80
    assert behind.received == behind.sent == 5


def test_a_delay_is_found_at_its_length() -> None:
    with ways("delay 20ms") as (out, back):
        learn(back)
        assert 0.02 <= learn(out) < 1
        trial = tried(out, 128, 200, rate=1000)
    assert trial.received == trial.sent == 200
    assert len(trial.latencies) == 200
    assert min(trial.latencies) >= 0.02


def test_strings_without_addresses_are_impaired_as_well() -> None:
    """Both ends would have one address, and a switch between them would keep their frames."""
    need_root()
    one = parse("vec0:transport=gre,src=127.0.0.2,dst=127.0.0.3,rx_key=1,tx_key=2")
    subject = replace(of_strings(one, one.mirror()), impairment=ImpairmentText().parse("delay 5ms"))
    with private_network():
        host.prepare_sandbox(loads(FD.format("")))
        with opened(subject) as wire, spoiled(apart(wire)) as impaired:
            out, back = both(impaired)
            learn(back)
            assert learn(out) >= 0.005


def test_a_loss_is_counted_and_a_rate_that_a_wire_holds_back_has_not_passed() -> None:
    with ways("loss 10%") as (out, back):
        learn(back)
        trial = tried(out, 128, 2000, rate=20_000)
        held = tried(out, 128, 50_000, rate=1e8)
    assert 0.05 < trial.lost < 0.15
    assert len(trial.latencies) == trial.received
    assert held.shortfall > 0.5, "no wire here takes a hundred million frames a second"
    assert held.missing > held.lost


def test_a_wire_that_takes_nothing_ends_in_time() -> None:
    """Nobody receives at the sender's other end, and soon nothing has room any more."""
    with ExitStack() as stack:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        ends = [stack.enter_context(end) for pair in pairs for end in pair]
        near, far = [stack.enter_context(open_port(f"vec0:transport=fd,fd={end.fileno()}")) for end in ends[::2]]
        way = Way("a to b", "out", near, far, bytes(6), bytes(6), quiet=0.01)
        trial = tried(way, 64, 100_000, seconds=0.1)
        with pytest.raises(Failed, match="a to b: no frame came") as caught:
            learn(way)
    assert trial.received == 0
    assert trial.missing == 1
    assert caught.value.codes == (Code.NO_FRAME,)


# ---- reports ----


@pytest.mark.parametrize(
    "link",
    [
        "transport: hybrid, endpoints: [a:vec0, host:t0]",
        "transport: raw, endpoints: [a:vec0, host:v0]",
        "transport: bess, endpoints: {a:vec0: {}, host:port1: {path: FOLDER/s}}",
    ],
    ids=lambda link: link.split(",")[0].split()[1],
)
def test_a_report_has_a_probe_a_size_and_says_how_it_was_measured(link: str, tmp_path: Path) -> None:
    need_root()
    lab = loads(f"name: book\nlinks: [{{{link.replace('FOLDER', str(tmp_path))}}}]")
    with private_network():
        host.up(lab)
        report = measure("book", of_topology(lab), Criteria(trial=0.01, sizes=(512, 1522)), topology=lab)
    (found,) = report.links
    assert [(one.probe, one.verdict) for one in found.results] == [
        ("open", Verdict.PASS),
        ("512", Verdict.PASS),
        ("1522", Verdict.ABSENT),
    ]
    assert "the link's MTU of 1500" in found.results[-1].reason
    told = json.loads(as_json(report))
    assert "A trial takes 0.01 s, where RFC 2544 asks for 60 s" in told["note"]
    figures = told["links"][0]["probes"][1]["figures"]
    for key in ("out", "in"):
        assert 0 <= figures[f"{key}_ndr_frames_per_s"] <= figures[f"{key}_pdr_frames_per_s"]
        assert figures[f"{key}_sender_frames_per_s"] > 0
        assert f"{key}_missing_at_100" in figures
        if figures[f"{key}_ndr_frames_per_s"]:
            assert figures[f"{key}_latency_min_us"] <= figures[f"{key}_latency_p50_us"]
            assert figures[f"{key}_pdv_us"] >= 0
    text = "\n".join("".join(map(str, line)) for line in as_lines(report))
    assert "NDR frames/s" in text
    assert "by RFC 2544; out is a:vec0 to " in text


def test_what_is_not_up_fails_and_is_looked_into() -> None:
    need_root()
    lab = loads("name: book\nlinks: [{transport: tap, endpoints: [a:vec0, host:t0]}]")
    with private_network():
        report = measure("book", of_topology(lab), Criteria(trial=0.01), topology=lab)
    assert report.exit_code == 1
    assert report.links[0].results[0].codes == (Code.NOT_OPENED, Code.MISSING)


def test_an_interrupt_leaves_nothing_but_what_is_measured_so_far() -> None:
    def progress(done: int, total: int) -> None:
        if done == 2 * 6 + 3:  # within the second size
            os.kill(os.getpid(), signal.SIGINT)

    lab = loads(FD.format(""))
    before, threads = open_descriptors(), threading.active_count()
    criteria = Criteria(trial=0.01, sizes=(64, 128))
    report = measure("book", of_topology(lab), criteria, topology=lab, progress=progress)
    assert report.interrupted
    assert report.exit_code == 130
    assert [one.probe for one in report.links[0].results] == ["open", "64"]
    assert json.loads(as_json(report))["interrupted"] is True
    assert open_descriptors() == before
    assert threading.active_count() == threads


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_links_of_ipv6_are_measured_by_its_own_rfc() -> None:
    ends = "{{transport: gre, endpoints: {{a:vec0: {{local: '{0}'}}, b:vec0: {{local: '{1}'}}}}}}"
    links = [ends.format("127.0.0.5", "127.0.0.6"), ends.format("fd05::5", "fd05::6").replace("vec0", "vec1")]
    four, six = of_topology(loads(f"name: book\nlinks: [{', '.join(links)}]"))
    assert standard_of(four) is ETHERNET
    assert ETHERNET.sizes == (64, 128, 256, 512, 1024, 1280, 1518)
    assert standard_of(six) is IPV6
    assert [size for size in IPV6.sizes if fits(six, size)] == [64, 128, 256, 512, 768, 1024, 1280]


FIGURES = {
    "frame_bytes": 64.0,
    **{
        f"{key}_{name}": value
        for key in ("out", "in")
        for name, value in {
            "sender_frames_per_s": 1000.0,
            **{f"{rate}_frames_per_s{end}": 500.0 for rate in ("ndr", "pdr") for end in ("", "_low", "_high")},
            "ndr_mbit_per_s": 0.256,
            "missing_at_100": 0.5,
            "missing_at_50": 0.0,
        }.items()
    },
}


def test_the_table_and_the_chart_show_what_was_measured() -> None:
    results = (Result("open", Verdict.PASS, ""), Result("64", Verdict.PASS, "", FIGURES))
    hurt = Result("128", Verdict.FAIL, "nothing arrives", codes=(Code.NO_FRAME,))
    report = Verdicts("lab", (LinkReport("a<b", "fd", (*results, hurt), note="by RFC 2544"),), "how")
    lines = ["".join(map(str, line)).split() for line in as_lines(report)]
    assert ["64", "out", "500", "0.256", "500–500", "500"] in lines
    assert lines[-1] == ["how"]
    root = ElementTree.fromstring(as_svg(report))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "a<b, fd: by RFC 2544" in texts
    assert {"NDR, out", "PDR, in", "64 bytes, in"} <= set(texts)
    curves = [element.get("points") for element in root.iter() if element.tag.endswith("polyline")]
    assert "960.0,160.0 800.0,250.0" in curves, "half of all at 100 %, nothing at 50 %"


THROUGH = (
    "name: book\nlinks:\n"
    "- {transport: l2tpv3, endpoints: {mid:vec0: {local: 127.0.1.1}, left:vec0: {local: 127.0.1.2}}}\n"
    "- {transport: gre, endpoints: {mid:vec1: {local: 127.0.2.1}, right:vec0: {local: 127.0.2.2}}}\n"
)


def test_a_guest_that_is_not_there_is_what_keeps_frames_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not that one link's end uses UDP and the other's GRE: they are no ends of one wire."""
    need_root()
    monkeypatch.setattr("vecnet.loopback.book.trial.LONGEST", 0.1)
    lab = loads(THROUGH)
    with private_network():
        host.prepare_sandbox(lab)
        report = measure("book", [subject_through(lab, "mid")], Criteria(0.02), topology=lab, through="mid")
    ((first,),) = [link.results for link in report.links]
    told = "no frame came. mid has to run, and to bridge its ends of the two links"
    assert (first.verdict, first.reason) == (Verdict.FAIL, f"left:vec0 to right:vec0: {told}")
    assert first.codes == (Code.NO_FRAME,)


def test_what_forwards_between_two_links_is_measured_through_both() -> None:
    """Here two loops forward in the guest's place; tests/uml has a real one."""
    need_root()
    lab = loads(THROUGH)
    subject = subject_through(lab, "mid")
    assert (subject.near.name, subject.far.name, subject.transport) == ("left:vec0", "right:vec0", "l2tpv3/gre")
    assert subject.mtu == min(link.mtu for link in lab.links)
    with private_network():
        host.prepare_sandbox(lab)
        one, other = (open_port(device) for device in lab.devices("mid"))
        with one, other, forward(one, other), forward(other, one), opened(subject) as wire:
            for way in both(apart(wire)):
                learn(way)
                trial = tried(way, 256, 200, rate=10_000)
                assert trial.received == trial.sent == 200


@pytest.mark.parametrize(
    ("guest", "names", "sentence"),
    [
        ("web", [], "it has 3 here; name two of them with --link"),
        ("db", [], "it has 1 here; name a guest with two links"),
        ("web", ["web:vec0--host:t0", "db:vec0--web:vec2"], "nobody but who started them has the other end"),
    ],
)
def test_a_guest_that_nothing_can_go_through(guest: str, names: list[str], sentence: str) -> None:
    lab = loads(
        "name: book\nlinks:\n"
        "- {transport: tap, endpoints: [web:vec0, host:t0]}\n"
        "- {transport: tap, endpoints: [web:vec1, host:t1]}\n"
        "- {transport: fd, endpoints: [web:vec2, db:vec0]}\n"
    )
    with pytest.raises(InputError, match="--through") as caught:
        subject_through(lab, guest, names)
    assert sentence in str(caught.value)
