"""hybrid: a tap to send and a packet socket to receive; its options are tap's."""

from __future__ import annotations

from tests.transports.tables import (
    FALLBACK,
    IGNORED,
    REFUSED,
    Misread,
)
from tests.transports.tap import HEADER, MIRRORED, OVERHEAD, SAME, WRONG

MISREAD: Misread = [
    ("", REFUSED, "needs ifname: opening the device fails: Invalid argument", None),
    ("ifname=sixteen-bytes-xy", FALLBACK, "takes it for sixteen-bytes-x; shorten it", "ifname=sixteen-bytes-x"),
    ("ifname=tap0,bpffile=x", IGNORED, "hybrid knows no such option, but raw does: it is ignored", "ifname=tap0"),
]
__all__ = ["HEADER", "MIRRORED", "MISREAD", "OVERHEAD", "SAME", "WRONG"]
