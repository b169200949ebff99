"""plan, up, status and down as commands: what they answer, and what they say."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TAP, TOPOLOGIES, answer, environment, refused, vecnet
from tests.host.network import ip, names, private_network
from tests.need import need_command, need_root

LONG = """
name: a-topology-with-a-name-that-goes-on-and-on
links:
  - name: a-link-whose-name-is-as-long-as-a-name-of-a-link-may-be-in-here
    transport: tap
    endpoints: [a-guest-with-a-long-name:vec0, host:fifteen-bytes-x]
  - transport: tap
    endpoints: [web:vec0, host:größe]
"""

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    need_command("ip")
    with private_network():
        yield


def test_up_answers_what_args_answers() -> None:
    done = vecnet("up", LAB, "--guest", "web")
    assert done.returncode == 0
    assert done.stdout == answer("args", LAB, "--guest", "web")
    assert done.stderr == "lab: 4 made\n"
    again = vecnet("up", LAB, "--json")
    assert json.loads(again.stdout) == json.loads(answer("args", LAB, "--json"))
    assert again.stderr == "lab: nothing to do, 4 interfaces as wanted\n"


def test_a_wrong_guest_makes_nothing() -> None:
    refused("up", LAB, "--guest", "nobody")
    assert names() == set()


def test_plan_before_and_after() -> None:
    before = answer("plan", TAP)
    assert before.splitlines()[0].startswith("+ tap tap-one")
    steps = json.loads(answer("plan", TAP, "--json"))["steps"]
    assert [(step["action"], step["interface"]) for step in steps] == [("create", "tap-one")]
    vecnet("up", TAP)
    assert answer("plan", TAP) == "tap: nothing to do, 1 interface as wanted\n"
    assert json.loads(answer("plan", TAP, "--json")) == {
        "topology": "tap",
        "unchanged": 1,
        "steps": [],
        "notes": [],
        "elsewhere": {},
    }


def test_status() -> None:
    nothing = vecnet("status")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert nothing.stderr == "nothing of vecnet is up here\n"
    assert json.loads(answer("status", "--json")) == []
    absent = vecnet("status", "tap")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert absent.stderr == "nothing of tap is up here\n"
    vecnet("up", TAP)
    heading, line = answer("status", "tap").splitlines()
    assert heading.split() == ["topology", "link", "interface", "kind", "mtu", "rx", "tx", "errors", "drops", "state"]
    assert line.split()[:5] == ["tap", "web:vec0--host:tap-one", "tap-one", "tap", "1500"]
    assert line.split()[-1] == "healthy"
    (entry,) = json.loads(answer("status", "--json"))
    assert (entry["ifname"], entry["healthy"], entry["why"]) == ("tap-one", True, "")
    ip("link", "set", "tap-one", "down")
    sick = vecnet("status", "tap")
    assert sick.returncode == 1
    assert sick.stdout.splitlines()[1].endswith("  tap-one is down")
    assert json.loads(vecnet("status", "--json").stdout)[0]["why"] == "tap-one is down"


def test_a_table_in_a_pipe_is_as_wide_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(LONG)
    vecnet("up", file)
    lines = answer("status", env={"COLUMNS": "20"}).splitlines()  # of whatever started this: pytest's workers have 80
    assert len(lines) == 3
    assert "a-link-whose-name-is-as-long-as-a-name-of-a-link-may-be-in-here  fifteen-bytes-x  tap" in lines[1]
    places = {line.index("healthy") for line in lines[1:]}
    assert places == {lines[0].index("state")}
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_a_table_fits_the_columns_and_leaves_nothing_out(columns: int, tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(LONG)
    vecnet("up", file)
    whole = answer("status")
    for wide, variables in ((columns, {}), (33, {"COLUMNS": str(columns)})):
        fitting = COLOUR.sub("", screen("status", columns=wide, **variables)[0])
        assert max(map(len, fitting.splitlines())) <= columns
        assert "…" not in fitting
        assert "".join(fitting.split()) == "".join(whole.split()), "the same, broken elsewhere"


def screen(*words: str | Path, columns: int, **variables: str) -> tuple[str, int]:
    """What a command writes to a terminal of so many columns, and its exit status."""
    seen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = subprocess.Popen(
        [EXECUTABLE, *words], stdout=terminal, stderr=terminal, env=environment(TERM="xterm") | variables
    )
    os.close(terminal)
    shown = b""
    try:
        while data := os.read(seen, 65536):
            shown += data
    except OSError:  # the terminal's other end is closed
        pass
    os.close(seen)
    return shown.decode(), process.wait()


def test_a_terminal_gets_colour_and_fitting_lines(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(LONG)
    vecnet("up", file)
    ip("link", "set", "größe", "down")
    text, status = screen("status", columns=40)
    assert status == 1
    assert "\x1b[31mgröße is down\x1b[0m" in text
    assert "\x1b[1mtopology\x1b[0m" in text
    lines = COLOUR.sub("", text).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("a-link-whose-name-is-as-long-as-a-name") == 1
    wide, _ = screen("status", columns=400)
    assert len(wide.splitlines()) == 3


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_can_be_refused(variables: dict[str, str], coloured: bool) -> None:
    vecnet("up", TAP)
    ip("link", "set", "tap-one", "down")
    for words in (
        ("status",),
        ("check", "vec0:transport=tap"),
        ("args", "none.yaml"),
        ("loopback", TAP, "-p", "frames"),
        ("run", TOPOLOGIES / "l2tpv3.yaml", "--", "echo"),
    ):
        text, _ = screen(*words, columns=80, **variables)
        assert bool(COLOUR.search(text)) is coloured, (words, text)
        assert "\x1b" not in text or variables.get("TERM") != "dumb"  # a progress bar moves the cursor


def test_an_interface_in_another_namespace_is_told_with_it(tmp_path: Path) -> None:
    ip("netns", "add", "there")
    file = tmp_path / "far.yaml"
    file.write_text("links:\n- transport: tap\n  endpoints: {web:vec0: {}, host:tap0: {netns: there}}\n")
    vecnet("up", file)
    assert "  tap0 in there  tap  " in answer("status").splitlines()[1]


def test_down_by_file_and_by_name() -> None:
    for subject in (TAP, "tap"):
        vecnet("up", TAP)
        done = vecnet("down", subject)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "tap: 1 removed\n")
        assert names() == set()
    again = vecnet("down", "tap", "--json")
    assert (again.returncode, again.stderr) == (0, "tap: nothing to do\n")
    assert json.loads(again.stdout) == {"topology": "tap", "unchanged": 0, "steps": [], "notes": []}
    vecnet("up", TAP)
    removed = json.loads(vecnet("down", "-", "--json", input=TAP.read_text()).stdout)
    assert [(step["action"], step["interface"]) for step in removed["steps"]] == [("delete", "tap-one")]


def test_a_failure_is_told_and_answers_nothing() -> None:
    ip("tuntap", "add", "tap-one", "mode", "tap")  # somebody else's
    for command in ("up", "plan"):
        done = vecnet(command, TAP)
        assert done.returncode == 1
        assert not done.stdout
        assert done.stderr.startswith("error: ")
        assert "tap-one" in done.stderr


@pytest.mark.long
def test_closed_output_is_no_failure_and_its_number_is_nobody_else_s(tmp_path: Path) -> None:
    tap = shlex.quote(str(TAP))
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        for words in (f"up {tap}", f"plan {tap}", "status tap", f"loopback -p open {tap}", "down tap"):
            done = subprocess.run(
                ["sh", "-c", f'"$0" {words} {closed}', EXECUTABLE], check=False, env=environment(), timeout=60
            )
            assert done.returncode == 0, (words, closed)
    script = f'"$0" sandbox {tap} -- sh -c "readlink /proc/self/fd/2 >{tmp_path}/seen" 2>&-'
    subprocess.run(["sh", "-c", script, EXECUTABLE], check=True, env=environment())
    assert (tmp_path / "seen").read_text() == "/dev/null\n"


def test_down_of_a_renamed_file_tells_what_is_up(tmp_path: Path) -> None:
    file = tmp_path / "before.yaml"
    file.write_text("links: [{transport: tap, endpoints: [a:vec0, host:tap0]}]\n")
    vecnet("up", file)
    done = vecnet("down", file.rename(tmp_path / "after.yaml"))
    assert (done.returncode, done.stderr) == (0, "after: nothing to do\nwhat is up here: before\n")
    assert names() == {"tap0"}


def test_status_takes_a_file_for_the_topology_in_it(tmp_path: Path) -> None:
    absent = vecnet("status", TAP)
    assert (absent.returncode, absent.stdout, absent.stderr) == (1, "", "nothing of tap is up here\n")
    vecnet("up", TAP)
    for subject, text in ((TAP, None), ("-", TAP.read_text())):
        assert answer("status", subject, input=text) == answer("status", "tap")
    other = tmp_path / "other.yml"
    other.write_text("name: tap\n" + TAP.read_text().partition("name: tap\n")[2])
    assert answer("status", other) == answer("status", "tap")


@pytest.mark.parametrize("command", ["status", "down"])
def test_a_name_is_a_name_whatever_files_there_are(command: str, tmp_path: Path) -> None:
    (tmp_path / "tap").write_text("name: other\n" + TAP.read_text().partition("name: tap\n")[2])
    vecnet("up", TAP)
    named = vecnet(command, "tap", cwd=tmp_path)
    assert named.returncode == 0
    assert "other" not in named.stdout + named.stderr
    assert named.stderr.splitlines()[0] == "tap is taken for a topology's name; the file is ./tap"
    filed = vecnet(command, "./tap", cwd=tmp_path)
    assert "other: nothing to do" in filed.stderr or "nothing of other is up here" in filed.stderr
    vecnet("down", "tap")
    (tmp_path / "gone").write_text("name: tap\n")
    vecnet("up", LAB)
    said = vecnet(command, "gone", cwd=tmp_path).stderr.splitlines()
    assert [said[0], said[2]] == ["gone is taken for a topology's name; the file is ./gone", "what is up here: lab"]


@pytest.mark.parametrize("command", ["status", "down"])
def test_a_broken_file_is_not_needed(command: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: tap\nlinks: [")
    for file in (broken, tmp_path / "none.yaml"):
        *rest, last = refused(command, file).splitlines()
        assert rest
        assert last == (
            f"error: vecnet {command} needs no file; the name of a topology that is up will do; up here: nothing"
        )
        vecnet("up", TAP)
        assert refused(command, file).splitlines()[-1].endswith("; up here: tap")
        assert names() == {"tap-one"}
        assert vecnet("down", "tap").returncode == 0
