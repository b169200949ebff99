"""Many links side by side: what is broken is named, in the order of the file, and nobody waits for who hangs.

::

    the test's own network namespace
    g0 │ t0 10.0.0.1/24      g1 │ t1 10.0.1.1/24      …      one is down, one is gone, one has another MTU
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.host.network import ip, private_network
from tests.need import need_root
from tests.test_launch import vecnet
from vecnet import host
from vecnet.cli.loopback import command
from vecnet.errors import InputError
from vecnet.loopback import Verdict, prove
from vecnet.loopback.beside import Claims, side_by_side
from vecnet.loopback.codes import Code
from vecnet.loopback.probes import MEASURED, PROBES, TIMED
from vecnet.loopback.stack import Stacks
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire
from vecnet.topology import Topology, load, loads

FUNCTIONAL = [probe for probe in PROBES if probe not in MEASURED]


def lab(links: int) -> Topology:
    """So many taps."""
    text = "name: many\nlinks:\n"
    for number in range(links):
        net = f"10.{number // 250}.{number % 250}"
        text += f"  - {{transport: tap, endpoints: {{g{number}:vec0: {{ip: {net}.2/24}}, "
        text += f"host:t{number}: {{ip: {net}.1/24}}}}}}\n"
    return loads(text)


@pytest.mark.parametrize("links", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_of_many_links_the_three_broken_ones_are_named(links: int) -> None:
    need_root()
    topology = lab(links)
    at = (3, links // 2, links - 1)
    sizes: list[int] = []

    def progress(done: int, total: int) -> None:
        sizes.append(_resident())
        assert 0 < done <= total

    with private_network():
        host.up(topology)
        ip("link", "set", f"t{at[0]}", "down")
        ip("link", "del", f"t{at[1]}")
        ip("link", "set", f"t{at[2]}", "mtu", "1400")
        before = _descriptors()
        verdicts = prove(
            "many",
            of_topology(topology),
            topology=topology,
            probes=FUNCTIONAL if links < 100 else (),
            jobs=16,
            progress=progress,
        )
        assert _descriptors() == before
    assert [link.link for link in verdicts.links] == [link.name for link in topology.links]
    broken = {link.far_end: link for link in verdicts.links if link.verdict is not Verdict.PASS}
    failed = [link for link in verdicts.links if link.verdict is not Verdict.PASS]
    assert [link.link for link in failed] == [f"g{number}:vec0--host:t{number}" for number in at], broken
    for link, number, words in zip(failed, at, ("up is", "is not there: run vecnet up", "mtu is 1400"), strict=True):
        assert link.verdict is Verdict.FAIL
        assert f"t{number}" in link.reason
        assert words in link.reason
        codes = {code for result in link.results for code in result.codes}
        assert (Code.MISSING if number == at[1] else Code.DIFFERS) in codes
    whole = verdicts.links[0]
    assert {one.probe for one in whole.results if one.beside == 0} == (set(TIMED) if links >= 100 else set())
    quarter = len(sizes) // 4
    assert sizes[-1] - sizes[quarter] < 20 << 20, "the longer it runs, the more memory it takes"


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_fails_only_beside_others_is_no_failure_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried once more, with the machine at rest, before it is called one; a wire that fails at times shows."""
    need_root()
    topology = lab(3)
    real, tried = PROBES["frames"], []

    def frames(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
        tried.append(wire.subject.name)
        if wire.subject.name.startswith("g1:") and tried.count(wire.subject.name) == 1:
            raise Failed(Code.NO_FRAME, "no frame came in time")
        return real(wire, stacks)

    monkeypatch.setitem(PROBES, "frames", frames)
    with private_network():
        host.up(topology)
        verdicts = prove("many", of_topology(topology), topology=topology, probes=["frames"], jobs=3)
    assert verdicts.exit_code == 0
    assert sorted(tried) == ["g0:vec0--host:t0", "g1:vec0--host:t1", "g1:vec0--host:t1", "g2:vec0--host:t2"]
    beside = [result.beside for link in verdicts.links for result in link.results]
    assert beside == [2, 2, 0, 0, 2, 2]
    told = [result.at_first for link in verdicts.links for result in link.results]
    assert told == ["", "", "", "no frame came in time", "", ""]
    (note,) = (link.note for link in verdicts.links if link.note)
    assert note == "frames passed when it was tried again; at first: no frame came in time"


def test_one_that_hangs_holds_up_none() -> None:
    done: list[int] = []
    others = threading.Event()

    def work(taken: Iterator[int]) -> None:
        for number in taken:
            if number == 0:
                assert others.wait(60)
            done.append(number)
            if len(done) == 19:
                others.set()

    side_by_side([frozenset()] * 20, 4, work)
    assert done[-1] == 0
    assert sorted(done) == list(range(20))


def test_what_shares_something_takes_turns_and_lets_others_pass() -> None:
    claims: list[Claims] = [frozenset(("a",)), frozenset(("a", "b")), frozenset(("b",)), frozenset()] * 5
    held: set[object] = set()
    clashes: list[int] = []
    at_once: list[int] = []
    turn, last = threading.Lock(), threading.Event()

    def work(taken: Iterator[int]) -> None:
        for number in taken:
            with turn:
                clashes.extend([number] if held & claims[number] else [])
                held.update(claims[number])
                at_once.append(number)
            if number == 0:
                assert last.wait(60)  # which shares nothing with it
            with turn:
                held.difference_update(claims[number])
            if number == 19:
                last.set()

    side_by_side(claims, 4, work)
    assert clashes == []
    assert sorted(at_once) == list(range(20))
    assert at_once[:2] == [0, 2], "the second one that is free goes first"


def test_what_one_raises_ends_all_and_is_raised() -> None:
    done: list[int] = []

    def work(taken: Iterator[int]) -> None:
        for number in taken:
            done.append(number)
            if number == 2:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side([frozenset()] * 1000, 1, work)
    assert done == [0, 1, 2]


def test_tunnels_that_receive_at_one_address_share_it() -> None:
    text = """
    name: shared
    links:
      - {transport: gre, endpoints: {a:vec0: {local: 127.0.0.2}, b:vec0: {local: 127.0.0.3}}, key: on}
      - {transport: gre, endpoints: {a:vec1: {local: 127.0.0.2}, c:vec0: {local: 127.0.0.4}}, key: on}
      - {transport: gre, endpoints: {d:vec0: {local: 127.0.0.5}, c:vec1: {local: 127.0.0.6}}, key: on}
      - {transport: l2tpv3, endpoints: {a:vec2: {local: 127.0.0.2}, b:vec2: {local: 127.0.0.3}}}
      - {transport: l2tpv3, endpoints: {a:vec3: {local: 127.0.0.2}, b:vec3: {local: 127.0.0.3}}}
    """
    first, second, third, *ports = (subject.claims for subject in of_topology(loads(text)))
    assert first & second
    assert not third & (first | second)
    assert not ports[0] & ports[1], "ports of UDP tell them apart"


LAB = Path(__file__).parents[2] / "topologies" / "lab.yaml"


def test_some_links_are_proved_and_nothing_is_measured() -> None:
    need_root()
    words = ("--only", "app", "--only", "web:vec0", "--quick", "--jobs", "3", "--json", "-")
    done = vecnet("sandbox", LAB, "--", sys.executable, "-m", "vecnet", "loopback", LAB, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["links"]
    names = [link.name for link in load(LAB).links if "app:" in link.name or "web:vec0" in link.name]
    assert 2 <= len(names) < len(load(LAB).links)
    assert [link["link"] for link in found] == [*names, "lan"], "two of them are members of that bridge"
    for link in found[:-1]:
        assert [probe["probe"] for probe in link["probes"]] == ["open", *FUNCTIONAL]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "nobody*"], "--only nobody*: lab has no such link, end or guest; give its name, or a pattern"),
        (["--quick", "-p", "burst"], "--quick leaves out what is measured, and so --probe burst; leave one of"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(command, [str(LAB), *words], catch_exceptions=False)
    assert sentence in str(caught.value)
