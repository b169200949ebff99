"""The transports of UML's vector driver, one file each and named like it, loaded when the transport is asked for.

Each file says, in this order: the reference, the options with their ranges, where they do not go together, the header's
size, and what a topology's link of this transport becomes. What a guest does then is said in `vecnet/guests/`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from vecnet.transports.base import REGISTRY, Transport

_SHARED = {"base", "link", "tunnel"}  # the files that are no transport


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
