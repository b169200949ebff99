"""How much of a long list a test takes: `make test-long` takes all of it, `make test` a part that is spread over it."""

from __future__ import annotations

import os

_THOROUGH = os.environ.get("VECNET_THOROUGH") == "1"


def stride(usual: int) -> int:
    """How far apart the cases are that a test takes of a row of them."""
    return 1 if _THOROUGH else usual


def examples(usual: int) -> int:
    """How many examples are made up."""
    return usual * (5 if _THOROUGH else 1)
