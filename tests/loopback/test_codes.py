"""Codes: each kind of failure has one, each is used, each is explained, and reports name them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

import vecnet
from manual import codes as page
from vecnet.cli.explain import command
from vecnet.errors import InputError
from vecnet.guests import GENERATIONS, Situation
from vecnet.loopback.ci import as_github, as_tap
from vecnet.loopback.codes import CODES, Code
from vecnet.loopback.explained import explanations, trap_code
from vecnet.loopback.report import as_json, as_junit, as_markdown, as_text
from vecnet.loopback.verdict import LinkReport, Result, Verdict, Verdicts

ROOM = Path(vecnet.__file__).parent / "loopback"
FAILURES = ("Failed", "Fault", "Finding")  # what carries a code, as its first argument
REPORT = Verdicts(
    "lab",
    (
        LinkReport(
            "a",
            "gre",
            (Result("frames", Verdict.FAIL, "no frame came", codes=(Code.NO_FRAME, Code.MISFIT)),),
        ),
    ),
)


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in ROOM.rglob("*.py") if path.name not in ("codes.py", "explained.py")]


def test_every_code_is_used_and_explained() -> None:
    used = {
        node.attr
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }
    assert used == {code.name for code in Code}
    assert set(CODES) == set(Code)


def test_every_failure_and_every_finding_has_a_code() -> None:
    calls = [
        node
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAILURES
    ]
    assert len(calls) > 40
    for call in calls:
        assert len(call.args) >= 2, ast.unparse(call)
    raised = [node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    assert not [ast.unparse(one) for one in raised if isinstance(one.exc, ast.Name) and one.exc.id == "Failed"]
    (diagnosis,) = (path for path in ROOM.glob("diagnose.py"))
    looks = {
        node.name: ast.unparse(node.returns)
        for node in ast.walk(ast.parse(diagnosis.read_text()))
        if isinstance(node, ast.FunctionDef) and node.returns is not None and "Iterator" in ast.unparse(node.returns)
    }
    assert {name for name, returns in looks.items() if returns != "Iterator[Finding]"} == {"_dropping_rules"}


def test_a_failure_has_three_sentences_and_a_trap_what_guests_do() -> None:
    every = explanations()
    assert len(every) == len(Code) + sum(any(one in guest.does for guest in GENERATIONS) for one in Situation)
    for name, one in every.items():
        sentences = (one.means, one.mend) if one.guests else (one.means, one.comes, one.mend)
        assert all(text.endswith(".") and text[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ" for text in sentences), name
        assert len(name) <= 24
    assert [guest for guest, _ in every[trap_code(Situation.OCTAL)].guests] == list(map(str, GENERATIONS))
    assert "octal" in every["trap-octal"].guests[0][1]


def test_every_report_names_the_codes() -> None:
    assert "frames: no frame came [no-frame, misfit]" in as_text(REPORT)
    assert "frames: no frame came [no-frame, misfit]" in as_markdown(REPORT)
    assert json.loads(as_json(REPORT))["links"][0]["probes"][0]["codes"] == ["no-frame", "misfit"]
    failure = next(ElementTree.fromstring(as_junit(REPORT)).iter("failure"))
    assert failure.get("type") == "no-frame misfit"
    assert as_github(REPORT).endswith("::no frame came [no-frame, misfit]")
    assert '  codes: ["no-frame", "misfit"]' in as_tap(REPORT)


def test_explain_in_words_and_as_json() -> None:
    done = CliRunner().invoke(command, ["misfit"])
    assert done.exit_code == 0
    assert done.output.startswith(f"misfit: {CODES[Code.MISFIT].means}\nHow it comes about: ")
    assert CODES[Code.MISFIT].mend in done.output
    assert json.loads(CliRunner().invoke(command, ["misfit", "--json"]).output)["means"] == CODES[Code.MISFIT].means
    listed = CliRunner().invoke(command, [])
    assert [line.split()[0] for line in listed.output.splitlines()] == list(explanations())
    assert set(json.loads(CliRunner().invoke(command, ["--json"]).output)) == set(explanations())
    guests = CliRunner().invoke(command, ["trap-missing"]).output
    assert all(f"Linux {guest}: " in guests for guest in GENERATIONS)


@pytest.mark.parametrize(("word", "instead"), [("misfits", "did you mean misfit?"), ("x\x1b[31m", "lists them all")])
def test_a_code_that_there_is_not(word: str, instead: str) -> None:
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(command, [word], catch_exceptions=False)
    assert instead in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_the_page_has_them_all() -> None:
    text = page.pages()["reference/codes.md"]
    assert all(f"| `{name}` |" in text for name in explanations())
