"""vde: a VDE network's locator, from kernel 6.12 on."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import COMMON_SAME, COMMON_WRONG, DROPS, FALLBACK, IGNORED, NOTE, Misread, Wrong

VNL = "vnl=vde:///run/vde.ctl"

SAME: dict[str, dict[str, Any]] = {
    "vnl=slirp://": {"vnl": "slirp://"},
    "vnl=/run/sw[11]": {"vnl": "/run/sw[11]"},
    f"{VNL},descr=web,port=3,mode=660,group=uml": {
        "vnl": "vde:///run/vde.ctl",
        "descr": "web",
        "port": "3",
        "mode": "660",
        "group": "uml",
    },
}
SAME |= {f"{VNL}{text}": {"vnl": "vde:///run/vde.ctl", **options} for text, options in COMMON_SAME.items()}

MISREAD: Misread = [
    ("", DROPS, "vde needs vnl: the device comes up, vde_plug finds no network, and every packet is lost", None),
    (VNL, NOTE, "the guest starts vde_plug: without it the device comes up all the same", VNL),
    (VNL, NOTE, "6.1 has no transport vde: opening the device fails: Invalid argument; boot a later kernel", VNL),
    (f"{VNL},dst=/run/x", IGNORED, "vde knows no such option, but bess and gre and l2tpv3 do: it is ignored", VNL),
    (f"url={VNL[4:]}", DROPS, "vde needs vnl", None),
    (f"{VNL},gro=on", FALLBACK, "write 1", f"{VNL},gro=1"),
]
WRONG: Wrong = [
    *(({"vnl": "slirp://", **options}, message) for options, message in COMMON_WRONG),
    ({"vnl": ""}, "vnl: the value is empty, expected a text"),
    ({"vnl": "cmd://a,b"}, "vnl: 'cmd://a,b' holds a ',', which a vec string cannot carry; choose a name without it"),
]
MIRRORED = {f"{VNL},mac=02:00:00:00:00:10": f"{VNL},mac=02:00:00:00:00:11"}
OVERHEAD = {VNL: 0}
HEADER = {VNL: 0}
