"""vecnet check: strings and files, for people and for scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.command import LAB, TAP, TOPOLOGIES, answer, refused, vecnet
from tests.topology.broken import CASES, MARK
from vecnet.cli.check import command

NOTHING: dict[str, list[str]] = {"notes": [], "problems": []}
FINE = "vec0:transport=fd,fd=100,mac=02:00:00:00:00:01"
PANICS = "vec0:transport=gre,src=192.0.2.1,dst=192.0.2.2,rx_key=1,tx_key=0xffffffff"


def parsed(*words: str | Path, status: int) -> Any:
    done = vecnet("check", "--json", *words)
    assert done.returncode == status
    assert not done.stderr
    return json.loads(done.stdout)


def test_a_string_that_is_right() -> None:
    assert answer("check", FINE).splitlines() == [
        FINE,
        "  ok        transport=fd",
        "  ok        fd=100",
        "  ok        mac=02:00:00:00:00:01",
    ]


def test_a_string_that_is_wrong() -> None:
    done = vecnet("check", PANICS)
    assert done.returncode == 2
    assert not done.stderr
    assert done.stdout.splitlines() == [
        PANICS,
        "  ok        transport=gre",
        "  ok        src=192.0.2.1",
        "  ok        dst=192.0.2.2",
        "  ok        rx_key=1",
        "  panic     tx_key=0xffffffff  the parse fails, opening the device fails and the guest kernel panics; "
        "write -1",
        "  note                         keys without sequence: the driver's memory is not cleared, and where it reads "
        "true the guest kernel panics; give the guest the word init_on_alloc=1 beside its strings, as vecnet does; "
        "sequence=1 does without",
        "  note                         no mac: the guest has a random Ethernet address on every boot; add mac=02:…",
        "  mended: vec0:transport=gre,src=192.0.2.1,dst=192.0.2.2,rx_key=1,tx_key=-1",
    ]


def test_a_string_in_another_order() -> None:
    assert answer("check", "vec0:fd=100,transport=fd").splitlines()[-1] == "  canonical: vec0:transport=fd,fd=100"


def test_strings_as_json() -> None:
    assert parsed(FINE, status=0) == {
        "string": FINE,
        "ok": True,
        "severity": "ok",
        "tokens": [
            {"token": "transport=fd", "column": 6, "severity": "ok", "message": "", "instead": ""},
            {"token": "fd=100", "column": 19, "severity": "ok", "message": "", "instead": ""},
            {"token": "mac=02:00:00:00:00:01", "column": 26, "severity": "ok", "message": "", "instead": ""},
        ],
        "effects": [],
        "mended": FINE,
        "kernels": ["6.1", "6.12", "7.2"],
        "words": [],
    }
    both = parsed(FINE, PANICS, status=2)
    assert [report["ok"] for report in both] == [True, False]
    assert both[1]["severity"] == "panic"
    assert both[1]["mended"].endswith(",rx_key=1,tx_key=-1")
    assert parsed("vec0:transport=gre", status=2)["mended"] is None


def test_a_file() -> None:
    assert answer("check", TAP) == f"{TAP}: topology tap is valid: 1 link, guests: web\n"
    assert answer("check", LAB) == f"{LAB}: topology lab is valid: 5 links, guests: app, db, web\n"
    assert answer("check", "-", input=TAP.read_text()) == "-: topology tap is valid: 1 link, guests: web\n"
    assert parsed(TAP, status=0) == {
        "file": str(TAP),
        "ok": True,
        "name": "tap",
        "guests": ["web"],
        "hosts": [],
        "kernels": {"web": ["6.1", "6.12", "7.2"]},
        "words": {"web": []},
        "elsewhere": {},
        **NOTHING,
    }


def test_more_strings_than_a_command_line_holds(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    link = "- {{transport: gre, endpoints: {{web:vec{0}: {{local: 127.0.1.{0}}}, db:vec0: {{local: 127.0.2.{0}}}}}}}\n"
    ends = [link.format(number).replace("db:", f"db{number}:") for number in range(60)]
    file.write_text("links:\n" + "".join(ends))
    size = len(answer("args", file, "--guest", "web"))
    assert size > 4096
    note = (
        f"note: the strings of web take {size} bytes, and a guest's command line has room for 4096: "
        "`vecnet run` plugs the rest when it runs"
    )
    assert answer("check", file).splitlines()[1:] == [note]
    assert parsed(file, status=0)["notes"] == [note]


def test_all_examples_at_once() -> None:
    files = sorted(TOPOLOGIES.glob("*.yaml"))
    lines = answer("check", *files).splitlines()
    assert [line.partition(":")[0] for line in lines if ": topology " in line] == list(map(str, files))
    notes = [line for line in lines if line.startswith("note: ")]
    existing = ["br-ours", "nic-two"]
    assert [line.split()[1] for line in notes if "is somebody else's" in line] == existing
    assert sum("needs init_on_alloc=1 beside its strings" in line for line in notes) == len(notes) - len(existing)
    assert sum(line.startswith("elsewhere:router, for web:vec0:") for line in lines) == 1


def test_where_kernels_part() -> None:
    string = "vec0:transport=fd,fd=100,mac=2:0:0:0:0:1"
    says = "'2:0:0:0:0:1' is not a unicast MAC address such as 02:00:00:00:00:01; "
    takes, random = "the guest takes it for 02:00:00:00:00:01", "the guest uses a random address"
    assert (
        f"  fallback  mac=2:0:0:0:0:1  {says}6.1 and 6.12: {takes}; 7.2: {random}\n" in vecnet("check", string).stdout
    )
    assert f"  fallback  mac=2:0:0:0:0:1  {says}{random}\n" in vecnet("check", "--kernel", "7.2.7", string).stdout
    mac = parsed(string, status=2)["tokens"][2]
    assert [(part["kernels"], part["message"]) for part in mac["kernels"]] == [
        (["6.1", "6.12"], says + takes),
        (["7.2"], says + random),
    ]
    assert "7.9 is newer than all that was measured, and taken for 7.2" in answer("check", "-k", "7.9", FINE)
    assert "'six' is neither a kernel's version nor a program" in refused("check", "--kernel", "six", FINE)


def test_a_file_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("links:\n  - transport: tapp\n    endpoints: [web:vec0, host:tap0]\nname: 7/8\n")
    said = refused("check", file).splitlines()
    assert said[0].startswith(f"{file}:2:16: error: ")
    assert said[0].endswith("; did you mean tap?")
    assert said[1].startswith(f"{file}:4:7: error: name: '7/8' is not")
    report = parsed(file, status=2)
    assert report["ok"] is False
    assert [problem["where"]["line"] for problem in report["problems"]] == [2, 4]
    assert report["problems"][0]["instead"] == "did you mean tap?"


def test_a_string_and_a_file_together(tmp_path: Path) -> None:
    done = vecnet("check", FINE, tmp_path / "none.yaml", TAP)
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
    assert len(done.stdout.splitlines()) == 5


def test_every_broken_topology_through_the_command(tmp_path: Path) -> None:
    """One command, all mistakes: each is told with its file, and none ends in a traceback."""
    files = []
    for number, (text, *_) in enumerate(CASES.values()):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text.replace(MARK, ""))
        files.append(file)
    said = refused("check", *files)
    for file in files:
        assert f"{file}:" in said
    assert {report["ok"] for report in parsed(*files, status=2)} == {False}


@pytest.mark.parametrize(
    "word", ["", " ", "vec0", "vec0:", "vec0:,", ":", "=", "transport=", "--", "vec0:transport=tap,ifname=\udcff", "\n"]
)
def test_words_that_are_nothing(word: str) -> None:
    done = vecnet("check", "--", word)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr or "vec0:" in done.stdout


def test_a_tap_elsewhere_is_noted_with_where_its_guest_must_start(tmp_path: Path) -> None:
    file = tmp_path / "far.yaml"
    file.write_text("links: [{transport: tap, endpoints: {web:vec0: {}, host:tap0: {netns: blue}}}]\n")
    note = "note: host:tap0 is in the network namespace blue: vecnet run starts web there; by hand: ip netns exec blue"
    assert answer("check", file).splitlines()[1:] == [note]


@pytest.mark.parametrize(
    ("release", "keeps"),
    [
        ("6.1.176", False),
        ("6.12.116", False),
        ("6.12.117-cloud-amd64", True),
        ("6.13.200", False),
        ("7.3.2", False),
        ("7.3.3", True),
        ("7.4", True),
        ("8.0.0-rc1", True),
        ("strange", False),
    ],
)
def test_a_tap_without_owner_is_noted_where_the_host_keeps_it(
    monkeypatch: pytest.MonkeyPatch, release: str, keeps: bool
) -> None:
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:2], release, *uname[3:])))
    said = CliRunner().invoke(command, [str(TAP)]).stdout.splitlines()[1:]
    note = f"note: tap-one without owner: this host's kernel {release} lets CAP_NET_ADMIN alone open such a tap"
    assert said == ([f"{note}; give owner:, or call up by sudo"] if keeps else [])


def test_a_tap_with_an_owner_is_not_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:2], "7.3.3", *uname[3:])))
    file = tmp_path / "owned.yaml"
    file.write_text("links: [{transport: tap, endpoints: {web:vec0: {}, host:tap0: {owner: 1000}}}]\n")
    assert len(CliRunner().invoke(command, [str(file)]).stdout.splitlines()) == 1
