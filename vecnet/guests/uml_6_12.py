"""Guests with kernel 6.12: measured on Debian's user-mode-linux 6.12.113."""

from __future__ import annotations

from vecnet.guests import uml_6_1
from vecnet.guests.guest import ANY, drops, fine, note
from vecnet.guests.situation import Situation

_DEAD = drops("the device comes up, vde_plug finds no network, and every packet is lost")
GUEST = uml_6_1.GUEST.but(
    (6, 12),
    {
        Situation.FAILED_OPEN: {ANY: fine("it can be opened again")},
        Situation.MISSING: {"vde.vnl": _DEAD},
        Situation.UNREADABLE: {"vde.vnl": _DEAD},
        Situation.HELPER: {"vde": note("without it the device comes up all the same, and no packet passes")},
    },
    lacks=frozenset(),
    legacy=uml_6_1.GUEST.legacy - {"mcast", "ucast", "vde"},
)
