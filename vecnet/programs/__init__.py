"""The programs that a link's end `outside:NAME` names, one file each and named like it, loaded when it is asked for.

Each file says what may be written at that end, how the program is started, and what it shows once it is there. Nothing
else in vecnet knows a program by its name.

| file | subject |
|---|---|
| base.py | what every program has |
| keys.py | the kinds of values that several take: forwarded ports, a network |
| process.py | a program's process: its words, its end |
| any other | one program |
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from vecnet.programs.base import REGISTRY, Program

_SHARED = {"base", "keys", "process"}  # the files that are no program


class _Programs(Mapping[str, type[Program]]):
    """The programs by name."""

    _names = tuple(sorted({module.name for module in pkgutil.iter_modules(__path__)} - _SHARED))

    def __getitem__(self, name: str) -> type[Program]:
        if name not in self._names:
            raise KeyError(name)
        if name not in REGISTRY:
            importlib.import_module(f"{__name__}.{name}")
            if name not in REGISTRY:
                raise ImportError(f"vecnet/programs/{name}.py declares no program of that name")
        return REGISTRY[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


PROGRAMS: Mapping[str, type[Program]] = _Programs()

__all__ = ["PROGRAMS", "Program"]
