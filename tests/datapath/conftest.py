"""Every test here has a network namespace of its own, with its loopback up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.host.network import ip, private_network
from tests.need import need_command, need_root

if os.environ.get("VECNET_SANITIZE") == "1":  # make sanitize
    from vecnet import _native

    assert "/.sanitize/" in _native.__file__, f"{_native.__file__} is not the module with sanitizers"
    os.environ.pop("LD_PRELOAD", None)  # for this process alone: the commands that tests run have mistakes of their own


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    need_command("ip")
    with private_network():
        ip("link", "set", "lo", "up")
        yield
