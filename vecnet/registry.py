"""Classes that lie a file each in a package, found by name and loaded when they are asked for.

A command loads those that its input names: to load all would be most of a short command's time.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Registry(Mapping[str, type[T]]):
    """The classes by name. Loading a file puts its class into `declared`; the files named in `shared` have none."""

    def __init__(self, package: str, path: Iterable[str], declared: Mapping[str, type[T]], shared: Collection[str]):
        self._package, self._declared = package, declared
        self._names = tuple(sorted({module.name for module in pkgutil.iter_modules(path)} - {*shared}))

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._declared:
            importlib.import_module(f"{self._package}.{name}")
            file = f"{self._package.replace('.', '/')}/{name}.py"
            if name not in self._declared:
                what = self._package.rpartition(".")[2].removesuffix("s")
                raise ImportError(f"{file} declares no {what} of that name")
            if lacking := getattr(self._declared[name], "__abstractmethods__", None):
                raise ImportError(f"{file} lacks {', '.join(sorted(lacking))}")
        return self._declared[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
