"""What calls itself an agent and is none: real processes that say something else through their pipes."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from tests.need import need_root
from vecnet import __version__
from vecnet.loopback import across
from vecnet.loopback.across.agent import MARK
from vecnet.loopback.across.answers import Looked, Pinged, Sniffed
from vecnet.loopback.across.channel import Channel, Closed, Message
from vecnet.loopback.across.far import FarEnd, FarStack
from vecnet.loopback.across.machine import Machine, started
from vecnet.loopback.verdict import Failed, LinkReport, Untested, Verdict
from vecnet.topology import loads

GREETING = MARK + json.dumps({"vecnet": __version__}).encode() + b"\n"


def message(text: bytes, frames: bytes = b"") -> bytes:
    return struct.pack("!II", len(text), len(frames)) + text + frames


def that_says(data: bytes) -> list[str]:
    """A program that says this, and then reads until its input ends."""
    script = f"import sys; sys.stdout.buffer.write({data!r}); sys.stdout.flush(); sys.stdin.buffer.read()"
    return [sys.executable, "-S", "-E", "-c", script]


def met(command: list[str]) -> str:
    with started({"beta": command}) as machines:
        machines["beta"].meet("", "lab.yaml")
        machines["beta"].read()
        return machines["beta"].lost


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["/nonexistent/ssh"], "/nonexistent/ssh cannot be started: No such file or directory"),
        (
            ["sh", "-c", "echo vecnet: not found >&2; exit 127"],
            "there is no vecnet: vecnet: not found; install it there",
        ),
        (
            ["sh", "-c", "echo 'No such option: --agent' >&2; exit 2"],
            "vecnet there is of another version: No such option",
        ),
        (["sh", "-c", "exit 7"], "what was started there has ended, with status 7"),
        (["sh", "-c", "printf '\\033[2J\\n' >&2; exit 1"], "\\x1b[2J"),
        (["head", "-c", "99999", "/dev/zero"], "says what is no greeting"),
        (that_says(MARK + b'{"vecnet": "0.0.9"}\n'), f"vecnet there is 0.0.9, and this is {__version__}; install"),
        (that_says(b"a login's words\n" + MARK + b"[]\n"), "vecnet there is of another kind"),
        (that_says(MARK + b"[" * 50_000 + b"\n"), "vecnet there is of another kind"),
        (that_says(GREETING + struct.pack("!II", 1 << 31, 0)), "the agent there says what is no message"),
        (that_says(GREETING + message(b"[]")), "the agent there says what is no message"),
        (that_says(GREETING + message(b'{"lengths": [5]}', b"abc")), "the agent there says what is no message"),
        (that_says(GREETING + message(b'{"lengths": [-1]}')), "the agent there says what is no message"),
        (that_says(GREETING + message(b'{"lengths": [')), "the agent there says what is no message"),
        (that_says(GREETING + message(b"[" * 100_000)), "the agent there says what is no message"),
    ],
    ids=range(15),
)
def test_what_is_no_agent_is_told_in_words(command: list[str], sentence: str) -> None:
    assert sentence in met(command)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda line: FarEnd(line).send([b"x"]), {"taken": "all"}),
        (lambda line: FarEnd(line).stats, {"stats": {"rx": "many"}}),
        (lambda line: FarStack(line).ping("", "", 0), {"seconds": None}),
        (lambda line: FarStack(line).served(), {"received": 1, "digest": 2, "failure": ""}),
        (lambda line: line.told(Sniffed, "sniffed"), {"outers": [{"header": "xyz"}]}),
        (lambda line: line.told(Sniffed, "sniffed"), {"outers": 3}),
        (lambda line: line.told(Pinged, "ping"), {"seconds": 10**400}),
        (lambda line: line.told(Looked, "look"), {"found": [{"code": "x", "sentence": ""}], "filters": []}),
        (lambda line: line.ask("open"), {"error": "x", "verdict": "maybe"}),
    ],
    ids=("taken", "stats", "seconds", "transferred", "outers", "no-list", "no-number", "no-code", "no-verdict"),
)
def test_an_answer_that_is_none(ask: object, answer: dict[str, object]) -> None:
    assert callable(ask)
    loaded, told = (message(json.dumps({**says, "line": 0, "lengths": []}).encode()) for says in ({}, answer))
    with started({"beta": that_says(GREETING + loaded + told)}) as machines:
        machine = machines["beta"]
        machine.meet("", "lab.yaml")
        machine.read()
        assert not machine.lost
        with pytest.raises(Untested, match="beta cannot be used: what it answers makes no sense"):
            ask(machine.own)
        with pytest.raises(Untested, match="beta cannot be used"):  # and it is not asked again
            machine.own.ask("stats")


def test_an_answer_that_is_a_verdict() -> None:
    failed, lacking = ({"error": "x", "verdict": verdict} for verdict in ("fail", "untested"))
    answers = b"".join(message(json.dumps({**one, "line": 0, "lengths": []}).encode()) for one in ({}, failed, lacking))
    with started({"beta": that_says(GREETING + answers)}) as machines:
        machine = machines["beta"]
        machine.meet("", "lab.yaml")
        machine.read()
        with pytest.raises(Failed, match="on beta, x"):
            machine.own.ask("open")
        with pytest.raises(Untested, match="on beta, x"):
            machine.own.ask("open")


def test_a_line_that_hangs_is_given_up_and_no_other_with_it() -> None:
    with started({"beta": that_says(GREETING + message(b'{"line": 0, "lengths": []}'))}) as machines:
        machine = machines["beta"]
        machine.meet("", "lab.yaml")
        machine.read()
        line, other = machine.connection.line(), machine.connection.line()
        with pytest.raises(Untested, match=r"beta cannot be used: the agent there gave no answer for 0\.1 seconds"):
            line.ask("open", timeout=0.1)
        with pytest.raises(Untested, match="beta cannot be used: the agent there gave no answer"):
            line.ask("open")
        assert (line.usable, other.usable, machine.lost) == (False, True, "")


@pytest.mark.parametrize("line", [b"7", b'"x"', b"null", b"[]"])
def test_an_answer_for_nobody(line: bytes) -> None:
    assert "says what nobody has asked for" in met(that_says(GREETING + message(b'{"line": %b, "lengths": []}' % line)))


def test_frames_come_as_they_were_sent() -> None:
    there, here = os.pipe(), os.pipe()
    one, other = Channel(here[0], there[1]), Channel(there[0], here[1])
    frames = (b"\0" * 60, bytes(range(256)) * 5, b"x")
    one.send({"do": "send", "seconds": None}, frames)
    one.send()
    assert other.receive(1) == Message({"do": "send", "seconds": None}, frames)
    assert other.receive(1) is None
    with pytest.raises(TimeoutError):
        other.receive(0.01)
    os.close(there[1])
    with pytest.raises(Closed, match="has ended"):
        other.receive(1)
    for descriptor in (there[0], *here):
        os.close(descriptor)


def test_the_agent_ends_with_its_input_and_says_nothing_else() -> None:
    """Also while it is at work; what it runs there cannot speak into its answers."""
    need_root()
    text = textwrap.dedent(
        """
        name: lab
        hosts: {beta: {address: 192.0.2.12}}
        links: [{transport: tap, endpoints: [web:vec0, beta:tap0]}]
        """
    )
    agent = subprocess.Popen(
        [sys.executable, "-m", "vecnet", "loopback", "--agent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert agent.stdin is not None
    assert agent.stdout is not None
    channel = Channel(agent.stdout.fileno(), agent.stdin.fileno())
    assert channel.until(MARK, 1 << 16, 30) == b""
    assert json.loads(channel.until(b"\n", 1 << 16, 30)) == {"vecnet": __version__}
    channel.send({"do": "load", "text": text, "path": "lab.yaml", "host": "beta"})
    assert channel.receive(30) == Message({"line": 0})
    channel.send()
    assert channel.receive(5) is None  # a sign of life for a sign of life
    channel.send({"do": "no such thing"})
    told = channel.receive(5)
    assert told is not None
    assert "no such thing" in str(told.says["error"])
    channel.send({"do": "prove", "links": [], "probes": [], "live": False})
    agent.stdin.close()
    began = time.monotonic()
    assert agent.wait(15) == 0
    assert time.monotonic() - began < 12
    agent.stdout.close()


def test_the_agent_is_not_for_people() -> None:
    """At a terminal it would sit there and wait."""
    leader, follower = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "vecnet", "loopback", "--agent"], stdin=follower, capture_output=True, text=True
    )
    os.close(leader)
    os.close(follower)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--agent is for vecnet itself" in done.stderr


def test_machine_is_told_to_end_once(request: pytest.FixtureRequest) -> None:
    machine = Machine("beta", ["cat"])
    request.addfinalizer(machine.close)
    machine.hang_up()
    with pytest.raises(Untested, match="it has been told to end"):
        machine.own.ask("stats")


OWN = """
name: lab
hosts: {beta: {address: 192.0.2.12}}
links: [{transport: tap, name: one, endpoints: [web:vec0, beta:tap0]}]
"""
PASSED = {
    "probe": "open",
    "verdict": "pass",
    "reason": "both ends open",
    "figures": {},
    "seconds": 0.1,
    "tried": True,
    "beside": 2,
    "where": None,
    "codes": [],
    "at_first": "no frame came",
}
REPORT = {"link": "one", "transport": "tap", "results": [PASSED], "far_end": "", "note": "", "where": None, "hosts": []}


def proved(links: object) -> LinkReport:
    """What is told of the link by whom answers so for its host."""
    answers: tuple[dict[str, object], ...] = ({"line": 0, "lengths": []}, {"line": 0, "links": links, "lengths": []})
    with started(
        {"beta": that_says(GREETING + b"".join(message(json.dumps(one).encode()) for one in answers))}
    ) as there:
        (report,) = across.prove(loads(OWN), there).links
    return report


def test_what_a_host_tells_of_its_own_links_is_told_whole() -> None:
    report = proved([REPORT])
    assert report.verdict is Verdict.PASS
    assert report.hosts == ("beta",)
    assert (report.results[0].beside, report.results[0].at_first) == (2, "no frame came")


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ([], "beta was asked for one, and tells of none"),
        ([{**REPORT, "link": "other"}], "beta was asked for one, and tells of other"),
        ([REPORT, REPORT], "beta was asked for one, and tells of one, one"),
        ([{**REPORT, "results": []}], "nothing was tested"),
        ([{**REPORT, "results": [{**PASSED, "beside": float("inf")}]}], "what it answers makes no sense"),
        ([{**REPORT, "results": [{**PASSED, "verdict": "fine"}]}], "what it answers makes no sense"),
        ([{**REPORT, "results": [{**PASSED, "figures": {"us": 10**400}}]}], "what it answers makes no sense"),
        ([{**REPORT, "where": {"file": "x", "line": "1", "column": 1}}], "what it answers makes no sense"),
        ({"one": REPORT}, "what it answers makes no sense"),
    ],
    ids=range(9),
)
def test_what_a_host_leaves_out_or_makes_up_is_no_pass(links: object, why: str) -> None:
    report = proved(links)
    assert report.verdict is Verdict.UNTESTED
    assert why in report.reason
