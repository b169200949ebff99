"""The numbers of users and groups within a user namespace.

/etc/passwd and /etc/group have the numbers of the system. In a user namespace that has others, a number of the system
that means nobody there may still be somebody there by another number: the caller itself, say, who is its root.

Source: user_namespaces(7), "User and group ID mappings".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal


def number_here(number: int, of: Literal["uid", "gid"]) -> int:
    """The number in this user namespace of the account that has `number` in the system."""
    found = _mapped(number, of)
    return number if found is None else found


def sudo_caller() -> int | None:
    """The number here of the user that sudo was called by; None where it was not, or by root (sudo(8), SUDO_UID)."""
    said = os.environ.get("SUDO_UID", "")
    number = int(said) if said.isascii() and said.isdigit() and len(said) <= len(str(2**32)) else 0
    return _mapped(number, "uid") if os.geteuid() == 0 < number < 2**32 - 1 else None


def _mapped(number: int, of: Literal["uid", "gid"]) -> int | None:
    """The same, or None where nobody in this namespace has it."""
    # lines of: the first number here, the first in the namespace around it, and how many there are
    ranges = [tuple(map(int, line.split())) for line in Path(f"/proc/self/{of}_map").read_text().splitlines()]
    if any(here <= number < here + count for here, _, count in ranges):
        return number
    return next((here + number - out for here, out, count in ranges if out <= number < out + count), None)
