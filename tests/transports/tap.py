"""tap: one interface, and a virtio-net header."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import (
    COMMON_SAME,
    COMMON_WRONG,
    FALLBACK,
    REFUSED,
    Misread,
    Wrong,
)

SAME: dict[str, dict[str, Any]] = {
    "ifname=tap0": {"ifname": "tap0"},
    "ifname=fifteen-bytes-x": {"ifname": "fifteen-bytes-x"},
    "ifname=zwölf_größe.": {"ifname": "zwölf_größe."},  # 15 bytes
    "ifname=tap0,ifup=/etc/uml/ifup": {"ifname": "tap0", "ifup": "/etc/uml/ifup"},
    "ifname=tap0,mac=02:00:00:00:ab:cd": {"ifname": "tap0", "mac": "02:00:00:00:AB:CD"},
    "ifname=tap0,ifup=up,depth=2,mac=02:00:00:00:00:01,gro=1,mtu=600,headroom=1,vec=0": {
        "ifname": "tap0",
        "ifup": "up",
        "depth": "0x2",
        "mac": "02:00:00:00:00:01",
        "gro": "on",
        "mtu": "600",
        "headroom": 1,
        "vec": "no",
    },
}
SAME |= {f"ifname=tap0{text}": {"ifname": "tap0", **options} for text, options in COMMON_SAME.items()}

MISREAD: Misread = [
    ("", FALLBACK, "needs ifname: the guest makes a tap with a random name", None),
    ("ifname=sixteen-bytes-xy", FALLBACK, "takes it for sixteen-bytes-x; shorten it", "ifname=sixteen-bytes-x"),
    ("ifname=a/b", REFUSED, "'a/b' is not an interface name of 1 to 15 bytes without '/' and ':'", None),
    ("ifname=..", REFUSED, "opening the device fails: Invalid argument", None),
    ("ifname=tap%d", REFUSED, "fails: Invalid argument; choose a name without it", None),
    ('ifname=ta"p', REFUSED, "which joins words on a kernel's command line", None),
    ("ifname=,depth=2", REFUSED, "the value is empty", None),
    ("if_name=tap0", FALLBACK, "the guest makes a tap with a random name", "ifname=tap0"),
    ("iface=tap0", FALLBACK, "the guest makes a tap with a random name", "ifname=tap0"),
]
WRONG: Wrong = [
    *(({"ifname": "tap0", **options}, message) for options, message in COMMON_WRONG),
    ({"ifname": ""}, "ifname: the value is empty, expected an interface name of 1 to 15 bytes"),
    ({"ifname": "sixteen-bytes-xy"}, "has 16 bytes, and an interface name has at most 15; shorten it"),
    ({"ifname": "zwölf_größe._"}, "has 16 bytes"),
    ({"ifname": "a,b"}, "holds a ',', which a vec string cannot carry; choose a name without it"),
    ({"ifname": "a=b"}, "holds a '='"),
    ({"ifname": "a b"}, "holds a ' ', at which a kernel's command line ends the string"),
    ({"ifname": "à la"}, "holds a 'à', at which a kernel's command line ends the string"),
    ({"ifname": "a\x01"}, "which cannot be printed"),
    ({"ifname": "tap0", "ifup": "sh -c x"}, "ifup: 'sh -c x' holds a ' '"),
    ({"ifname": "a/b", "depth": 0}, "ifname: 'a/b' is not"),
    ({"ifname": "a/b", "depth": 0}, "depth: '0' is not"),
]
MIRRORED = {
    "ifname=tap0,gro=1": "ifname=tap0,gro=1",
    "ifname=tap0,mac=02:00:00:00:00:10": "ifname=tap0,mac=02:00:00:00:00:11",
    # of this address the lowest bit cannot be cleared: nothing has the address zero
    "ifname=tap0,mac=00:00:00:00:00:01": "ifname=tap0,mac=00:00:00:00:00:01",
}
OVERHEAD = {"ifname=tap0": 0}
HEADER = {"ifname=tap0": 10}  # struct virtio_net_hdr
