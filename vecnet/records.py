"""Dataclasses that are frozen to whoever reads and to mypy, and cost little while the program runs.

`dataclasses` compiles six methods for each frozen one, which is most of a short command's time, and such an object is
then made by a call for each of its fields, three times as slowly as another: a large file makes a hundred thousand. A
record has its `__init__` compiled alone, and takes the assignments that mypy refuses. It is a dataclass all the same,
which is compared, hashed and shown by its values.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen, eq=True, order=False, **settings):
        """`dataclasses.dataclass`, as this file says."""

        def made(cls):
            own = vars(cls)
            cls = dataclasses.dataclass(repr=False, eq=False, **settings)(cls)
            every = dataclasses.fields(cls)
            if "__repr__" not in own:
                _show(cls, [one.name for one in every if one.repr])
            if eq:
                _compare(cls, [one.name for one in every if one.compare], frozen, order)
            return cls

        return made

    def _show(cls, names):
        def shown(self):
            return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

        cls.__repr__ = shown

    def _compare(cls, names, frozen, order):
        values = attrgetter(*names) if names else lambda _: ()

        def same(self, other):
            return values(self) == values(other) if type(other) is type(self) else NotImplemented

        def precedes(self, other):
            return values(self) < values(other) if type(other) is type(self) else NotImplemented

        def number(self):
            return hash(values(self))

        cls.__eq__ = same
        cls.__hash__ = number if frozen else None
        if order:
            cls.__lt__ = precedes


__all__ = ["record"]
