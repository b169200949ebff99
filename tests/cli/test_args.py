"""vecnet args: strings for scripts, shells and kernels' command lines."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, LAB, TAP, answer, environment, refused, vecnet
from tests.need import need_command
from vecnet import load, parse
from vecnet.cli.common import load_topology

MULTI = """
links:
  - transport: bess
    endpoints: {web:vec0: {}, host:port: {path: "/run/t'$x*"}}
  - transport: tap
    endpoints: [web:vec1, host:tap1]
  - transport: tap
    endpoints: [db-1:vec0, host:tap2]
"""


def strings(file: Path, guest: str) -> list[str]:
    return [str(device) for device in load(file).devices(guest)]


def bash(script: str, **variables: str) -> list[str]:
    """The lines that a script prints in a real bash, where `vecnet` is the command under test."""
    need_command("bash")
    path = f"{EXECUTABLE.parent}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=False, env=environment(PATH=path, **variables)
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def test_lines() -> None:
    assert answer("args", TAP).splitlines() == strings(TAP, "web")
    assert answer("args", LAB, "--guest", "app").splitlines() == strings(LAB, "app")
    assert [line.split("\t") for line in answer("args", LAB).splitlines()] == [
        [guest, string] for guest in ("app", "db", "web") for string in strings(LAB, guest)
    ]
    for line in answer("args", LAB).splitlines():
        assert ",mac=02:" in line
        assert str(parse(line.partition("\t")[2])) == line.partition("\t")[2]


def test_json() -> None:
    everything = {guest: {"strings": strings(LAB, guest), "words": []} for guest in ("app", "db", "web")}
    assert json.loads(answer("args", LAB, "--json")) == everything
    assert json.loads(answer("args", LAB, "--format", "json")) == everything
    assert json.loads(answer("args", LAB, "--json", "-g", "db")) == {"db": everything["db"]}


def test_a_guests_words_in_a_real_shell() -> None:
    script = 'printf "%s\\n" mem=256M $(vecnet args "$FILE" --guest web)'
    assert bash(script, FILE=str(LAB)) == ["mem=256M", *strings(LAB, "web")]
    script = 'eval "set -- $(vecnet args "$FILE" --guest web --format shell)"; printf "%s\\n" "$@"'
    assert bash(script, FILE=str(LAB)) == strings(LAB, "web")


def test_several_guests_in_a_real_shell(tmp_path: Path) -> None:
    file = tmp_path / "multi.yaml"
    file.write_text(MULTI)
    script = """cd "$EMPTY"
        eval "$(vecnet args "$FILE" --format shell)"
        printf "%s\\n" $vec_web; echo; printf "%s\\n" $vec_db_1
        eval "set -- $(vecnet args "$FILE" --format shell --guest web)"; echo; printf "%s\\n" "$@" """
    empty = tmp_path / "empty"
    empty.mkdir()
    web, db = strings(file, "web"), strings(file, "db-1")
    assert "dst=/run/t'$x*," in web[0]
    assert bash(script, FILE=str(file), EMPTY=str(empty)) == [*web, "", *db, "", *web]


def test_guests_that_no_shell_can_tell_apart(tmp_path: Path) -> None:
    file = tmp_path / "multi.yaml"
    file.write_text(MULTI.replace("web:vec1", "db_1:vec0"))
    said = refused("args", file, "--format", "shell")
    assert said == "error: the guests db-1 and db_1 would share the shell's variable vec_db_1; use --guest\n"
    assert answer("args", file, "--format", "shell", "--guest", "db_1").startswith("vec0:")


def test_a_guest_that_is_not_there() -> None:
    assert refused("args", LAB, "--guest", "wbe") == (
        "error: lab has no guest 'wbe'; did you mean web? its guests are app, db, web\n"
    )
    assert "its guests are app, db, web" in refused("args", LAB, "--guest", "")


def test_an_error_is_json_where_the_answer_would_have_been() -> None:
    problem = {"message": "lab has no guest 'x'", "instead": "its guests are app, db, web", "where": None}
    for words in (("--json",), ("--format", "json")):
        done = vecnet("args", LAB, "--guest", "x", *words)
        assert json.loads(done.stdout) == {"problems": [problem]}
        assert done.returncode == 2
        assert done.stderr == "error: lab has no guest 'x'; its guests are app, db, web\n"
    done = vecnet("down", "none.yaml", "--json")  # … and so has every command
    assert json.loads(done.stdout)["problems"]


PROBE = """
import sys
import vecnet.cli
try:
    vecnet.cli.main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print("\\n".join(sorted(sys.modules)))
"""


@pytest.mark.parametrize("words", [("args", LAB), ("check", LAB), ("check", "vec0:transport=fd,fd=1"), ("--help",)])
def test_what_only_talks_loads_neither_netlink_nor_tables(words: tuple[str | Path, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.splitlines())
    assert "vecnet.cli" in modules
    assert modules.isdisjoint({"pyroute2", "rich", "vecnet.host", "vecnet.datapath", "jsonschema", "scapy"})


def test_who_reads_a_file_again_and_again_collects_garbage_as_often() -> None:
    """`serve` does so at each SIGHUP."""
    before = gc.get_threshold()
    try:
        often = []
        for _ in range(20):
            load_topology(str(LAB))
            often.append(gc.get_threshold()[0])
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
    assert max(often) < 3 * min(often)
