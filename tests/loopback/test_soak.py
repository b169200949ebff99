"""Proved over and over: what leaks, and what drops, is found by a probe that really leaks, and by ports that count."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from vecnet.cli.loopback import command
from vecnet.errors import InputError
from vecnet.loopback.codes import Code
from vecnet.loopback.drift import FEWEST, KEPT, ROOM, Counts, Process, Series, grown
from vecnet.loopback.probes import PROBES
from vecnet.loopback.report import as_text
from vecnet.loopback.soak import soak
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import Failed, Result, Verdict, Verdicts
from vecnet.loopback.wire import Wire
from vecnet.topology import loads

pytestmark = pytest.mark.unsanitized  # sanitizers keep what is freed, and memory grows

LAB = "name: soaked\nlinks: [{transport: fd, endpoints: [web:vec0, db:vec0]}]"
STRING = "vec0:transport=l2tpv3,src=127.0.0.2,dst=127.0.0.3,udp=1,srcport=1701,dstport=1701,rx_session=1,tx_session=1"
WATCHED = ("rounds", "memory of this process", "descriptors of this process", "drops", "errors")


@contextmanager
def probing(monkeypatch: pytest.MonkeyPatch, act: Callable[[int, Wire], None]) -> Iterator[None]:
    """The probe of frames does something of its own as well: it is told how often it has been tried before."""
    frames, rounds = PROBES["frames"], itertools.count()

    def probe(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
        act(next(rounds), wire)
        return frames(wire, stacks)

    with monkeypatch.context() as patch:
        patch.setitem(PROBES, "frames", probe)
        yield


def soaked(span: float = 0.4) -> Verdicts:
    lab = loads(LAB)
    return soak("soaked", of_topology(lab), span, topology=lab, probes=["frames"], jobs=1)


def drift(report: Verdicts) -> dict[str, Result]:
    return {result.probe: result for result in report.links[-1].results}


def test_what_does_not_drift_passes_and_tells_of_its_rounds() -> None:
    report = soaked()
    assert report.exit_code == 0, as_text(report, verbose=True)
    assert tuple(drift(report)) == WATCHED
    rounds = drift(report)["rounds"].figures["rounds"]
    assert rounds >= FEWEST
    link = report.links[0]
    assert [result.probe for result in link.results] == ["open", "frames"]
    assert link.results[1].figures["loss_share"] == link.results[1].figures["loss_share_first"] == 0
    assert report.note.startswith(f"{rounds:.0f} rounds of frames in ")
    assert "memory of this process: " in as_text(report)


def test_descriptors_that_are_left_open_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    try:
        with probing(monkeypatch, lambda _, __: left.append(os.open(os.devnull, os.O_RDONLY))):
            report = soaked()
    finally:
        for descriptor in left:
            os.close(descriptor)
    found = drift(report)["descriptors of this process"]
    assert (report.exit_code, found.verdict, found.codes) == (1, Verdict.FAIL, (Code.DESCRIPTORS_GROW,))
    assert found.figures["last"] - found.figures["first"] == len(left) - 2
    assert {name for name, one in drift(report).items() if one.verdict is Verdict.FAIL} == {found.probe}


def test_memory_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    with probing(monkeypatch, lambda _, __: kept.append(os.urandom(2 * ROOM))):
        report = soaked()
    found = drift(report)["memory of this process"]
    assert len(kept) >= FEWEST
    assert (found.verdict, found.codes) == (Verdict.FAIL, (Code.MEMORY_GROWS,))
    assert "it may grow by 8 MiB" in found.reason


def test_drops_that_come_later_are_found_and_those_of_every_round_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(before: int, wire: Wire) -> None:
        wire.near.send([bytes(3000)])
        if before == 1:
            wire.far.send([bytes(3000)])

    with probing(monkeypatch, drop):
        found = drift(soaked())["drops"]
    assert (found.verdict, found.codes) == (Verdict.FAIL, (Code.DROPS_GROW,))
    assert re.fullmatch("rx_drop_truncated of (web|db):vec0: 1 in round 2, 0 in the first", found.reason)
    assert (found.figures["first"], found.figures["most"], found.figures["last"]) == (1, 2, 1)


def test_a_probe_that_fails_in_one_round_fails_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(before: int, _: Wire) -> None:
        if before == 1:
            raise Failed(Code.LOST, "3 of 800 were lost")

    with probing(monkeypatch, fail):
        report = soaked()
    found = report.links[0].results[1]
    rounds = drift(report)["rounds"].figures["rounds"]
    assert (report.exit_code, found.codes) == (1, (Code.LOST,))
    assert found.reason == f"in 1 of {rounds:.0f} rounds, first in round 2: 3 of 800 were lost"


def test_an_interrupt_has_the_report_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(before: int, _: Wire) -> None:
        if before == 3:
            os.kill(os.getpid(), signal.SIGINT)

    words = [STRING, "--mirror", "-p", "frames", "-j", "1", "--for", "1h", "--json", "-"]
    with probing(monkeypatch, interrupt):
        done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 130
    assert done.stderr == "interrupted\n"
    report = json.loads(done.stdout)
    assert report["interrupted"] is True
    assert report["note"].startswith("3 rounds of frames in ")
    assert report["links"][-1]["probes"][0]["figures"]["rounds"] == 3


def test_few_rounds_tell_nothing_of_a_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(before: int, _: Wire) -> None:
        if before == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with probing(monkeypatch, interrupt):
        report = soaked()
    assert report.interrupted
    assert drift(report)["drops"].verdict is Verdict.UNTESTED
    assert drift(report)["drops"].reason == "of 1 round it cannot be told: it takes 3"


def test_a_short_time_has_the_rounds_that_it_takes_to_tell() -> None:
    report = soaked(0.001)
    assert drift(report)["rounds"].figures["rounds"] == FEWEST
    assert report.exit_code == 0


# ---- what is kept, and judged ----


@pytest.mark.parametrize(
    ("values", "growth"),
    [
        ([9, 5, 5, 5, 5], 0),
        ([0, 5, 5, 5, 5], 0),  # warm-up
        ([0, 5, 6], 1),
        ([0, 5, 6, 7, 8, 9, 10, 11, 12], 5),
        ([0, 5, 9, 5, 5, 9, 5, 5, 5], 0),  # up and down
        ([0, 9, 8, 7, 6], 0),
        ([5], 0),
    ],
)
def test_growth(values: list[int], growth: int) -> None:
    if len(values) > 1:
        assert grown(values) == growth
        assert grown(values, room=growth) == 0


@settings(max_examples=20)
@given(st.integers(1, 10 * KEPT), st.integers(0, 3))
def test_of_many_rounds_few_are_kept_and_a_leak_shows_all_the_same(count: int, leak: int) -> None:
    series = Series()
    for value in range(count):
        series.add(100 + leak * value)
    assert len(series.values) <= KEPT + 1
    assert (series.values[0], series.values[-1]) == (100, 100 + leak * (count - 1))
    assert list(series.values) == sorted(series.values)
    if count >= FEWEST:
        assert bool(grown(series.values)) == bool(leak)


def test_a_process_that_is_gone_is_not_judged() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    process = Process("vecnet serve", child)
    for _ in range(FEWEST):
        process.look()
    assert [one.verdict for one in process.results()] == [Verdict.UNTESTED, Verdict.UNTESTED]
    assert "after round 1 vecnet serve was not there" in process.results()[0].reason


def test_of_many_drops_some_are_told() -> None:
    counts = Counts("drops")
    for number in range(10):
        counts.add({"rx_drop_key of a": number})
    assert counts.result().reason.endswith("; and 6 more")


# ---- words ----


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--trial", "1s"], "--trial is of measuring by the book; give --rfc2544 as well"),
        (["--rfc2544", "--for", "1h"], "give one of them"),
        (["--rfc2544", "--jobs", "2"], "--jobs does not go with --rfc2544; leave it out"),
        (["--rfc2544", "--probe", "frames"], "--probe does not go with --rfc2544"),
        (["--for", "1h", "--quick"], "--quick does not go with --for"),
        (["--for", "1h", "--probe", "burst"], "--for measures nothing, and so no --probe burst"),
        (["--rfc2544", "--trial", "1ms"], "--trial 0.001s; give 10ms to 1h"),
        (["--rfc2544", "--pdr", "half"], "--pdr: 'half' is not a share such as 0, 0.5% or 2%"),
        (["--rfc2544", "--through", "web"], "--through goes with a topology"),
    ],
)
def test_words_that_do_not_go_together(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(command, [STRING, "--mirror", *words], catch_exceptions=False)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "5", "0s", "1 h", "-1s", "1week", "nans", "\x1b[31m1h"])
def test_a_time_that_is_none(text: str) -> None:
    done = CliRunner().invoke(command, [STRING, "--mirror", "--for", text])
    assert done.exit_code == 2
    assert "is no time; write it such as 500ms, 2s, 10m or 1h." in done.output
