"""The tables of the generations, and which of them a kernel belongs to."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vecnet
from tests.traps.test_dead_ends import SLOW_IFUP
from tests.traps.test_generations import FACTS
from tests.uml import fetch
from vecnet.errors import InputError, Refused
from vecnet.guests import GENERATIONS, Case, Guest, Situation
from vecnet.guests.agreed import agreed, listed
from vecnet.guests.guest import ANY, Does, Steps
from vecnet.guests.kernel import EVERY, asked, of_version, read_version
from vecnet.options import FINE, Effect, Severity
from vecnet.vecstring import explain

FIRST, SECOND, NEWEST = GENERATIONS


def test_the_generations_that_the_guest_tests_boot() -> None:
    assert [str(guest) for guest in GENERATIONS] == list(fetch.GENERATIONS)


def rows(guest: Guest) -> list[Does]:
    found: list[Does] = []
    for by_option in guest.does.values():
        for row in by_option.values():
            found += row.values() if isinstance(row, Steps) else [row]
    return found


@pytest.mark.parametrize("guest", GENERATIONS, ids=str)
def test_every_row_is_a_sentence(guest: Guest) -> None:
    for row in rows(guest):
        assert row.message or row.severity is Severity.OK
        assert not row.message.endswith((".", ";", ":"))


@pytest.mark.parametrize(("older", "newer"), [*itertools.pairwise(GENERATIONS)], ids=str)
def test_a_later_table_says_only_what_differs(older: Guest, newer: Guest) -> None:
    """No row of the file repeats the one before it."""
    source = (Path(vecnet.__file__).parent / "guests" / f"uml_{newer}.py".replace(".", "_", 1)).read_text()
    changed = [
        (situation, key)
        for situation, by_option in newer.does.items()
        for key, row in by_option.items()
        if older.does.get(situation, {}).get(key) != row
    ]
    assert changed
    stated = source.count("Situation.")
    assert stated == len({situation for situation, _ in changed})


def test_what_no_row_says_is_a_fault_that_is_told() -> None:
    with pytest.raises(LookupError, match=r"the table of 6\.1 does not say what a guest does: ALONE tap\.ifname"):
        FIRST.effect("tap", Case(Situation.ALONE, "ifname"))


@pytest.mark.parametrize(
    ("version", "guest", "note"),
    [
        ("6.1", FIRST, ""),
        ("6.1.176", FIRST, ""),
        ("6.1.0-43-amd64", FIRST, ""),
        ("6.6.30", FIRST, ""),
        ("6.11-rc1", FIRST, ""),
        ("6.12", SECOND, ""),
        ("7.1", SECOND, ""),
        ("7.2.7", NEWEST, ""),
        ("7.3", NEWEST, "7.3 is newer than all that was measured, and taken for 7.2"),
        ("10.0", NEWEST, "10.0 is newer than all that was measured, and taken for 7.2"),
        ("5.10", FIRST, "5.10 is older than all that was measured, and taken for 6.1"),
    ],
)
def test_a_version_belongs_to_the_last_generation_up_to_it(version: str, guest: Guest, note: str) -> None:
    kernel = of_version(version)
    assert kernel.guests == (guest,)
    assert (kernel.stated, kernel.note) == (version, note)


@pytest.mark.parametrize("text", ["", "7", "seven", "7.2 ", "v7.2", "7.", ".7", "7.2\n", "99999.1", "7.2/x"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(Refused, match="is not a kernel's version"):
        of_version(text)


def program(folder: Path, text: str) -> str:
    file = folder / "linux"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def test_a_binary_is_asked(tmp_path: Path) -> None:
    linux = program(tmp_path, '[ "$1" = --version ] && echo 6.12.113')
    assert asked(linux).guests == (SECOND,)
    assert explain("vec0:transport=vde,vnl=slirp://", linux).kernels == ("6.12",)


@pytest.mark.parametrize("script", ["exit 1", "echo hello", "echo 'Linux 6.1'", "kill -9 $$", ":"])
def test_a_binary_that_does_not_say_it(tmp_path: Path, script: str) -> None:
    with pytest.raises(InputError, match="does not say its version"):
        asked(program(tmp_path, script))


@pytest.mark.parametrize("text", ["", "no-such-program", "./none", "/", "/etc/passwd", "a\0b"])
def test_what_is_no_program(text: str) -> None:
    with pytest.raises(InputError, match="is neither a kernel's version nor a program"):
        asked(text)


def test_a_binary_is_read_without_running_it(tmp_path: Path) -> None:
    file = tmp_path / "linux"
    file.write_bytes(b"\x7fELF" + bytes(5000) + b"Linux version 7.2.7 (gcc) #1\0" + bytes(500))
    assert read_version(str(file)) == "7.2.7"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    for none in ("fifo", "empty", "none", "."):
        assert read_version(str(tmp_path / none)) is None
    assert read_version("a\0b") is None


def test_a_real_kernel_says_the_same_both_ways() -> None:
    kernels = [path for name in fetch.GENERATIONS if (path := fetch.kernel(name))]
    for path in kernels:
        found = shutil.which(path)
        assert found is not None
        assert read_version(found) == asked(found).stated != ""


def test_what_all_do_is_said_once() -> None:
    effect = Effect(Severity.NOTE, "it works")
    assert agreed(dict.fromkeys(GENERATIONS, effect)) is effect


def test_where_they_part_each_is_named() -> None:
    lost = Effect(Severity.DROPS, "x: it is lost", "write y", lead="x: ")
    kept = Effect(Severity.NOTE, "x: it is kept", lead="x: ")
    both = agreed({FIRST: kept, SECOND: kept, NEWEST: lost})
    assert (both.severity, both.message, both.instead) == (
        Severity.DROPS,
        "x: 6.1 and 6.12: it is kept; 7.2: it is lost",
        "write y",
    )
    assert both.parts == ((("6.1", "6.12"), kept), (("7.2",), lost))
    assert agreed({FIRST: FINE, SECOND: lost}).message == "x: 6.1: as meant; 6.12: it is lost"


def test_a_list_of_names() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_a_transport_that_a_kernel_lacks_is_meant_for_others() -> None:
    text = "vec0:transport=vde,vnl=slirp://,mac=02:00:00:00:00:01"
    for_any, for_first, for_newest = explain(text), explain(text, "6.1"), explain(text, "7.2")
    assert for_any.as_meant
    assert for_any.kernels == ("6.12", "7.2")
    assert "6.1 has no transport vde: opening the device fails: Invalid argument" in str(for_any.effects)
    assert for_first.severity is Severity.REFUSED
    assert for_first.device is None
    assert for_newest.as_meant
    assert str(for_newest.device) == for_newest.mended == text
    assert "6.1" not in str(for_newest.effects)
    with pytest.raises(InputError, match=r"6\.1 has no transport vde"):
        vecnet.parse(text, "6.1")
    assert str(vecnet.parse(text)) == text


def test_what_was_meant_does_not_depend_on_the_kernel() -> None:
    text, meant = "vec0:transport=fd,fd=3,mac=2:0:0:0:a:1", "vec0:transport=fd,fd=3,mac=02:00:00:00:0a:01"
    assert {explain(text, kernel).mended for kernel in (None, "6.1", "6.12", "7.2")} == {meant}
    assert explain(text, "7.2").tokens[2].effect.message.endswith("the guest uses a random address")
    assert explain(text, "6.12").tokens[2].effect.message.endswith("the guest takes it for 02:00:00:00:0a:01")


def test_a_kernel_that_is_none() -> None:
    with pytest.raises(InputError, match="neither a kernel's version nor a program"):
        explain("vec0:transport=fd,fd=3", "six")


def test_every_kernel_is_all_generations() -> None:
    assert EVERY.guests == GENERATIONS
    assert EVERY.which_has("tap") is not None
    assert EVERY.which_has("vde").guests == (SECOND, NEWEST)
    assert of_version("6.1").which_has("vde").guests == (FIRST,)


def test_the_words_that_a_string_needs() -> None:
    gre, l2tp = "vec0:transport=gre,src=1.1.1.1,dst=1.1.1.2", "vec0:transport=l2tpv3,rx_session=1,tx_session=2"
    clear = ("init_on_alloc=1",)
    expected = {
        gre: (),
        f"{gre},rx_key=1,tx_key=2": clear,
        f"{gre},rx_key=1,tx_key=2,sequence=1": (),
        f"{l2tp},src=1.1.1.1,dst=1.1.1.2": clear,
        f"{l2tp},src=1.1.1.1,dst=1.1.1.2,udp=1,srcport=1,dstport=2": (),
        f"{l2tp},src=::1,dst=::2,v6=1": (),
        "vec0:transport=fd,fd=3": (),
    }
    for text, words in expected.items():
        assert explain(text).words == vecnet.parse(text).words == words
        assert explain(text).as_meant


TOY = '''
"""Guests with kernel 9.9, which this test made up."""

from vecnet.guests import uml_7_2
from vecnet.guests.guest import ANY, panics
from vecnet.guests.situation import Situation

GUEST = uml_7_2.GUEST.but((9, 9), {Situation.NO_MAC: {ANY: panics("the guest kernel wants an address, and panics")}})
'''


def copied(tmp_path: Path) -> Path:
    copy = tmp_path / "vecnet"
    shutil.copytree(Path(vecnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    return copy / "guests"


def run_copy(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    words = [f"{sys.prefix}/bin/python", "-c", code]
    env = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ImportError: vecnet/guests/uml_9_9.py declares no GUEST of that version"),
        (TOY.replace("(9, 9)", "(9, 8)"), "ImportError: vecnet/guests/uml_9_9.py declares no GUEST of that version"),
        ("GUEST = no", "NameError: name 'no' is not defined"),
    ],
)
def test_a_broken_generation_is_told(tmp_path: Path, text: str, says: str) -> None:
    (copied(tmp_path) / "uml_9_9.py").write_text(text)
    done = run_copy(tmp_path, "import vecnet.vecstring")
    assert done.returncode == 1
    assert says in done.stderr


def test_any_row_is_found() -> None:
    assert FIRST.effect("fd", Case(Situation.UNREADABLE, "nonsense")).message == "the guest falls back to its default"
    assert ANY in FIRST.does[Situation.UNREADABLE]


@pytest.mark.parametrize("guest", GENERATIONS, ids=str)
def test_the_tables_say_what_guests_showed(guest: Guest) -> None:
    """FACTS and SLOW_IFUP are held against real guests by tests/traps, so are the tables against these."""
    facts = FACTS[str(guest)]
    assert guest.legacy == facts.legacy
    assert guest.counts_all == facts.counts_all

    def does(situation: Situation, transport: str, option: str = "") -> bool:
        """Whether the guest does something worth a word."""
        return guest.effect(transport, Case(situation, option)).severity > Severity.OK

    assert does(Situation.FAILED_OPEN, "bess") == (facts.bess_again != "yes")
    assert facts.raw_again == "yes"
    assert not guest.effect("raw", Case(Situation.UNREADABLE, "ifname")).unopened
    assert does(Situation.DEEP, "raw", "depth") == facts.weight
    for transport, shown in SLOW_IFUP.items():
        assert does(Situation.IFUP, transport, "ifup") == (shown[str(guest)] == "lost")
