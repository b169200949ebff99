"""fd: the number of a descriptor that the guest inherits."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import (
    COMMON_SAME,
    COMMON_WRONG,
    FALLBACK,
    NOTE,
    REFUSED,
    Misread,
    Wrong,
)

SAME: dict[str, dict[str, Any]] = {
    "fd=0": {"fd": 0},
    "fd=1023": {"fd": "1023"},
    "fd=100,depth=2,mac=02:00:00:00:00:01,gro=1,mtu=600,headroom=1,vec=0": {
        "fd": 100,
        "depth": 2,
        "mac": "02:00:00:00:00:01",
        "gro": True,
        "mtu": 600,
        "headroom": 1,
        "vec": False,
    },
}
SAME |= {f"fd=100{text}": {"fd": 100, **options} for text, options in COMMON_SAME.items()}

MISREAD: Misread = [
    ("", REFUSED, "fd needs fd: opening the device fails: Invalid argument; add fd=, the descriptor's number", None),
    ("fd=0x10", REFUSED, "opening the device fails: Invalid argument; write 16", "fd=16"),
    ("fd=016", NOTE, "no mac", "fd=16"),
    ("fd=-1", REFUSED, "'-1' is not a whole number from 0 to 1023; opening the device fails", None),
    ("fd=7x", REFUSED, "write a whole number from 0 to 1023", None),
    ("fd=1024", FALLBACK, "'1024' is not a whole number from 0 to 1023; the guest takes it all the same", None),
]
WRONG: Wrong = [
    *(({"fd": 100, **options}, message) for options, message in COMMON_WRONG),
    ({"fd": -1}, "fd: '-1' is not a whole number from 0 to 1023"),
    ({"fd": 1024}, "fd: '1024' is not a whole number from 0 to 1023"),
    ({"fd": 3.0}, "fd: '3.0' is not a whole number from 0 to 1023"),
]
MIRRORED = {"fd=100,mac=02:00:00:00:00:10,vec=0": "fd=100,mac=02:00:00:00:00:11,vec=0"}
OVERHEAD = {"fd=100": 0}
HEADER = {"fd=100": 0}
