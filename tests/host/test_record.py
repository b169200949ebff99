"""A host is brought back from the record of a plan, which has been JSON, wherever its `up` has ended."""

from __future__ import annotations

import json

import pytest

from tests.host.network import LAB, LAB_CHANGED, host_state, ip, topology
from tests.host.test_failures import Striker, every_strike, in_child
from vecnet import host
from vecnet.errors import InputError
from vecnet.host.record import Record

LINK_LOCAL = "links: [{transport: tap, endpoints: {web:vec0: , host:tap0: {ip: 'fe80::5/64'}}}]"


def journeyed(plan: host.Plan) -> Record:
    """What undoes a plan, as another machine has kept it."""
    record = Record.of(plan)
    again = Record.from_json(json.loads(json.dumps(record.as_json())))
    assert again == record
    return again


def test_what_was_changed_and_what_was_removed_is_as_before() -> None:
    host.up(topology(LAB))
    before = host_state(numbers=False)
    record = journeyed(host.up(topology(LAB_CHANGED)))
    assert host_state(numbers=False) != before
    assert host.restore(record).changes
    assert host_state(numbers=False) == before
    assert host.plan(topology(LAB)).steps == ()
    assert host.restore(record).changes == ()  # a second time there is nothing left to undo
    assert host_state(numbers=False) == before


def test_what_was_not_there_is_gone_and_what_is_somebody_elses_stays() -> None:
    ip("link", "add", "mine", "type", "bridge")
    host.up(topology(LINK_LOCAL, "other"))
    before = host_state()
    host.restore(journeyed(host.up(topology(LAB))))
    assert host_state() == before


def test_a_link_local_address_that_was_stated_goes_and_comes_with_it() -> None:
    without = topology(LINK_LOCAL.replace("fe80::5/64", "10.0.0.1/24"))
    for first, second in ((without, topology(LINK_LOCAL)), (topology(LINK_LOCAL), without)):
        host.up(first)
        host.restore(journeyed(host.up(second)))
        assert host.plan(first).steps == ()
        host.down("lab")


def test_a_run_that_was_killed_is_undone_by_what_was_planned_before(monkeypatch: pytest.MonkeyPatch) -> None:
    host.up(topology(LAB))
    before = host_state(numbers=False)

    def strike(at: int) -> bool:
        record = journeyed(host.plan(topology(LAB_CHANGED)))

        def work() -> None:
            Striker(monkeypatch, at, "killed")
            host.up(topology(LAB_CHANGED))

        killed = in_child(work) != 0
        host.restore(record)
        assert host_state(numbers=False) == before, at
        return killed

    assert every_strike(strike, usual=5) > 15


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {},
        {"topology": "lab", "before": [{}], "touched": [], "stated": []},
        {"topology": "lab", "before": [], "touched": [["a"]], "stated": []},
        {"topology": "lab", "before": [{"values_of": "Exception", "kind": "tap"}], "touched": [], "stated": []},
    ],
)
def test_what_is_no_record_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="this is no record that vecnet made"):
        Record.from_json(wrong)
