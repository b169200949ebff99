"""bess: the paths of two Unix sockets."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import (
    COMMON_SAME,
    COMMON_WRONG,
    IGNORED,
    REFUSED,
    Misread,
    Wrong,
)

LONGEST = "/run/" + "x" * 102  # 107 bytes
SAME: dict[str, dict[str, Any]] = {
    "dst=/run/bess,src=/run/uml": {"dst": "/run/bess", "src": "/run/uml"},
    f"dst={LONGEST},src={LONGEST}": {"dst": LONGEST, "src": LONGEST},
    "dst=relative.sock": {"dst": "relative.sock"},
    "dst=/run/ö": {"dst": "/run/ö"},
    "dst=/run/b,src=/run/u,depth=2,mac=02:00:00:00:00:01,gro=1,mtu=600,headroom=1,vec=0": {
        "dst": "/run/b",
        "src": "/run/u",
        "depth": 2,
        "mac": "02:00:00:00:00:01",
        "gro": True,
        "mtu": 600,
        "headroom": 1,
        "vec": False,
    },
}
SAME |= {f"dst=/run/bess{text}": {"dst": "/run/bess", **options} for text, options in COMMON_SAME.items()}

MISREAD: Misread = [
    (
        "src=/run/uml",
        REFUSED,
        "bess needs dst: opening the device fails: Invalid argument; add dst=, the switch's",
        None,
    ),
    (f"dst={LONGEST}x", REFUSED, "at most 107; opening the device fails: Invalid argument; choose a shorter", None),
    (
        f"dst=/run/b,src={LONGEST}x",
        IGNORED,
        "is bound to no path; choose a shorter folder",
        None,
    ),
    ("dst=/run/a=b", REFUSED, "a second '=' in one value: the guest refuses the whole device", None),
    ("dst=/run/a,b", IGNORED, "a token without a value is as good as absent", "dst=/run/a"),
    ("dts=/run/b", REFUSED, "bess needs dst", "dst=/run/b"),
]
WRONG: Wrong = [
    *(({"dst": "/run/b", **options}, message) for options, message in COMMON_WRONG),
    (
        {"dst": f"{LONGEST}x"},
        "has 108 bytes, and a Unix socket's has at most 107; choose a shorter folder, such as /run",
    ),
    ({"dst": "/run/" + "ö" * 52}, "has 109 bytes"),
    ({"dst": "/run/a,b"}, "dst: '/run/a,b' holds a ',', which a vec string cannot carry; choose a name without it"),
    ({"dst": "/run/a=b"}, "dst: '/run/a=b' holds a '=', which a vec string cannot carry; choose a name without it"),
    ({"dst": "/run/b", "src": "/run/a b"}, "src: '/run/a b' holds a ' ', at which a kernel's command line ends the"),
    ({"dst": ""}, "dst: the value is empty, expected the path of a Unix socket, of at most 107 bytes"),
]
MIRRORED = {"dst=/run/bess,src=/run/uml": "dst=/run/bess,src=/run/uml"}
OVERHEAD = {"dst=/run/bess": 0}
HEADER = {"dst=/run/bess": 0}
