"""The example of a systemd unit: systemd takes it, and what it starts is what there is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.cli.command import EXECUTABLE
from tests.need import need

UNIT = Path(__file__).parents[2] / "examples" / "systemd" / "vecnet@.service"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """systemd-analyze, where the machine has it; it finds the command by its whole path alone."""
    need(shutil.which("systemd-analyze"), "needs systemd-analyze, of the package systemd")
    here = tmp_path / UNIT.name.replace("@", "@rootless")
    here.write_text(UNIT.read_text().replace("ExecStart=vecnet", f'ExecStart="{EXECUTABLE}"'))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", here], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if here.name in line]
    assert said == []


def test_what_it_starts_is_a_command_that_tells_systemd() -> None:
    text = UNIT.read_text()
    assert "ExecStart=vecnet serve " in text
    assert "Type=notify\n" in text
    assert "ExecReload=kill -HUP $MAINPID" in text
