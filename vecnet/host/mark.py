"""The mark on all that vecnet makes: the kernel's own state is the only journal.

1. An interface is made with its group set (IFLA_GROUP) to `group(topology)`: from its first moment it is known as ours.
2. Its alias follows in a second message, since none is taken at creation: "vecnet TOPOLOGY LINK home=COOKIE". A veth
   pair's second end says so. `home` is the network namespace that it was made from, by its cookie: so two namespaces
   that each have a topology of one name do not remove each other's, and what somebody moves is still known.
3. Ours and whole: the alias says so. Ours but half made by a killed run: the group says so, and the alias is empty.
   Where somebody wrote another alias the group says that it is ours, and of which link is known no more.
4. `is` in the alias has what `up` made, a few letters for each value (plan.fingerprint): without the topology's file it
   is told that a value was changed, and which.
5. An l2tp tunnel has no group: its peer's tunnel id, which no packet of L2TPv3 carries, is `group(topology)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from urllib.parse import quote, unquote

from vecnet.records import record

_MARKED = 0x76000000  # "v" in the highest byte: far from the groups that people give
_DOOMED = 0x00800000
_MASK = 0xFF7FFFFF
MADE = "is"  # the note of what was made
ALIAS_MAX = 255  # IFALIASZ of linux/if.h, without the closing NUL
_SAFE = ":/@_.-"


@lru_cache
def group(topology: str, home: int | None = None) -> int:
    """The interface group of a topology. `home` is the cookie of the namespace it belongs to, where that is another."""
    text = topology if home is None else f"{topology}\0{home}"
    return _MARKED | int.from_bytes(hashlib.sha256(text.encode()).digest()[:3], "big") & 0x7FFFFF


def doomed(number: int) -> int:
    """The group of interfaces that are about to be deleted together: still a mark of the same topology."""
    return number | _DOOMED


def undoomed(number: int) -> int:
    """The mark behind a group, whether its interfaces are about to be deleted or not."""
    return number & _MASK


@record(frozen=True, slots=True)
class Mark:
    """What an alias says: the topology, the link, whether this is a pair's second end, the home namespace, and notes of
    what cannot be read back."""

    topology: str
    link: str
    peer: bool = False
    home: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        words = ["vecnet", quote(self.topology, _SAFE), quote(self.link, _SAFE)]
        if self.peer:
            words.append("peer")
        if self.home is not None:
            words.append(f"home={self.home}")
        words += [f"{key}={value}" for key, value in self.notes.items()]
        longer = len(" ".join(words)) - ALIAS_MAX
        if longer > 0:
            words[2] = words[2][:-longer]
        return " ".join(words)


def read(alias: str) -> Mark | None:
    """The mark in an interface's alias, None where it is not vecnet's."""
    words = alias.split(" ")
    if len(words) < 3 or words[0] != "vecnet":
        return None
    if len(words) == 3 and "%" not in alias:
        return Mark(words[1], words[2])
    notes = dict(word.split("=", 1) for word in words[3:] if "=" in word)
    home = notes.pop("home", "")
    topology, link = (unquote(word) if "%" in word else word for word in words[1:3])
    return Mark(topology, link, "peer" in words[3:], int(home) if home.isdigit() else None, notes)
