"""The real executable, as a shell starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EXECUTABLE = Path(sys.executable).with_name("vecnet")
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
LAB = TOPOLOGIES / "lab.yaml"
TAP = TOPOLOGIES / "tap.yaml"


def environment(**variables: str) -> dict[str, str]:
    """This environment without what changes how vecnet speaks, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VECNET", "_VECNET", "COLUMNS"))}
    return kept | variables


def vecnet(
    *words: str | Path, env: dict[str, str] | None = None, input: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `vecnet` to its end; nothing that it does may end in a traceback or a fault of its own."""
    if input is None:
        options.setdefault("stdin", subprocess.DEVNULL)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [EXECUTABLE, *words],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
        env=environment(**env or {}),
        input=input,
        timeout=60,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "fault of its own" not in done.stderr, done.stderr
    assert done.returncode in (0, 1, 2), (done.returncode, done.stderr)
    return done


def answer(*words: str | Path, **options: Any) -> str:
    """What a command that succeeds answers; it says nothing else."""
    done = vecnet(*words, **options)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def refused(*words: str | Path, **options: Any) -> str:
    """What a command says of input that is wrong; it answers nothing."""
    done = vecnet(*words, **options)
    assert done.returncode == 2, done.stdout
    assert not done.stdout
    return done.stderr
