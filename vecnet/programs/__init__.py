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

from collections.abc import Mapping

from vecnet.programs.base import REGISTRY, Program
from vecnet.registry import Registry

_SHARED = {"base", "keys", "process"}  # the files that are no program
PROGRAMS: Mapping[str, type[Program]] = Registry(__name__, __path__, REGISTRY, _SHARED)

__all__ = ["PROGRAMS", "Program"]
