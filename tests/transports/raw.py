"""raw: packet sockets on an interface, with a virtio-net header and filters of classic BPF."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import (
    COMMON_SAME,
    COMMON_WRONG,
    FALLBACK,
    IGNORED,
    REFUSED,
    Misread,
    Wrong,
)

SAME: dict[str, dict[str, Any]] = {
    "ifname=p-veth0,ifup=/bin/true": {"ifname": "p-veth0", "ifup": "/bin/true"},
    "ifname=p-veth0,bpffile=/etc/uml/filter.bpf": {"ifname": "p-veth0", "bpffile": "/etc/uml/filter.bpf"},
    "ifname=p-veth0,bpfflash=1": {"ifname": "p-veth0", "bpfflash": True},
    "ifname=p-veth0,ifup=up,bpffile=f,bpfflash=1,depth=128,gro=1": {
        "ifname": "p-veth0",
        "ifup": "up",
        "bpffile": "f",
        "bpfflash": "yes",
        "depth": 128,
        "gro": True,
    },
}
SAME |= {f"ifname=p-veth0{text}": {"ifname": "p-veth0", **options} for text, options in COMMON_SAME.items()}

MISREAD: Misread = [
    ("", REFUSED, "raw needs ifname: opening the device fails: Invalid argument; add ifname=", None),
    ("ifname=sixteen-bytes-xy", FALLBACK, "the guest takes it for sixteen-bytes-x", "ifname=sixteen-bytes-x"),
    ("ifname=a:b", REFUSED, "without '/' and ':'; opening the device fails: Network is unreachable", None),
    ("ifname=v0,bpfflash=0x1", FALLBACK, "falls back to its default; write 1", "ifname=v0,bpfflash=1"),
    ("ifname=v0,bpf_flash=1", IGNORED, "no such option: it is ignored", "ifname=v0,bpfflash=1"),
    ("ifname=v0,bpf=f", IGNORED, "write bpffile=f", "ifname=v0,bpffile=f"),
    ("ifname=v0,rx_key=1", IGNORED, "knows no such option, but gre does: it is ignored; leave it out", "ifname=v0"),
    ("ifname=v0,src=a", IGNORED, "but bess and gre and l2tpv3 do", "ifname=v0"),
]
WRONG: Wrong = [
    *(({"ifname": "v0", **options}, message) for options, message in COMMON_WRONG),
    ({"ifname": "v" * 16}, "has 16 bytes, and an interface name has at most 15; shorten it"),
    ({"ifname": "v0", "bpffile": "/a,b"}, "bpffile: '/a,b' holds a ',', which a vec string cannot carry"),
    ({"ifname": "v0", "bpffile": ""}, "bpffile: the value is empty"),
    ({"ifname": "v0", "bpfflash": 3}, "bpfflash: '3' is not on or off"),
]
MIRRORED = {
    "ifname=v0,bpffile=f,bpfflash=1,mac=02:00:00:00:00:ff": "ifname=v0,bpffile=f,bpfflash=1,mac=02:00:00:00:00:fe"
}
OVERHEAD = {"ifname=v0": 0}
HEADER = {"ifname=v0": 10}  # struct virtio_net_hdr
