"""Under `make sanitize` every test has the module that is built with sanitizers."""

from __future__ import annotations

import os

from vecnet import _native

if os.environ.get("VECNET_SANITIZE") == "1":
    assert "/.sanitize/" in _native.__file__, f"{_native.__file__} is not the module with sanitizers"
