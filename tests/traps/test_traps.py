"""What vecnet says of each trap, beside what a real guest does with it, on every generation of kernels.

Both are held against the same table, so that what vecnet's own tables say of a generation is what its guests do. Every
row of theirs must show in a trap, or in the test that is named here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

import pytest

from tests.need import need_command
from tests.traps.lab import Found, measure
from tests.traps.table import DROPS, NOTE, NUMBERED, OK, PANIC, REFUSED, Trap, filled, string
from tests.uml.fetch import GENERATIONS
from tests.uml.guest import Kernel
from vecnet import explain
from vecnet.guests import GENERATIONS as TABLES
from vecnet.guests import Case, Guest, Situation
from vecnet.guests.guest import Does, Steps

pytestmark = [pytest.mark.uml, pytest.mark.unsanitized]


ELSEWHERE = {
    Situation.UNCLEARED: "tests/uml/test_memory.py",
    Situation.UNCLEARED_PIN: "tests/uml/test_memory.py",
    Situation.DEEP: "test_generations.py",
    Situation.FAILED_OPEN: "test_generations.py",
    Situation.IFUP: "test_dead_ends.py",
    Situation.SMALL_BUFFERS: "tests/uml/test_transfer.py",
}
HIDDEN = [
    ("UNREAD", "*"),  # the device is refused anyway
    ("MISSING", "*"),  # the transports of today have rows of their own
]


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest, kernel: Kernel) -> Found:
    """What the chosen traps came to. Guests of their own are for those alone."""
    need_command("ip", "ethtool", "ping")
    asked = (
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test_a_guest_does_it.__name__
    )
    same = (params["number"] for params in asked if Kernel.of(str(params["kernel"])) == kernel)
    chosen = {number for number in same if isinstance(number, int)}
    return measure(kernel, chosen)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("number", "trap"), [pytest.param(*one, id=str(one[1])) for one in NUMBERED if one[1].says is not None]
)
def test_explain_says_it(generation: str, number: int, trap: Trap) -> None:
    outcome = trap.outcome(generation)
    explanation = explain(string(number, trap), kernel=generation)
    assert explanation.severity == outcome.severity, explanation
    effects = (*(token.effect for token in explanation.tokens), *explanation.effects)
    said = [f"{e.message}; {e.instead}" for e in effects if e.severity == outcome.severity]
    says = filled(outcome.says or "", number)
    assert not says or any(says in one for one in said), said


@pytest.mark.parametrize(
    ("number", "trap"),
    [pytest.param(*one, id=str(one[1]), marks=[pytest.mark.alike] * one[1].is_alike) for one in NUMBERED],
)
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


Row = tuple[str, str, Does]  # a situation's name, the row's key, what it says


def rows(table: Guest) -> Iterator[Row]:
    for situation, of_situation in table.does.items():
        for key, row in of_situation.items():
            yield from ((situation.name, key, does) for does in (row.values() if isinstance(row, Steps) else [row]))


def test_the_tables_are_of_these_generations() -> None:
    assert tuple(map(str, TABLES)) == GENERATIONS


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_a_trap_shows_each_row(table: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a trap's string the worst row shows, and those that are harmless."""
    asked: list[Row] = []
    row = Guest.row

    def noted(guest: Guest, transport: str, case: Case) -> tuple[str, Does]:
        key, does = row(guest, transport, case)
        if guest is table:
            asked.append((case.situation.name, key, does))
        return key, does

    monkeypatch.setattr(Guest, "row", noted)
    shown = set[Row]()
    for one in NUMBERED:
        asked.clear()
        severity = explain(string(*one), kernel=str(table)).severity
        shown |= {found for found in asked if found[2].severity in (severity, NOTE, OK)}
    names = {situation.name for situation in ELSEWHERE}
    unseen = [found for found in rows(table) if found[0] not in names and found not in shown]
    assert [found[:2] for found in unseen] == HIDDEN
