"""The house: imports go downward, there is no circle, and the two wings never meet.

All imports count, also those within functions and under TYPE_CHECKING: who reads a file must know what it imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vecnet

ROOT = Path(vecnet.__file__).parent

# room: its floor. A new room has to say here where it stands.
FLOORS = {
    "text": 0,
    "errors": 0,
    "records": 0,
    "columns": 1,
    "plain": 1,
    "registry": 1,
    "progress": 1,
    "svg": 1,
    "values": 1,
    "options": 1,
    "impairment": 1,
    "expectation": 1,
    "runtime": 2,
    "mconsole": 2,
    "kernel": 2,
    "guests": 2,
    "transports": 3,
    "sandbox": 3,
    "signals": 3,
    "programs": 4,
    "contained": 4,
    "vecstring": 4,
    "host": 4,
    "legacy": 4,
    "commandline": 4,
    "topology": 5,
    "datapath": 5,
    "serving": 6,
    "loopback": 6,
    "launch": 6,
    "plugging": 6,
    "graph": 6,
    "export": 6,
    "lab": 6,
    "fleet": 7,
    "bench": 7,
    "doctor": 7,
    "capture": 7,
    "observing": 7,
    "pytest_plugin": 7,
    "cli": 8,
    "__main__": 9,
}
FACE = "vecnet"  # vecnet/__init__.py: what a user of the library sees, over all that it hands out
COMPILED = "vecnet._native"
MOST_FLOORS_IN_HOST = 8


def module(path: Path) -> str:
    """A file's dotted name, that of its package for an __init__.py."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imports(name: str) -> frozenset[str]:
    """The modules of vecnet that a file imports, wherever in the file."""
    return frozenset(_named(ast.parse(FILES[name].read_text()))) - {name}


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(COMPILED):
                continue
            while name and name not in FILES:  # a class, a function: of the module before it
                name = name.rpartition(".")[0]
            if name:
                yield name


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else FACE


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in FILES} == {*FLOORS, FACE}


@pytest.mark.parametrize("name", sorted(FILES))
def test_imports_go_downward(name: str) -> None:
    if room(name) == FACE:
        return
    too_high = {
        other
        for other in imports(name)
        if room(other) != FACE and FLOORS[room(other)] > FLOORS[room(name)] and room(other) != room(name)
    }
    assert not too_high, f"{name} is on floor {FLOORS[room(name)]} and imports {', '.join(sorted(too_high))}"


def test_only_the_upper_floors_use_the_librarys_face() -> None:
    users = {room(name) for name in FILES if FACE in imports(name)}
    assert {other for other in users if FLOORS[other] < FLOORS["loopback"]} == set()


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter({name: imports(name) for name in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_wings_never_meet() -> None:
    for here, there in (("host", "datapath"), ("datapath", "host")):
        met = {name for name in FILES if room(name) == here for other in imports(name) if room(other) == there}
        assert met == set()


def test_the_kernels_floor_has_no_word_of_vecnet() -> None:
    known = {other for name in FILES if room(name) == "kernel" for other in imports(name)}
    assert {room(other) for other in known} <= {"kernel", "errors", "records"}


def test_the_host_is_not_deep() -> None:
    assert max(map(depth, (name for name in FILES if room(name) == "host"))) <= MOST_FLOORS_IN_HOST


@cache
def depth(name: str) -> int:
    """How many files of its room stand on each other below a file, itself among them."""
    return 1 + max((depth(other) for other in imports(name) if room(other) == room(name)), default=0)


@pytest.mark.parametrize("package", sorted(name for name, path in FILES.items() if path.name == "__init__.py"))
def test_a_folder_has_a_table_of_its_files(package: str) -> None:
    doc = ast.get_docstring(ast.parse(FILES[package].read_text())) or ""
    rows = [line for line in doc.splitlines() if line.startswith("| ")]
    files = {path.name for path in FILES[package].parent.glob("*.py")} - {"__init__.py", "__main__.py"}
    rest = any(row.startswith("| any") for row in rows)
    missing = {name for name in files if not rest and not any(name in row for row in rows) and name[:4] != "uml_"}
    assert rows
    assert not missing
