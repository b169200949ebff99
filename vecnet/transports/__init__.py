"""The transports of UML's vector driver, one file each and named like it, loaded when the transport is asked for.

Each file says, in this order: the reference, the options with their ranges, where they do not go together, the header's
size, the mirror, what a topology's link of this transport becomes, and what is asked of its wires elsewhere. What a
guest does where options do not go together is said in `vecnet/guests/`.

| file | subject |
|---|---|
| base.py | what every transport has: common options, the registry, the questions that each answers |
| answers.py | the answers, as data |
| link.py | a topology's link, and what a transport makes of it |
| tunnel.py | what gre and l2tpv3 share |
| any other | one transport |
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from vecnet.transports.base import REGISTRY, Transport

_SHARED = {"answers", "base", "link", "tunnel"}  # the files that are no transport


class _Transports(Mapping[str, type[Transport]]):
    """The transports by name. A command loads those that its input names, which is most of a short command's time."""

    _names = tuple(sorted({module.name for module in pkgutil.iter_modules(__path__)} - _SHARED))

    def __getitem__(self, name: str) -> type[Transport]:
        if name not in self._names:
            raise KeyError(name)
        if name not in REGISTRY:
            importlib.import_module(f"{__name__}.{name}")
            if name not in REGISTRY:
                raise ImportError(f"vecnet/transports/{name}.py declares no transport of that name")
        return REGISTRY[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


TRANSPORTS: Mapping[str, type[Transport]] = _Transports()

__all__ = ["TRANSPORTS", "Transport"]
