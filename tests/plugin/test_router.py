"""The example of a guest under test, run as its own words say, in a copy of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.cli.command import environment
from tests.need import need_command

EXAMPLE = Path(__file__).parents[2] / "examples" / "router"


def test_a_real_guest_is_tested_as_a_router(tmp_path: Path) -> None:
    need_command("linux.uml")
    folder = shutil.copytree(EXAMPLE, tmp_path / "router", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
