"""A folder for a moment goes with its process, or else with the next of the user's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vecnet.kernel import brief_folder
from vecnet.kernel.brief_folder import brief_tree

SCRIPT = """
import subprocess, sys, time
from vecnet.kernel.brief_folder import brief_tree
with brief_tree() as (folder, held):
    open(f"{folder}/variables.yml", "w").close()
    helper = subprocess.Popen(["sleep", "60"], pass_fds=(held,)) if sys.argv[1] == "helper" else None
    print(folder, helper.pid if helper else 0, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    brief_folder._swept.cache_clear()


def killed(helper: str) -> tuple[Path, int]:
    """What a process leaves that is killed: its folder, and its helper, which works in there."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT, helper], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder, _, pid = process.stdout.readline().rpartition(" ")
        process.kill()
    return Path(folder), int(pid)


def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else(tmp_path: Path) -> None:
    left, _ = killed("")
    (tmp_path / "outside").mkdir()
    (left / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "kept").touch()
    assert (left / "variables.yml").exists()
    with brief_tree() as (folder, _):
        assert not left.exists()
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        brief_folder._swept.cache_clear()
        with brief_tree():
            assert Path(folder).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"]
    assert (tmp_path / "outside" / "kept").exists()


def test_a_folder_is_held_by_whoever_works_in_it(tmp_path: Path) -> None:
    left, helper = killed("helper")
    try:
        with brief_tree():
            assert (left / "variables.yml").exists()
    finally:
        os.kill(helper, signal.SIGKILL)
    for _ in range(500):  # it is nobody's child here, and its end is not waited for
        brief_folder._swept.cache_clear()
        with brief_tree():
            if not left.exists():
                break
    assert not list(tmp_path.iterdir())
