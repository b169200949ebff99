"""The transports of UML's vector driver, one file each. Every file of this folder is loaded and registers itself.

Each file says, in this order: the reference, the options with their ranges, what a guest does where they do not go
together, the header's size, the mirror, and what a topology's link of this transport becomes.
"""

from __future__ import annotations

import importlib
import pkgutil

from vecnet.transports.base import REGISTRY, Transport

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

TRANSPORTS: dict[str, type[Transport]] = dict(sorted(REGISTRY.items()))

__all__ = ["TRANSPORTS", "Transport"]
