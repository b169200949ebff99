"""What a host answers may be anything: strings for a shell, sentences for a terminal, data for a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.fleet.test_netns import LAB, file, folder, hosts, said
from vecnet.errors import Problem
from vecnet.fleet.lab import DOWN, STATUS, UP, _Run
from vecnet.fleet.playbook import Event
from vecnet.topology import loads

__all__ = ["file", "folder", "hosts"]  # fixtures

TOPOLOGY = loads(LAB)
STRINGS = {"web": {"strings": [str(device) for device in TOPOLOGY.on("alpha").devices("web")], "words": []}}
GOOD = {"lines": ["lab: 1 made"], "strings": STRINGS, "plan": {}, "changed": True, "ansible_facts": {}}
NONSENSE = "alpha: what it answers makes no sense"


def answered(task: str, result: dict[str, object], event: str = "ok") -> list[Problem]:
    """What is wrong with alpha's answer."""
    run = _Run(TOPOLOGY)
    run.take(Event(event, "alpha", task, result))
    run.take(Event("ok", "beta", task, {"strings": {"db": STRINGS["web"]}} if task == UP else {}))
    return [problem for problem, _ in run.problems(task)]


def with_strings(*texts: object, words: object = ()) -> dict[str, object]:
    return {**GOOD, "strings": {"web": {"strings": list(texts), "words": list(words)}}}  # type: ignore[call-overload]


def test_what_makes_sense_is_taken() -> None:
    assert not answered(UP, GOOD)
    assert not answered(UP, with_strings(words=["init_on_alloc=1", "vec=0"]))
    assert not answered(DOWN, {**GOOD, "strings": {}})


NO_LIST: tuple[object, ...] = ("x", 3, None, [[]])
NO_INTERFACES: tuple[object, ...] = ({}, [3], [{}], [{"mtu": "many"}])


@pytest.mark.parametrize(
    ("task", "result"),
    [
        *((UP, with_strings(text)) for text in ("$(reboot)", "vec0:transport=tap,ifname=a b", "vec0:", 3, None)),
        (UP, with_strings(STRINGS["web"]["strings"][0] + "\n; reboot")),
        *((UP, with_strings(words=[word])) for word in ("a=1;reboot", "a=1 b=2", "$(reboot)", "a=1\n", "a", 3)),
        (UP, {**GOOD, "strings": {}}),
        (UP, {**GOOD, "strings": {**STRINGS, "db": STRINGS["web"]}}),
        *((UP, {**GOOD, key: value}) for key in ("lines", "strings", "plan") for value in NO_LIST),
        *((STATUS, {"interfaces": value}) for value in NO_INTERFACES),
        (STATUS, {"ports": [{"counters": []}]}),
        (STATUS, {"devices": ["x"]}),
    ],
)
def test_what_does_not_is_a_failure_of_that_host(task: str, result: dict[str, object]) -> None:
    (problem,) = answered(task, result)
    assert problem.message == NONSENSE


@pytest.mark.parametrize("problems", [None, 3, [3], [{"message": 3}], [{}], "x"])
def test_a_refusal_without_sense_is_told_by_its_sentence(problems: object) -> None:
    (problem,) = answered(UP, {"msg": "it \x1b[2J broke", "problems": problems}, "failed")
    assert problem.message == "alpha: it \\x1b[2J broke"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Traceback:\n  File\nOSError: [Errno 28] No space left on device\nShared connection closed.\n",
            "make room on its",
        ),
        ("zipimport.ZipImportError: bad \x1b[2J\n", "has failed: zipimport.ZipImportError: bad \\x1b[2J"),
        ("Killed\n", "has failed: Killed"),
        ("", "it said nothing that is JSON"),
    ],
)
def test_what_is_no_answer_is_told_by_what_was_said_instead(said: str, told: str) -> None:
    (problem,) = answered(UP, {"msg": "it said nothing that is JSON", "module_stderr": said}, "failed")
    assert told in str(problem)
    assert "OSError: [Errno 28] No space left on device" in problem.message or "make room" not in told


@pytest.mark.usefixtures("hosts")
def test_a_vecnet_that_lies_gives_a_shell_nothing(file: Path, folder: Path) -> None:
    liar = folder / "liar"
    answer = {"version": "", "changed": True, "undo": {}, **with_strings("vec0:transport=tap,ifname=x;touch PWNED")}
    liar.write_text(f"#!{sys.executable}\nprint({json.dumps(answer)!r})\n")
    liar.chmod(0o755)
    inventory = folder / "hosts.yml"
    inventory.write_text(inventory.read_text().replace("alpha:", f"alpha:\n      lab_python: {liar}", 1))
    done = said("up", file)
    assert done.stdout == ""
    assert [str(one) for one in getattr(done.exception, "problems", ())] == [
        f"{NONSENSE}; see that the vecnet there is the one that it should be"
    ]
