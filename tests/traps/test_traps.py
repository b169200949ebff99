"""What `vecnet check` says of each trap, beside what a real guest does with it, on every generation of kernels."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.need import need_command
from tests.traps.lab import Found, measure
from tests.traps.table import DROPS, NOTE, NUMBERED, PANIC, REFUSED, Trap, filled, string
from tests.uml.fetch import GENERATIONS
from tests.uml.guest import Kernel
from vecnet.cli.check import command

pytestmark = [pytest.mark.uml, pytest.mark.unsanitized]


@pytest.fixture(scope="module")
def found(kernel: Kernel) -> Found:
    need_command("ip", "ethtool", "ping")
    return measure(kernel)


SAID = [pytest.param(*one, id=str(one[1])) for one in NUMBERED if one[1].says is not None]


def check(number: int, trap: Trap, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(command, [*words, string(number, trap), "--json"])
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if answer["ok"] else 2)
    return answer


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("number", "trap"), SAID)
def test_check_says_it(number: int, trap: Trap, generation: str) -> None:
    """The severity and the sentence that are expected here are those that the guest below has to show."""
    outcome = trap.outcome(generation)
    if outcome.says is None:
        return
    answer = check(number, trap, "--kernel", generation)
    said = [entry for entry in (*answer["tokens"], *answer["effects"]) if entry["severity"] == str(outcome.severity)]
    assert answer["severity"] == str(outcome.severity), answer
    says = filled(outcome.says, number)
    assert not says or any(says in f"{e['message']}; {e['instead']}" for e in said), said
    assert answer["ok"] == (outcome.severity <= NOTE)


@pytest.mark.parametrize(("number", "trap"), SAID)
def test_without_a_kernel_check_says_the_worst(number: int, trap: Trap) -> None:
    answer = check(number, trap)
    outcomes = [trap.outcome(generation) for generation in answer["kernels"]]
    if all(outcome.says is not None for outcome in outcomes):
        assert answer["severity"] == str(max(outcome.severity for outcome in outcomes))


@pytest.mark.parametrize(("number", "trap"), [pytest.param(*one, id=str(one[1])) for one in NUMBERED])
def test_a_guest_does_it(kernel: Kernel, found: Found, number: int, trap: Trap) -> None:
    outcome, shown = trap.outcome(kernel.generation), found.values[number]
    if number in found.own:
        report = found.own[number]
        if outcome.severity is PANIC:
            assert report.panicked, report
            assert "packets" not in shown
            return
        if outcome.shows.get("up") == "no, or panic":
            assert report.panicked or shown["up"] != "yes", report
            return
        assert report.panicked == (outcome.shows.get("again") == "panic"), report
    refused = outcome.severity == REFUSED
    assert shown["up"] == outcome.shows.get("up", shown["up"] if refused and shown["up"] != "yes" else "yes"), shown
    if "fails: " in (outcome.says or ""):
        assert (outcome.says or "").endswith(shown["up"])
    if outcome.severity == DROPS or (trap.peer and not refused):
        passes = "lost" if outcome.severity >= DROPS else "pass"
        assert outcome.shows.get("packets", passes) in (shown.get("packets"), "not asked")
    for key in outcome.shows.keys() & {"mtu", "depth", "spins", "again"}:
        assert shown.get(key, "panic") == outcome.shows[key]
    if outcome.shows.get("mac") == "random":
        assert filled("ADDR", number) != shown["mac"] != "00:00:00:00:00:00"
        assert int(shown["mac"][:2], 16) & 3 == 2, "locally administered, and no group's"
    elif "mac" in outcome.shows:
        assert shown["mac"] == filled(outcome.shows["mac"], number)
    if "opens" in outcome.shows:
        assert fnmatch.filter(found.opened, filled(outcome.shows["opens"], number)), found.opened
