"""Guests with kernel 6.1: measured on Debian's user-mode-linux 6.1.176.

Source: arch/um/drivers/vector_kern.c, vector_user.c and vector_transports.c of that kernel; tests/traps asks it.
"""

from __future__ import annotations

import re

from vecnet.guests.guest import ANY, Guest, Rows, Steps, drops, fallback, fine, ignored, note, panics, refused, unopened
from vecnet.guests.situation import Situation
from vecnet.values import IFNAMSIZ, Host, IfName, Mac

_INVALID = "opening the device fails: Invalid argument"
_PANICS = "opening the device fails and the guest kernel panics"
_LOOKS_FOR_V4 = f"the guest looks for IPv4 addresses, and {_INVALID}"
_KEYLESS = drops("the parse fails and both keys are dropped in silence: every packet of the peer is refused")
_GARBAGE = drops("the parse fails and leaves garbage for a cookie: packets are refused")
_LOOPBACK = unopened("opening the device fails, or over UDP takes the loopback address")

_THE_STRING: dict[Situation, Rows] = {
    Situation.UNSEEN: {ANY: note("the guest does not see the white space and quotes around the string")},
    Situation.QUOTE: {
        ANY: refused("a '\"' joins what follows up to the next one, white space included, to the string")
    },
    Situation.SPACE: {
        ANY: ignored("{char!r} ends the string on a kernel's command line: the guest reads {before!r}"),
    },
    Situation.NO_DEVICE: {ANY: refused("no device is named, so the guest has none")},
    Situation.NOT_A_DEVICE: {ANY: refused("{name!r} names no vector device, so the guest has none")},
    Situation.NO_COLON: {ANY: refused("without a ':' behind {name} the guest has no such device")},
    Situation.LARGE_UNIT: {
        ANY: fallback("the guest takes {name}, names it vec{number}, and vecnet's numbers end at {last}")
    },
    Situation.OTHER_BASE: {ANY: fallback("the guest reads any base, and names it vec{number}")},
    Situation.SAME_NUMBER: {ANY: note("the guest reads any base, and names it vec{number}")},
    Situation.TOKENS: {
        ANY: refused(
            "the guest has room for 20 tokens: it overwrites memory and refuses the device, or panics by chance"
        ),
    },
    Situation.SECOND_EQUALS: {ANY: refused("a second '=' in one value: the guest refuses the whole device")},
    Situation.NOTHING: {ANY: note("an empty token is passed over")},
    Situation.NO_VALUE: {ANY: ignored("a token without a value is as good as absent")},
    Situation.TWICE: {ANY: fallback("given twice, and the first one, {first}, wins")},
    Situation.REPEATED: {ANY: note("given twice, and the first one, {first}, wins")},
    Situation.UNKNOWN: {ANY: ignored("it is ignored")},
    Situation.UNREAD: {ANY: ignored("without a transport nothing reads this option")},
    Situation.NO_TRANSPORT: {ANY: unopened(f"no transport is named, so {_INVALID}")},
    Situation.NOT_A_TRANSPORT: {ANY: unopened(_INVALID)},
    Situation.PREFIX: {ANY: fallback("compared by prefix: the guest opens {name}")},
}
_ONE_OPTION: dict[Situation, Rows] = {
    Situation.UNREADABLE: {
        ANY: fallback("the guest falls back to its default"),
        "mac": fallback("the guest uses a random address"),
        "mtu": fallback("the guest stays at 1500"),
        "ifname": unopened(_INVALID),
        "raw.ifname": refused(
            "opening the device fails: Network is unreachable"
        ),  # it opens once the interface is there
        "fd.fd": unopened(_INVALID),
        "bess.src": ignored("the guest's socket is bound to no path"),
        "src": unopened(_INVALID),
        "dst": unopened(_INVALID),
        "v6": unopened(f"read as 0: {_LOOKS_FOR_V4}"),
        "gre.rx_key": _KEYLESS,
        "gre.tx_key": panics(f"the parse fails, {_PANICS}"),
        "l2tpv3.udp": unopened("read as 0: straight on IP, where a port makes opening the device fail"),
        "l2tpv3.srcport": unopened(_INVALID),
        "l2tpv3.dstport": unopened(_INVALID),
        "l2tpv3.rx_session": panics(f"the parse fails, {_PANICS}"),
        "l2tpv3.tx_session": panics(f"the parse fails, {_PANICS}"),
        "l2tpv3.rx_cookie": _GARBAGE,
        "l2tpv3.tx_cookie": _GARBAGE,
    },
    Situation.UNREADABLE_TOO: {"gre.tx_key": _KEYLESS},
    Situation.UNREADABLE_DEFAULT: {ANY: note("the guest cannot read {text!r}, and its default is the same")},
    Situation.OUTSIDE: {
        ANY: fallback("the guest takes it all the same"),
        "depth": Steps(
            {
                0: drops("the guest takes it: no packet moves, and it spins"),
                1025: drops(
                    "the guest takes it: more than 1024 packets never move at once, and a queue too large for its "
                    "memory panics it"
                ),
                65537: panics("so large a queue cannot be had, and the guest kernel panics"),
            }
        ),
        "tap.depth": fallback("the guest takes it; a tap moves one packet per system call whatever it is"),
        "headroom": Steps(
            {
                4097: fallback("the guest takes it all the same"),
                65500: drops("the guest takes it and loses every packet; one too large for its memory panics it"),
            }
        ),
        "mtu": fallback("below 576 and from 65535 on the guest stays at 1500"),
        "l2tpv3.srcport": drops("the guest takes the rest of its division by 65536, and for 0 a port by chance"),
        "l2tpv3.dstport": drops("the guest takes the rest of its division by 65536, and for 0 a port by chance"),
        "l2tpv3.rx_session": drops("the guest takes it; a kernel's or router's end takes 0 for the control channel"),
        "l2tpv3.tx_session": drops("the guest takes it; a kernel's or router's end takes 0 for the control channel"),
    },
    Situation.MISREAD: {ANY: fallback("the guest takes it for {value}")},
    Situation.OCTAL: {ANY: fallback("a leading 0 makes it octal: the guest reads {number}")},
    Situation.ANY_NUMBER: {ANY: note("the guest reads {number} as on")},
    Situation.OPENED_WITH: {
        ANY: drops("the socket is opened with it and headers are formed without it: every packet is dropped"),
    },
    Situation.FORMED_WITH: {
        ANY: refused(
            "read in base 10 when the socket is opened, as 0, and in any base when headers are formed, as 1: "
            "the device cannot be opened, or no packet fits"
        ),
    },
    Situation.MISSING: {
        ANY: fallback("the guest falls back to its default"),
        "tap.ifname": fallback(
            "the guest makes a tap with a random name; where it may not, it tries without end, and hangs"
        ),
        "ifname": unopened(_INVALID),
        "fd.fd": unopened(_INVALID),
        "src": unopened(_INVALID),
        "dst": unopened(_INVALID),
        "v6": unopened(_LOOKS_FOR_V4),
        "l2tpv3.src": _LOOPBACK,
        "l2tpv3.dst": _LOOPBACK,
        "l2tpv3.srcport": drops("the guest takes a port by chance, which no peer can know"),
        "l2tpv3.dstport": drops("no packet can be sent, and the first one that is tried ends the device"),
        "l2tpv3.rx_session": panics(_PANICS),
        "l2tpv3.tx_session": panics(_PANICS),
    },
}
_CLEAR = "init_on_alloc=1"  # kernel-parameters.txt
_SEVERAL_OPTIONS: dict[Situation, Rows] = {
    Situation.ALONE: {
        "gre.rx_key": panics(_PANICS),
        "gre.tx_key": drops("the guest sends none and expects none"),
        "l2tpv3.rx_cookie": panics(_PANICS),
        "l2tpv3.tx_cookie": drops("the guest sends none and expects none"),
    },
    Situation.IDLE: {ANY: ignored("has no effect")},
    Situation.FAMILIES: {ANY: unopened("opening the device fails")},
    Situation.NOT_V6: {ANY: unopened("opening the device fails")},
    Situation.TOO_LONG: {ANY: drops("only 32 are sent and compared")},
    Situation.PORTS: {ANY: unopened(_INVALID)},
    Situation.NO_MAC: {ANY: note("the guest has a random Ethernet address on every boot")},
    Situation.SMALL_BUFFERS: {
        ANY: note("the guest cuts large frames short: TCP from the host crawls, unless it sends none"),
    },
    Situation.ONE_AT_A_TIME: {
        ANY: drops("the guest never sends: its socket has no destination of its own, and writev(2) gives it none"),
    },
    Situation.DEEP: {ANY: note("the guest's kernel warns of its NAPI weight, and works")},
    Situation.IFUP: {
        ANY: fine(""),
        "hybrid": note("the guest does not hear of it: on a tap that is still down no packet comes in"),
    },
    Situation.UNCLEARED: {
        "l2tpv3": note(
            "the driver's memory is not cleared, and where it reads true the guest refuses every packet", _CLEAR
        ),
        "gre": note("the driver's memory is not cleared, and where it reads true the guest kernel panics", _CLEAR),
    },
    Situation.UNCLEARED_PIN: {ANY: note("the driver's memory is not cleared, and where it reads true only 0 is sent")},
    Situation.FAILED_OPEN: {
        ANY: note("the device cannot be opened again until the guest boots anew: No such device or address"),
    },
}


