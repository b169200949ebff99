"""What guests do: a table for each generation of their kernels, in a file of its own named like it, `uml_6_1.py`.

| file | subject |
|---|---|
| situation.py | the situations that a string can bring a guest into |
| guest.py | what a table has |
| judge.py | an option's text: what is meant, beside what the guest makes of it |
| agreed.py | what several generations do, said together |
| kernel.py | which generation a version or a binary is of |
| uml_….py | the tables: the first whole, each other as what differs from the one before |
"""

from __future__ import annotations

import importlib
import pkgutil

from vecnet.guests.guest import Guest
from vecnet.guests.situation import Case, Situation

__all__ = ["GENERATIONS", "Case", "Guest", "Situation"]

_PREFIX = "uml_"


def _generations() -> tuple[Guest, ...]:
    """The generations of all files, the oldest first. Raises ImportError where a file has none, or another's."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith(_PREFIX):
            guest = getattr(importlib.import_module(f"{__name__}.{module.name}"), "GUEST", None)
            if not isinstance(guest, Guest) or f"{_PREFIX}{guest}".replace(".", "_") != module.name:
                raise ImportError(f"vecnet/guests/{module.name}.py declares no GUEST of that version")
            found[guest.version] = guest
    return tuple(found[version] for version in sorted(found))


GENERATIONS = _generations()
