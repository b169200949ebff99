"""What a test needs from the machine: missing on a laptop it skips with its reason, in CI it fails."""

from __future__ import annotations

import os
import shutil

import pytest


def need(condition: object, reason: str) -> None:
    """Go on if `condition` holds; otherwise skip, or fail where CI=true."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have what this test needs: {reason}")
    pytest.skip(reason)


def need_root() -> None:
    need(os.geteuid() == 0, "needs root, to make network namespaces")


def need_command(*names: str) -> None:
    for name in names:
        need(shutil.which(name), f"needs the command {name}")
