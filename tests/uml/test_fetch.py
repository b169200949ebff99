"""The guest kernels that `make deps` fetches: which generation is which, and that what is there is left alone."""

from __future__ import annotations

import pytest

from tests.need import need
from tests.uml import fetch
from tests.uml.guest import Kernel


def test_a_version_belongs_to_the_generation_at_or_below_it() -> None:
    versions = ["5.15", "6.1.176", "6.6", "6.12um1+b22", "7.1", "7.2.7", "8.0"]
    assert [fetch.generation(version) for version in versions] == ["", "6.1", "6.1", "6.12", "6.12", "7.2", "7.2"]
    assert fetch.generation("") == ""


def test_the_oldest_kernel_of_a_host_is_there() -> None:
    path = fetch.kernel(fetch.OLDEST)
    need(path, "needs the kernel of Debian 11: make deps")
    assert fetch.version(str(path)).startswith(fetch.OLDEST)
    assert all((fetch.GUESTS / fetch.OLDEST / name).exists() for name in fetch.MODULES)


def test_what_is_there_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    for name in fetch.GENERATIONS:
        assert Kernel.of(name).generation == name
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in fetch.GUESTS.glob("*/*")}
    assert fetch.main() == 0
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in fetch.GUESTS.glob("*/*")} == before
    assert capfd.readouterr() == ("", "")