def _six_numbers(text: str) -> str | None:
    """A MAC address of six numbers in base 16, short or long; nothing behind them is looked at."""
    numbers = re.match(r"((0[xX])?[0-9a-fA-F]+(:|$)){6}", text)
    if not numbers:
        return None
    octets = [int(number, 16) & 255 for number in numbers.group().removesuffix(":").split(":")]
    return ":".join(f"{octet:02x}" for octet in octets)


def _cut(text: str) -> str | None:
    """An interface's name, as much as there is room for."""
    octets = text.encode(errors="surrogatepass")
    return octets[: IFNAMSIZ - 1].decode(errors="replace") if len(octets) >= IFNAMSIZ else None


def _short_address(text: str) -> str | None:
    """The short and the octal forms of inet(3), which getaddrinfo(3) takes."""
    import socket  # for mistakes alone

    try:
        return socket.inet_ntoa(socket.inet_aton(text))
    except (OSError, ValueError):
        return None


GUEST = Guest(
    version=(6, 1),
    tokens=20,  # MAXVARGS
    command_line=4096,  # COMMAND_LINE_SIZE: a kernel that is given more refuses to start
    mtu=range(576, 65535),
    misreadings={Mac: _six_numbers, IfName: _cut, Host: _short_address},
    does={**_THE_STRING, **_ONE_OPTION, **_SEVERAL_OPTIONS},
    lacks=frozenset({"vde"}),
    legacy=frozenset({"tuntap", "ethertap", "daemon", "mcast", "ucast", "slip", "slirp", "vde"}),  # pcap is not built
    counts_all=True,
)
