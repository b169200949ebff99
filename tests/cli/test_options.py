"""Options that are empty, given twice, or at odds are refused or heeded, and never passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import LAB, TAP, TOPOLOGIES, answer, refused
from vecnet import load

FD = TOPOLOGIES / "fd.yaml"
STRING = "vec0:transport=fd,fd=3"
ONCE = {
    ("args", LAB): {"--format": "lines"},
    ("up", LAB): {"--format": "lines"},
    ("loopback", STRING): {"--peer": STRING, "--impair": "loss 1%", "--pcap": "there", "--json": "-"},
    ("loopback", FD): {"--junit": "-", "--markdown": "-", "--for": "1s", "--trial": "1s", "--svg": "-"},
    ("bench",): {"--runs": "1", "--depth": "1", "--json": "-", "--svg": "-"},
}


@pytest.mark.parametrize(
    ("words", "option", "value"), [(words, *one) for words, options in ONCE.items() for one in options.items()]
)
def test_an_option_with_one_value_is_given_once(words: tuple[str | Path, ...], option: str, value: str) -> None:
    said = refused(*words, option, value, option, value)
    assert f"Invalid value for '{option}': it is given 2 times; leave all but one out." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loopback", FD, "--pcap", ""), "'--pcap': it is empty; name a folder"),
        (("loopback", FD, "--pcap", "README.md"), "'README.md' is a file"),
        (("loopback", FD, "--impair", ""), "--impair: the value is empty"),
        (("loopback", FD, "--impair", " "), "--impair: ' ' is not an impairment"),
        (("loopback", FD, "--peer", ""), "--peer and --mirror go with a vec string"),
        (("loopback", FD, "--link", ""), "has no link ''"),
        (("loopback", FD, "--probe", ""), "there is no probe ''"),
        (("loopback", FD, "--json", ""), "'--json': it is empty"),
        (("loopback", STRING, "--peer", ""), "no device is named"),
        (("loopback", STRING, "--peer", STRING, "--mirror"), "give --peer or --mirror, not both"),
        (("loopback", STRING, "--peer", "", "--mirror"), "give --peer or --mirror, not both"),
        (("args", LAB, "--guest", ""), "has no guest ''"),
        (("args", LAB, "--guest", "web", "--guest", ""), "has no guest ''"),
        (("run", LAB, "--guest", "", "--", "true"), "has no guest ''"),
        (("args", LAB, "--format", ""), "'' is not one of"),
        (("args", LAB, "--json", "--format", "shell"), "--json and --format shell are two forms"),
        (("up", LAB, "--format", "lines", "--json"), "--json and --format lines are two forms"),
        (("bench", "--transport", ""), "there is no transport ''"),
        (("bench", "--json", ""), "'--json': it is empty"),
    ],
)
def test_what_is_empty_or_at_odds_is_refused(words: tuple[str | Path, ...], said: str) -> None:
    assert said in refused(*words)


@pytest.mark.parametrize(
    ("one", "other"), [("-", "-"), ("a", "a"), ("a", "./a"), ("a", "link"), ("-", "/dev/stdout"), ("link", "hard/../a")]
)
def test_two_reports_have_two_places(one: str, other: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "hard").mkdir()
    for words, options in ((("loopback", FD), ("json", "markdown", "junit")), (("bench",), ("svg", "json"))):
        said = refused(*words, f"--{options[0]}", one, f"--{options[1]}", other, cwd=tmp_path)
        assert "cannot both be " in said
        assert f"--{options[0]}" in said
        assert f"--{options[1]}" in said
    assert not (tmp_path / "a").exists()


def test_a_report_is_not_written_over_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(FD.read_text())
    assert "what is read and --json cannot both be" in refused("loopback", file, "--json", "./lab.yaml", cwd=tmp_path)
    assert file.read_text() == FD.read_text()


def test_reports_that_nobody_keeps_may_share_a_place() -> None:
    answer("loopback", FD, "--probe", "open", "--json", "/dev/null", "--junit", "/dev/null")


def test_several_guests_are_all_answered() -> None:
    web, db = ([str(device) for device in load(LAB).devices(guest)] for guest in ("web", "db"))
    lines = answer("args", LAB, "-g", "web", "--guest", "db").splitlines()
    assert lines == [*(f"web\t{word}" for word in web), *(f"db\t{word}" for word in db)]
    wanted = {name: {"strings": strings, "words": []} for name, strings in (("db", db), ("web", web))}
    assert json.loads(answer("args", LAB, "-g", "db", "-g", "web", "--json")) == wanted
    assert answer("args", LAB, "-g", "web", "-g", "web") == answer("args", LAB, "-g", "web")
    assert answer("args", TAP, "--json", "--format", "json") == answer("args", TAP, "--json")
