"""The note of what was plugged, which lies where others may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.need import need_root
from vecnet.errors import BusyError, GuestError
from vecnet.plugging import note
from vecnet.plugging.note import Plugged

BOOT = "2ff401f7-1252-47cf-94b8-6d4848d303b6"
ONE, OTHER = Plugged(1, "vec1:transport=tap,ifname=a", "a"), Plugged(1, "")


def test_the_last_event_counts(tmp_path: Path) -> None:
    assert note.read(tmp_path, BOOT) == {}
    with note.opened(tmp_path, BOOT) as noted:
        noted.add(ONE)
        assert note.read(tmp_path, BOOT) == {1: ONE}
    with note.opened(tmp_path, BOOT) as noted:
        noted.add(OTHER)
    assert note.read(tmp_path, BOOT) == {1: OTHER}


def test_another_boot_knows_nothing_of_it(tmp_path: Path) -> None:
    with note.opened(tmp_path, BOOT) as noted:
        noted.add(ONE)
    another = BOOT[::-1]
    assert note.read(tmp_path, another) == {}
    with note.opened(tmp_path, another):
        assert note.read(tmp_path, another) == {}
    assert (tmp_path / note.NAME).read_text() == f"{another}\n"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        "[" * 100_000,
        '{"unit": "1", "string": "", "link": ""}',
        '{"unit": 1, "string": 2, "link": ""}',
        '{"unit": 1}',
        '{"unit": 1, "string": "", "x": 1}',
        "\udcff\x1b",
    ],
)
def test_what_is_not_as_it_should_be_is_passed_over(tmp_path: Path, line: str) -> None:
    with note.opened(tmp_path, BOOT) as noted:
        noted.add(ONE)
    with (tmp_path / note.NAME).open("ab") as file:
        file.write(os.fsencode(line) + b"\n")
    assert note.read(tmp_path, BOOT) == {1: ONE}


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "another program's"])
def test_what_is_no_note_is_left_alone(tmp_path: Path, what: str) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path = tmp_path / note.NAME
    match what:
        case "link":
            path.symlink_to(target)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            target = path
            path.write_text("precious")
    assert note.read(tmp_path, BOOT) == {}
    with pytest.raises(GuestError), note.opened(tmp_path, BOOT):
        pass
    assert target.read_text() == "precious"


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    with (
        note.opened(tmp_path, BOOT),
        pytest.raises(BusyError, match="another vecnet plugs into"),
        note.opened(tmp_path, BOOT),
    ):
        pass


def test_the_guests_user_can_go_on(tmp_path: Path) -> None:
    need_root()
    os.chown(tmp_path, 65534, 65534)
    with note.opened(tmp_path, BOOT):
        pass
    assert (tmp_path / note.NAME).stat().st_uid == 65534
