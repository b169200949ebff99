"""gre: two outer addresses, a pair of keys, sequence numbers."""

from __future__ import annotations

from typing import Any

from tests.transports.tables import (
    COMMON_WRONG,
    DROPS,
    FALLBACK,
    IGNORED,
    NOTE,
    PANIC,
    REFUSED,
    TUNNEL_SAME,
    Misread,
    Wrong,
)

V4 = "src=192.0.2.1,dst=192.0.2.2"
V6 = "src=2001:db8::1,dst=2001:db8::2,v6=1"
ENDS4 = {"src": "192.0.2.1", "dst": "192.0.2.2"}
ENDS6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}

SAME: dict[str, dict[str, Any]] = {
    V6: ENDS6,
    "src=2001:db8::a,dst=2001:db8::1,v6=1": {"src": "2001:DB8:0::A", "dst": "2001:0db8::0001", "v6": True},
    "src=fe80::1%eth0,dst=fe80::2%eth0,v6=1": {"src": "fe80::1%eth0", "dst": "fe80::2%eth0"},
    "src=here,dst=there.example": {"src": "here", "dst": "there.example"},
    "src=here,dst=there,v6=1": {"src": "here", "dst": "there", "v6": True},
    "src=here,dst=2001:db8::2,v6=1": {"src": "here", "dst": "2001:db8::2"},
    f"{V4},rx_key=1,tx_key=2": {**ENDS4, "rx_key": 1, "tx_key": 2},
    f"{V4},rx_key=0,tx_key=0": {**ENDS4, "rx_key": 0, "tx_key": "0x0"},
    f"{V4},rx_key=2147483647,tx_key=-2147483648": {**ENDS4, "rx_key": 0x7FFFFFFF, "tx_key": 0x80000000},
    f"{V4},rx_key=-1,tx_key=-2": {**ENDS4, "rx_key": "0xffffffff", "tx_key": 4294967294},
    f"{V4},sequence=1": {**ENDS4, "sequence": True},
    f"{V4},sequence=1,pin_sequence=1": {**ENDS4, "sequence": 1, "pin_sequence": "on"},
    f"{V6},rx_key=1,tx_key=2,sequence=1,pin_sequence=1,depth=2,mac=02:00:00:00:00:01,gro=1,mtu=600,headroom=1": {
        **ENDS6,
        "rx_key": 1,
        "tx_key": 2,
        "sequence": True,
        "pin_sequence": True,
        "depth": 2,
        "mac": "02:00:00:00:00:01",
        "gro": True,
        "mtu": 600,
        "headroom": 1,
    },
}
SAME |= {f"{V4}{text}": {**ENDS4, **options} for text, options in TUNNEL_SAME.items()}

