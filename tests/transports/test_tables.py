"""Every transport's tables, each line of them a test."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.transports.tables import check_header, check_mirror, check_misread, check_overhead, check_same, check_wrong
from vecnet.options import Severity
from vecnet.transports import TRANSPORTS

TABLES: dict[str, ModuleType] = {name: importlib.import_module(f"tests.transports.{name}") for name in TRANSPORTS}


def lines(table: str) -> pytest.MarkDecorator:
    """A test for each line of this table, of all transports."""

    def found() -> Iterator[object]:
        for name, module in TABLES.items():
            content = getattr(module, table)
            for line in content.items() if isinstance(content, dict) else content:
                yield pytest.param(name, line, id=f"{name}-{line[0]}")

    return pytest.mark.parametrize(("name", "line"), list(found()))


@lines("SAME")
def test_the_string_and_the_object(name: str, line: tuple[str, dict[str, object]]) -> None:
    text, options = line
    check_same(f"vec0:transport={name},{text}", TRANSPORTS[name](**options))  # type: ignore[arg-type]


@lines("MISREAD")
def test_what_a_guest_misreads(name: str, line: tuple[str, Severity, str, str | None]) -> None:
    check_misread(f"vec0:transport={name},", *line)


@lines("WRONG")
def test_what_is_refused(name: str, line: tuple[dict[str, object], str]) -> None:
    check_wrong(TRANSPORTS[name], *line)


@lines("MIRRORED")
def test_the_other_end(name: str, line: tuple[str, str]) -> None:
    text, other = line
    check_mirror(f"vec0:transport={name},{text}", f"vec0:transport={name},{other}")


@lines("OVERHEAD")
def test_the_bytes_around_the_packet(name: str, line: tuple[str, int]) -> None:
    check_overhead(f"vec0:transport={name},{line[0]}", line[1])


@lines("HEADER")
def test_the_bytes_before_the_frame(name: str, line: tuple[str, int]) -> None:
    check_header(f"vec0:transport={name},{line[0]}", line[1])
