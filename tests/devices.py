"""Hypothesis strategies for vector devices: every transport, with every option of the HOWTO that it has."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import vecnet
from vecnet.transports import Transport
from vecnet.transports.tunnel import Tunnel

# what a string can carry: printable, no separator, no quote, and no byte 0xa0, which ends a word of a command line
LETTERS = st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters=',="').filter(
    lambda char: b"\xa0" not in char.encode()
)
WORDS = st.text(LETTERS, min_size=1, max_size=30)
IFNAMES = (
    st.text(LETTERS.filter(lambda char: char not in "/:%"), min_size=1, max_size=15)
    .filter(lambda name: len(name.encode()) <= 15)
    .filter(lambda name: name not in (".", ".."))
)
UNIX_PATHS = st.text(LETTERS, min_size=1, max_size=107).filter(lambda path: len(path.encode()) <= 107)
HOST_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,4})?(\.[a-z][a-z0-9]{0,9}){0,2}", fullmatch=True)
MACS = st.binary(min_size=6, max_size=6).filter(any).map(lambda octets: bytes([octets[0] & 0xFE]) + octets[1:])
KEYS = st.integers(0, 0xFFFFFFFF) | st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])
SESSIONS = KEYS.filter(bool)
PORTS = st.integers(1, 65535)


def optional(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any part of these options."""
    return st.fixed_dictionaries({}, optional=strategies)


def together(*strategies: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """All of these options."""
    return st.tuples(*strategies).map(lambda parts: {key: value for part in parts for key, value in part.items()})


COMMON = optional(
    depth=st.integers(1, 1024),
    mac=MACS.filter(any).map(lambda octets: octets.hex(":")),
    gro=st.booleans(),
    mtu=st.integers(576, 65521),
    headroom=st.integers(0, 4096),
    vec=st.booleans(),
)
IFACE = together(st.fixed_dictionaries({"ifname": IFNAMES}), optional(ifup=WORDS))


def _flag_and_pin(flag: str, pin: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([{}, {flag: True}, {flag: True, pin: True}, {flag: False}])


def _pair(rx: str, tx: str, values: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    return st.just({}) | st.fixed_dictionaries({rx: values, tx: values})


def _addresses(hosts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"src": hosts, "dst": hosts})


V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)
OUTER = (
    _addresses(V4)
    | _addresses(V6)
    | _addresses(V6 | HOST_NAMES).map(lambda both: both | {"v6": True})
    | _addresses(V4 | HOST_NAMES)
)
COOKIES = _pair("rx_cookie", "tx_cookie", st.integers(0, 2**32 - 1)) | st.fixed_dictionaries(
    {"rx_cookie": st.integers(0, 2**64 - 1), "tx_cookie": st.integers(0, 2**64 - 1), "cookie64": st.just(True)}
)
UDP: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.fixed_dictionaries(
    {"udp": st.just(True), "srcport": PORTS, "dstport": PORTS}
)

OPTIONS: dict[type[Transport], st.SearchStrategy[dict[str, Any]]] = {
    vecnet.Tap: IFACE,
    vecnet.Hybrid: IFACE,
    vecnet.Raw: together(IFACE, optional(bpffile=WORDS, bpfflash=st.booleans())),
    vecnet.Gre: together(OUTER, _pair("rx_key", "tx_key", KEYS), _flag_and_pin("sequence", "pin_sequence")),
    vecnet.L2tpv3: together(
        OUTER,
        UDP,
        st.fixed_dictionaries({"rx_session": SESSIONS, "tx_session": SESSIONS}),
        COOKIES,
        _flag_and_pin("counter", "pin_counter"),
    ),
    vecnet.Bess: together(st.fixed_dictionaries({"dst": UNIX_PATHS}), optional(src=UNIX_PATHS)),
    vecnet.Vde: together(
        st.fixed_dictionaries({"vnl": WORDS}), optional(descr=WORDS, port=WORDS, mode=WORDS, group=WORDS)
    ),
    vecnet.Fd: st.fixed_dictionaries({"fd": st.integers(0, 1023)}),
}


def transports(kind: type[Transport]) -> st.SearchStrategy[Transport]:
    tunnel = {"vec": True} if issubclass(kind, Tunnel) else {}  # which never sends with vec=0
    return together(OPTIONS[kind], COMMON).map(lambda options: kind(**{**options, **tunnel}))


DEVICES = st.builds(vecnet.VecDevice, st.integers(0, 9999), st.one_of([transports(kind) for kind in OPTIONS]))