MISREAD: Misread = [
    ("dst=192.0.2.2", REFUSED, "gre needs src: opening the device fails: Invalid argument; add src=, the local", None),
    ("src=192.0.2.1", REFUSED, "gre needs dst: opening the device fails: Invalid argument; add dst=, the rem", None),
    (f"{V4},vec=0", DROPS, "vec=0: the guest never sends", None),
    (
        f"{V4},sequence=1",
        NOTE,
        "sequence=1 without pin_sequence: the driver's memory is not cleared",
        f"{V4},sequence=1",
    ),
    (f"{V4},rx_key=1,tx_key=2", NOTE, "where it reads true the guest kernel panics", f"{V4},rx_key=1,tx_key=2"),
    (
        f"{V4},rx_key=1,tx_key=2",
        NOTE,
        "as vecnet does; sequence=1 does without",
        f"{V4},rx_key=1,tx_key=2",
    ),
    (f"{V4},rx_key=1", PANIC, "rx_key without tx_key: opening the device fails and the guest kernel panics", None),
    (f"{V4},rx_key=1", PANIC, "give tx_key too, or leave both out", None),
    (f"{V4},tx_key=1", DROPS, "tx_key without rx_key: the guest sends none and expects none; give rx_key too", None),
    (f"{V4},tx_key=1,rx_key", DROPS, "tx_key without rx_key", None),
    (f"{V4},rx_key=0xffffffff,tx_key=1", DROPS, "both keys are dropped in silence", f"{V4},rx_key=-1,tx_key=1"),
    (f"{V4},rx_key=0xffffffff,tx_key=0xffffffff", DROPS, "write -1", f"{V4},rx_key=-1,tx_key=-1"),
    (f"{V4},rx_key=1,tx_key=0xffffffff", PANIC, "the guest kernel panics; write -1", f"{V4},rx_key=1,tx_key=-1"),
    (f"{V4},rx_key=0x100000000,tx_key=1", DROPS, "is not a whole number from 0 to 0xffffffff", None),
    (f"{V4},rx_key=one,tx_key=1", DROPS, "'one' is not a whole number from 0 to 0xffffffff", None),
    (f"{V4},rx_key=,tx_key=1", DROPS, "the value is empty", None),
    (f"{V4},rx_key=010,tx_key=1", FALLBACK, "a leading 0 makes it octal: the guest reads 8; write 8, or it with", None),
    (f"{V4},rx_key=-0x1,tx_key=-5", NOTE, "no mac", f"{V4},rx_key=-1,tx_key=-5"),
    (f"{V4},sequence=on", FALLBACK, "the guest falls back to its default; write 1", f"{V4},sequence=1"),
    (f"{V4},sequence=off", NOTE, "cannot read 'off', and its default is the same", V4),
    (f"{V4},sequence=2", NOTE, "the guest reads 2 as on; write 1", f"{V4},sequence=1"),
    (f"{V4},pin_sequence=1", IGNORED, "pin_sequence without sequence has no effect; give sequence=1 too", None),
    (f"{V4},seq=1", IGNORED, "gre knows no such option: it is ignored; leave it out", V4),
    (f"{V4},rxkey=1,txkey=2", IGNORED, "write rx_key=1", f"{V4},rx_key=1,tx_key=2"),
    (f"{V4},csum=1", IGNORED, "gre knows no such option: it is ignored; leave it out", V4),
    (f"{V4},udp=1", IGNORED, "but l2tpv3 does: it is ignored; leave it out", V4),
    ("src=2001:db8::1,dst=2001:db8::2", REFUSED, "without v6 the guest looks for IPv4 addresses", V6),
    ("src=2001:db8::1,dst=2001:db8::2,v6=0", REFUSED, "v6=0 does not fit the addresses", V6),
    ("src=2001:db8::1,dst=2001:db8::2,v6=on", REFUSED, "read as 0: the guest looks for IPv4 addresses", V6),
    ("src=2001:db8::1,dst=2001:db8::2,v6=0x1", REFUSED, "as 0, and in any base when headers are formed, as 1", V6),
    ("src=2001:db8::1,dst=2001:db8::2,v6=1x", DROPS, "opened with it and headers are formed without", None),
    (
        "src=2001:db8::1,dst=192.0.2.2",
        REFUSED,
        "of different families, so opening the device fails; give two IPv4",
        None,
    ),
    (
        f"{V4},v6=1",
        REFUSED,
        "v6=1 with the IPv4 address 192.0.2.1: opening the device fails; leave v6 out",
        None,
    ),
    ("src=127.1,dst=192.0.2.2", FALLBACK, "the guest takes it for 127.0.0.1", "src=127.0.0.1,dst=192.0.2.2"),
    ("src=$src_host,dst=192.0.2.2", REFUSED, "'$src_host' is not an IPv4 or IPv6 address, or a host name", None),
    ("src=192.0.2.300,dst=192.0.2.2", REFUSED, "'192.0.2.300' is not an IPv4 or IPv6 address", None),
]
WRONG: Wrong = [
    *(({**ENDS4, **options}, message) for options, message in COMMON_WRONG),
    (
        {**ENDS4, "rx_key": 1},
        "rx_key without tx_key: opening the device fails and the guest kernel panics; give tx_key",
    ),
    ({**ENDS4, "tx_key": 1}, "tx_key without rx_key: the guest sends none and expects none; give rx_key too"),
    ({**ENDS4, "rx_key": -1, "tx_key": 1}, "rx_key: '-1' is not a whole number from 0 to 0xffffffff"),
    ({**ENDS4, "rx_key": 2**32, "tx_key": 1}, "rx_key: '4294967296' is not a whole number from 0 to 0xffffffff"),
    ({**ENDS4, "pin_sequence": True}, "pin_sequence without sequence has no effect; give sequence=1 too"),
    ({**ENDS4, "v6": True}, "v6=1 with the IPv4 address 192.0.2.1"),
    ({"src": "192.0.2.1", "dst": "::1"}, "are of different families, so opening the device fails; give two IPv4 or"),
    ({"src": "192.0.2", "dst": "192.0.2.2"}, "src: '192.0.2' is not an IPv4 or IPv6 address, or a host name"),
    ({"src": "a_b..c", "dst": "192.0.2.2"}, "is not an IPv4 or IPv6 address, or a host name"),
    ({"src": "", "dst": "192.0.2.2"}, "src: the value is empty, expected an IPv4 or IPv6 address, or a host name"),
]
MIRRORED = {
    V4: "src=192.0.2.2,dst=192.0.2.1",
    V6: "src=2001:db8::2,dst=2001:db8::1,v6=1",
    f"{V4},rx_key=1,tx_key=-2,sequence=1": "src=192.0.2.2,dst=192.0.2.1,rx_key=-2,tx_key=1,sequence=1",
    f"{V4},sequence=1,pin_sequence=1,depth=3": "src=192.0.2.2,dst=192.0.2.1,sequence=1,pin_sequence=1,depth=3",
    f"{V4},mac=02:00:00:00:00:01": "src=192.0.2.2,dst=192.0.2.1,mac=02:00:00:00:00:00",
}
# what a gretap's MTU lacks to the underlay's 1500, and an ip6gretap's without encaplimit
OVERHEAD = {
    V4: 38,
    f"{V4},rx_key=1,tx_key=2": 42,
    f"{V4},sequence=1": 42,
    f"{V4},sequence=1,pin_sequence=1": 42,
    f"{V4},rx_key=1,tx_key=2,sequence=1": 46,
    V6: 58,
    f"{V6},rx_key=1,tx_key=2": 62,
    f"{V6},rx_key=1,tx_key=2,sequence=1": 66,
    "src=here,dst=there": 38,
    "src=here,dst=there,v6=1": 58,
}
HEADER = {V4: 4, f"{V4},rx_key=1,tx_key=2": 8, f"{V4},rx_key=1,tx_key=2,sequence=1": 12, f"{V4},sequence=1": 8}
