"""l2tpv3: outer addresses, UDP ports, sessions, cookies of two lengths, counters."""

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
UDP = ",udp=1,srcport=1706,dstport=1707"
SESSIONS = ",rx_session=1,tx_session=2"
IP4 = f"{V4}{SESSIONS}"
UDP4 = f"{V4}{UDP}{SESSIONS}"

ENDS = {"src": "192.0.2.1", "dst": "192.0.2.2", "rx_session": 1, "tx_session": 2}
ENDS6 = {**ENDS, "src": "2001:db8::1", "dst": "2001:db8::2"}
PORTS = {"udp": True, "srcport": 1706, "dstport": 1707}

SAME: dict[str, dict[str, Any]] = {
    UDP4: {**ENDS, **PORTS},
    f"{V6}{SESSIONS}": ENDS6,
    f"{V6}{UDP}{SESSIONS}": {**ENDS6, **PORTS},
    f"{V4},udp=1,srcport=1,dstport=65535{SESSIONS}": {**ENDS, "udp": True, "srcport": 1, "dstport": 65535},
    f"{V4},rx_session=-1,tx_session=-2147483648": {**ENDS, "rx_session": 0xFFFFFFFF, "tx_session": 0x80000000},
    f"{V4},rx_session=2147483647,tx_session=1": {**ENDS, "rx_session": "0x7fffffff", "tx_session": "1"},
    f"{IP4},rx_cookie=0,tx_cookie=4294967295": {**ENDS, "rx_cookie": 0, "tx_cookie": 0xFFFFFFFF},
    f"{IP4},rx_cookie=1,tx_cookie=18446744073709551615,cookie64=1": {
        **ENDS,
        "rx_cookie": 1,
        "tx_cookie": 2**64 - 1,
        "cookie64": True,
    },
    f"{IP4},counter=1": {**ENDS, "counter": True},
    f"{IP4},counter=1,pin_counter=1": {**ENDS, "counter": True, "pin_counter": True},
    # all that there is: nineteen of the twenty tokens that a guest has room for
    f"{V6}{UDP}{SESSIONS},rx_cookie=3,tx_cookie=4,cookie64=1,counter=1,pin_counter=1"
    ",depth=2,mac=02:00:00:00:00:01,gro=1,mtu=600,headroom=1": {
        **ENDS6,
        **PORTS,
        "rx_cookie": 3,
        "tx_cookie": 4,
        "cookie64": True,
        "counter": True,
        "pin_counter": True,
        "depth": 2,
        "mac": "02:00:00:00:00:01",
        "gro": True,
        "mtu": 600,
        "headroom": 1,
    },
}
SAME |= {f"{IP4}{text}": {**ENDS, **options} for text, options in TUNNEL_SAME.items()}

