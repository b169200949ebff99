"""The booted kernel is the one that was asked for, and has what the machine's own lacks."""

from __future__ import annotations

import os
import platform

import pytest

from tests.need import need

pytestmark = pytest.mark.kernel


def test_runs_on_debians_kernel() -> None:
    need("VECNET_KERNEL" in os.environ, "needs the kernel that make test-kernel boots")
    assert platform.release() == os.environ["VECNET_KERNEL"]
