"""Every test here has a network namespace of its own, with its loopback up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.network import ip, private_network
from tests.need import need_command, need_root


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    need_command("ip")
    with private_network():
        ip("link", "set", "lo", "up")
        yield
