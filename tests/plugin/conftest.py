"""A project with tests, run by pytest in a process of its own: as root, and as a user without any capability."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.need import need, need_command, need_root

LAB = """
name: lab
links:
  - transport: gre
    endpoints:
      a:vec0: {local: 127.0.0.11}
      b:vec0: {local: 127.0.0.12}
"""
NETWORK = ("unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")  # no capability, as after a login

Pytest = Callable[..., pytest.RunResult]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What pytest promises is asked as a user, and as root by `make test-long`."""
    for item in items:
        if item.path.name == "test_promises.py" and "[root" in item.name:
            item.add_marker("long")


@pytest.fixture(params=["root", "user"])
def user(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What a command line begins with, for each kind of user."""
    need_root()
    need_command("ip", "unshare", "sh")
    if request.param == "root":
        return NETWORK
    allowed = subprocess.run([*USER, "unshare", "--user", "true"], capture_output=True, check=False)
    need(allowed.returncode == 0, "needs user namespaces")
    return (*NETWORK, *USER)


PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
QUICK = ("-p", "no:asyncio", "-p", "no:hypothesispytest")  # they take a second to import


@pytest.fixture
def words(user: tuple[str, ...]) -> tuple[str, ...]:
    """The command line of pytest."""
    return (*user, *PYTEST, *QUICK)


@pytest.fixture
def run(pytester: pytest.Pytester, words: tuple[str, ...]) -> Iterator[Pytest]:
    """Write a test file, which has lab.yaml beside it, and run pytest. Nothing may be left behind."""
    pytester.path.joinpath("lab.yaml").write_text(LAB)

    def run(source: str, *more: str, stdin: bytes | None = None) -> pytest.RunResult:
        pytester.makepyfile(test_it=source)
        return pytester.run(*words, *more, stdin=stdin if stdin is not None else pytester.CLOSE_STDIN)

    yield run
    assert_nothing_left(pytester.path)


def assert_nothing_left(folder: Path) -> None:
    """No process that was started in the folder lives on."""
    deadline = time.monotonic() + 60
    while left := [process for process in Path("/proc").glob("[0-9]*") if _works_in(process, folder)]:
        assert time.monotonic() < deadline, [(one / "cmdline").read_bytes() for one in left]
        time.sleep(0.05)


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder) and int(process.name) != os.getpid()
    except OSError:
        return False
