"""Broken topologies: each mistake is found alone, at its place, with a sentence and what to write instead."""

from __future__ import annotations

import pathlib
import sys

import pytest

from tests.topology.broken import CASES, MARK, TABLES
from tests.topology.broken.texts import tap, two_taps
from vecnet.errors import InputError, Problem
from vecnet.topology import load, loads


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InputError) as caught:
        loads(text, path="lab.yaml", underlay=lambda *_: 1500)
    return caught.value.problems


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_alone(name: str) -> None:
    marked, sentence, instead = CASES[name]
    before, found, after = marked.partition(MARK)
    assert found
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    (problem,) = problems(before + after)
    assert problem.where is not None
    if name != "nested too deeply":  # libyaml and PyYAML's own scanner stop at different depths
        assert str(problem.where) == f"lab.yaml:{line}:{column}", problem
    assert sentence in problem.message
    assert instead in problem.instead
    assert bool(instead) <= bool(problem.instead)


def test_many_mistakes() -> None:
    assert len(CASES) == sum(map(len, TABLES)) >= 40  # no name is used twice


def test_every_mistake_at_once_in_the_order_of_the_file() -> None:
    text = (
        "nmae: lab\nlinks:\n  - transport: tap\n    depth: 0\n    endpoints: [web:eth0, host:tap0]\n"
        "  - transport: gree\n    endpoints: [a:vec0, b:vec0]\n"
        "  - transport: raw\n    endpoints:\n      a:vec1: {mac: x}\n      host:a-name-that-is-long: {}\n"
        "bridges: {lan: {ip: 10.0.0.1}}\n"
    )
    found = problems(text)
    assert [p.where.line for p in found if p.where] == [1, 4, 5, 6, 10, 11, 12]
    with pytest.raises(InputError) as caught:
        loads(text, path="lab.yaml")
    assert str(caught.value).splitlines()[0] == "lab.yaml:1:1: a topology has no key 'nmae'; did you mean name?"


def test_a_mistake_that_an_alias_repeats_is_told_once() -> None:
    (problem,) = problems(two_taps("&web {ip: 10.0.0.2}", "*web"))
    assert str(problem.where) == "lab.yaml:4:27"


FILES = {
    "binary": (b"\x7fELF\x02\x01\x01\x00", "U+007F cannot stand in a YAML file", True),
    "latin-1": ("name: lab\n# Gerät\n".encode("latin-1"), "not text in UTF-8", True),
    "cut short": (b"\xff\xfea\x00b", "not text in UTF-8", True),
    "huge": (b"#" * (16 * 2**20 + 1), "is larger than 16 MiB", False),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_text(name: str, tmp_path: pathlib.Path) -> None:
    content, sentence, placed = FILES[name]
    file = tmp_path / "lab.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"lab\.yaml") as caught:
        load(file)
    (problem,) = caught.value.problems
    assert sentence in problem.message
    assert (problem.where is not None) == placed


def test_the_place_of_a_bad_byte(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_bytes("name: lab\n# Gerät\n".encode("latin-1"))
    with pytest.raises(InputError) as caught:
        load(file)
    assert str(caught.value.problems[0].where) == f"{file}:2:6"


def test_files_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none.yaml", "No such file"), ("a\0b", "null byte")):
        with pytest.raises(InputError, match=reason):
            load(path)


def test_a_file_name_that_names_no_topology() -> None:
    with pytest.raises(InputError, match="named after its file, and 'my lab' is not a name"):
        loads(tap(), path="my lab.yaml")


def test_aliases_of_aliases_do_not_hang() -> None:
    """A billion laughs: nine levels of nine aliases each, as lists and as merges."""
    lists = ["l0: &l0 [a]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert len(problems("\n".join(lists) + "\nlinks: *l9\n")) >= 10
    merges = ["m0: &m0 {depth: 128}"] + [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 10)]
    assert len(problems("\n".join(merges) + "\ndefaults: *m9\n" + tap())) == 10


@pytest.mark.parametrize(
    "text", ["links: &a [*a]\n", "links: &a\n  - &b {transport: tap, endpoints: *b}\n", "&a {<<: *a}"]
)
def test_a_value_that_holds_itself_ends(text: str) -> None:
    limit = sys.getrecursionlimit()
    assert problems(text)
    assert sys.getrecursionlimit() == limit
