"""The kinds of host interfaces, found by `HostInterface.kind`. A new kind is a new file here.

| file | subject |
|---|---|
| base.py | what kinds share, and the questions that each answers |
| any other | the kind of its name; gretap.py has ip6gretap, too |
"""

from __future__ import annotations

import importlib
import pkgutil

from vecnet.host.kinds.base import REGISTRY, InterfaceKind

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

KINDS: dict[str, InterfaceKind] = dict(sorted(REGISTRY.items()))
BY_KERNEL_NAME: dict[str, InterfaceKind] = {kind.kernel_name: kind for kind in KINDS.values() if kind.kernel_name}

__all__ = ["BY_KERNEL_NAME", "KINDS", "InterfaceKind"]