MISREAD: Misread = [
    (f"{UDP4},vec=0", DROPS, "vec=0: the guest never sends", None),
    (
        f"{UDP4},counter=1",
        NOTE,
        "counter=1 without pin_counter: the driver's memory is",
        f"{UDP4},counter=1",
    ),
    (IP4, NOTE, "straight on IPv4, without udp: the driver's memory is not cleared", IP4),
    (IP4, NOTE, "init_on_alloc=1 beside its strings, as vecnet does; udp=1, or IPv6, does without", IP4),
    (
        f"{V4},tx_session=2",
        PANIC,
        "l2tpv3 needs rx_session: opening the device fails and the guest kernel panics",
        None,
    ),
    (f"{V4},rx_session=2", PANIC, "add tx_session=, the session that this end sends", None),
    (f"{V4},tx_session=2,rx_session=", PANIC, "l2tpv3 needs rx_session", None),
    (f"{V4},rx_session=0xffffffff,tx_session=1", PANIC, "the parse fails", f"{V4},rx_session=-1,tx_session=1"),
    (
        f"{V4},rx_session=1,tx_session=0x80000000",
        PANIC,
        "write -2147483648",
        f"{V4},rx_session=1,tx_session=-2147483648",
    ),
    (f"{V4},rx_session=-0x1,tx_session=-1", NOTE, "no mac", f"{V4},rx_session=-1,tx_session=-1"),
    (f"{V4},rx_session=0,tx_session=1", DROPS, "the guest takes it; a kernel's or router's end takes 0 for", None),
    (f"{V4},rx_session=one,tx_session=1", PANIC, "'one' is not a whole number from 1 to 0xffffffff; the parse", None),
    (f"{V4},rxsession=1,txsession=2", PANIC, "l2tpv3 needs rx_session", IP4),
    (f"dst=192.0.2.2{SESSIONS}", REFUSED, "l2tpv3 needs src: opening the device fails, or over UDP takes", None),
    (f"{V4},udp=1,dstport=9{SESSIONS}", DROPS, "udp=1 without srcport: the guest takes a port by chance", None),
    (f"{V4},udp=1,dstport=9{SESSIONS}", DROPS, "give srcport too", None),
    (f"{V4},udp=1,srcport=9{SESSIONS}", DROPS, "udp=1 without dstport: no packet can be sent, and the first", None),
    (f"{V4},srcport=9{SESSIONS}", REFUSED, "srcport without udp=1: opening the device fails: Invalid arg", None),
    (f"{V4},srcport=9,dstport=8{SESSIONS}", REFUSED, "give udp=1 too, or leave srcport and dstport out", None),
    (f"{V4},udp=0,srcport=9,dstport=8{SESSIONS}", REFUSED, "srcport and dstport without udp=1", None),
    (f"{V4},udp=1,src_port=1706,dst_port=1707{SESSIONS}", DROPS, "udp=1 without srcport", UDP4),
    (f"{V4},udp=0x1,srcport=1706,dstport=1707{SESSIONS}", REFUSED, "read in base 10 when the socket is opened", UDP4),
    (f"{V4},udp=yes,srcport=1706,dstport=1707{SESSIONS}", REFUSED, "read as 0: straight on IP, where a port", UDP4),
    (f"{V4},udp=2,srcport=1706,dstport=1707{SESSIONS}", NOTE, "the guest reads 2 as on", UDP4),
    (f"{V4},udp=no{SESSIONS}", NOTE, "cannot read 'no', and its default is the same", IP4),
    (f"{V4},udp=1,srcport=0,dstport=9{SESSIONS}", DROPS, "'0' is not a whole number from 1 to 65535; the guest", None),
    (f"{V4},udp=1,srcport=65536,dstport=9{SESSIONS}", DROPS, "takes the rest of its division by 65536", None),
    (
        f"{V4},udp=1,srcport=0x6aa,dstport=1707{SESSIONS}",
        REFUSED,
        "opening the device fails: Invalid argument; write",
        UDP4,
    ),
    (f"{V4},udp=1,srcport=01706,dstport=1707{SESSIONS}", NOTE, "no mac", UDP4),
    (
        f"{V4},udp=1,srcport=domain,dstport=1707{SESSIONS}",
        REFUSED,
        "'domain' is not a whole number from 1 to 65535",
        None,
    ),
    (f"src=::1,dst=::2{SESSIONS}", REFUSED, "without v6 the guest looks for IPv4", f"src=::1,dst=::2,v6=1{SESSIONS}"),
    (f"src=::1,dst=192.0.2.2{SESSIONS}", REFUSED, "of different families", None),
    (f"{IP4},v6=1", REFUSED, "v6=1 with the IPv4 address 192.0.2.1", None),
    (
        f"{IP4},rx_cookie=1",
        PANIC,
        "rx_cookie without tx_cookie: opening the device fails and the guest kernel pan",
        None,
    ),
    (f"{IP4},tx_cookie=1", DROPS, "tx_cookie without rx_cookie: the guest sends none and expects none", None),
    (f"{IP4},rx_cookie=x,tx_cookie=1", DROPS, "leaves garbage for a cookie", None),
    (f"{IP4},rx_cookie=-1,tx_cookie=1", DROPS, "leaves garbage for a cookie", None),
    (f"{IP4},rx_cookie=0x10,tx_cookie=1", NOTE, "no mac", f"{IP4},rx_cookie=16,tx_cookie=1"),
    (f"{IP4},rx_cookie=010,tx_cookie=1", FALLBACK, "a leading 0 makes it octal: the guest reads 8", None),
    (f"{IP4},rx_cookie=0x100000000,tx_cookie=1", DROPS, "has more than 32 bits, and only 32 are sent", None),
    (f"{IP4},rx_cookie=0x100000000,tx_cookie=1", DROPS, "give cookie64=1 too, or a smaller cookie", None),
    (f"{IP4},cookie64=1", IGNORED, "cookie64 without cookies has no effect; give rx_cookie and tx_cookie", None),
    (f"{IP4},pin_counter=1", IGNORED, "pin_counter without counter has no effect; give counter=1 too", None),
    (f"{IP4},cookie=5", IGNORED, "l2tpv3 knows no such option", None),
    (f"{IP4},rx_key=1", IGNORED, "but gre does: it is ignored; leave it out", IP4),
]
WRONG: Wrong = [
    *(({**ENDS, **options}, message) for options, message in COMMON_WRONG),
    ({**ENDS, "rx_session": 0}, "rx_session: '0' is not a whole number from 1 to 0xffffffff"),
    ({**ENDS, "tx_session": 2**32}, "tx_session: '4294967296' is not a whole number from 1 to 0xffffffff"),
    ({**ENDS, "tx_session": -1}, "tx_session: '-1' is not a whole number from 1 to 0xffffffff"),
    (
        {**ENDS, "udp": True},
        "udp=1 without srcport: the guest takes a port by chance, which no peer can know; give src",
    ),
    ({**ENDS, "udp": True}, "udp=1 without dstport: no packet can be sent, and the first"),
    ({**ENDS, "srcport": 1}, "srcport without udp=1: opening the device fails: Invalid argument; give udp=1 too"),
    ({**ENDS, **PORTS, "srcport": 0}, "srcport: '0' is not a whole number from 1 to 65535"),
    ({**ENDS, **PORTS, "dstport": 65536}, "dstport: '65536' is not a whole number from 1 to 65535"),
    ({**ENDS, "rx_cookie": 1}, "rx_cookie without tx_cookie: opening the device fails and the guest kernel panics"),
    ({**ENDS, "tx_cookie": 1}, "tx_cookie without rx_cookie"),
    ({**ENDS, "rx_cookie": 2**64, "tx_cookie": 1}, "rx_cookie: '18446744073709551616' is not a whole number from 0 to"),
    ({**ENDS, "rx_cookie": 2**32, "tx_cookie": 1}, "rx_cookie 0x100000000 has more than 32 bits"),
    ({**ENDS, "rx_cookie": 1, "tx_cookie": 2**32}, "tx_cookie 0x100000000 has more than 32 bits"),
    ({**ENDS, "cookie64": True}, "cookie64 without cookies has no effect"),
    ({**ENDS, "pin_counter": True}, "pin_counter without counter has no effect"),
    ({**ENDS, "dst": "::1"}, "src 192.0.2.1 and dst ::1 are of different families"),
    ({**ENDS, "v6": True}, "v6=1 with the IPv4 address 192.0.2.1"),
]
MIRRORED = {
    IP4: "src=192.0.2.2,dst=192.0.2.1,rx_session=2,tx_session=1",
    UDP4: "src=192.0.2.2,dst=192.0.2.1,udp=1,srcport=1707,dstport=1706,rx_session=2,tx_session=1",
    f"{IP4},rx_cookie=3,tx_cookie=4,counter=1,pin_counter=1": "src=192.0.2.2,dst=192.0.2.1,rx_session=2,tx_session=1"
    ",rx_cookie=4,tx_cookie=3,counter=1,pin_counter=1",
    f"{V6}{SESSIONS},rx_cookie=3,tx_cookie=4,cookie64=1,mac=02:00:00:00:00:10": "src=2001:db8::2,dst=2001:db8::1,v6=1"
    ",rx_session=2,tx_session=1,rx_cookie=4,tx_cookie=3,cookie64=1,mac=02:00:00:00:00:11",
}
# what an l2tp device's MTU lacks to the underlay's 1500 without l2spec; 4 more where a counter stands for it
OVERHEAD = {
    UDP4: 50,
    IP4: 38,
    f"{V6}{UDP}{SESSIONS}": 70,
    f"{V6}{SESSIONS}": 58,
    f"{UDP4},counter=1": 54,
    f"{UDP4},counter=1,pin_counter=1": 54,
    f"{UDP4},rx_cookie=1,tx_cookie=2": 54,
    f"{UDP4},rx_cookie=1,tx_cookie=2,cookie64=1": 58,
    f"{UDP4},rx_cookie=1,tx_cookie=2,cookie64=1,counter=1": 62,
    f"{IP4},rx_cookie=1,tx_cookie=2,counter=1": 46,
    f"{V6}{UDP}{SESSIONS},rx_cookie=1,tx_cookie=2,cookie64=1,counter=1": 82,
}
HEADER = {IP4: 4, UDP4: 8, f"{UDP4},rx_cookie=1,tx_cookie=2,cookie64=1,counter=1": 20}
