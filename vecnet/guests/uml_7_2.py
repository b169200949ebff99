"""Guests with kernel 7.2: measured on Debian's user-mode-linux 7.2.7."""

from __future__ import annotations

import re

from vecnet.guests import uml_6_12
from vecnet.guests.guest import ANY, note, refused
from vecnet.guests.situation import Situation
from vecnet.values import Mac


def _two_digits_each(text: str) -> str | None:
    """A MAC address of two digits each; what stands behind the last two is not looked at."""
    found = re.match(r"(?i:[0-9a-f]{2}(:[0-9a-f]{2}){5})", text)
    return found.group().lower() if found else None


GUEST = uml_6_12.GUEST.but(
    (7, 2),
    {
        Situation.TOKENS: {ANY: refused("the guest has room for 20 tokens, and refuses the device")},
        Situation.IFUP: {
            "tap": note(
                "the guest does not wait for it: IPv6 sends at once, and on a tap that is down that ends the device"
            )
        },
    },
    misreadings={Mac: _two_digits_each},
    legacy=frozenset(),
    counts_all=False,
)
