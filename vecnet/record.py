"""Dataclasses of which a large file makes thousands: frozen to whoever reads and to mypy, and made as fast as others.

A dataclass that is frozen while the program runs is made by a call for each of its fields, which takes three times as
long. So that part of `frozen` is left out, and what it brings besides is kept: such an object is compared and hashed by
its values.
"""

from __future__ import annotations

import dataclasses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen, **settings):
        """`dataclasses.dataclass`, as this file says."""
        return dataclasses.dataclass(unsafe_hash=frozen, **settings)


__all__ = ["record"]
