"""Under `make sanitize` every test has the module that is built with sanitizers. Signals are as in the foreground.

What boots guests does so with every generation of their kernel, or with the one that UML_KERNEL names; under
sanitizers with the newest alone, since they look at vecnet, not at guests.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.uml.fetch import GENERATIONS, path
from tests.uml.guest import Kernel
from vecnet import _native

SANITIZED = os.environ.get("VECNET_SANITIZE") == "1"
CHOSEN = os.environ.get("UML_KERNEL")
os.environ["PATH"] = path()
KERNELS = [CHOSEN] if CHOSEN else GENERATIONS[-1:] if SANITIZED else GENERATIONS

if SANITIZED:
    assert "/.sanitize/" in _native.__file__, f"{_native.__file__} is not the module with sanitizers"


def _as_in_the_foreground() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has it so for what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # and nohup has it so
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


_as_in_the_foreground()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where all generations do the same, the older ones are for `make test-long`."""
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if item.get_closest_marker("alike") and params.get("kernel", KERNELS[-1]) != KERNELS[-1]:
            item.add_marker("long")


@pytest.fixture(autouse=True)
def foreground() -> None:
    """Also after a test that left it otherwise."""
    _as_in_the_foreground()


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """The kernel of a module's guests: the tests that use it run once with each generation."""
    return Kernel.of(request.param)
