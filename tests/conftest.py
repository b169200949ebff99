"""Under `make sanitize` every test has the module that is built with sanitizers. Signals are as in the foreground."""

from __future__ import annotations

import os
import signal

from vecnet import _native

if os.environ.get("VECNET_SANITIZE") == "1":
    assert "/.sanitize/" in _native.__file__, f"{_native.__file__} is not the module with sanitizers"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has it so for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
