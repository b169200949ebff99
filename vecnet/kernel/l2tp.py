"""The L2TP tunnels and sessions of a network namespace, and the messages that make and delete them.

The messages are packed by hand: pyroute2 takes longer to encode one than the kernel to do it, and its cookies are none
that a kernel reads. Source: linux/l2tp.h; kernel documentation, networking/l2tp.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vecnet.kernel import genl, netlink
from vecnet.kernel.namespaces import Namespace

TUNNEL_CREATE, TUNNEL_DELETE, TUNNEL_GET, SESSION_CREATE, SESSION_GET, VERSION = 1, 2, 4, 5, 8, 1
_GENL_SIZE = 4
PW_TYPE, ENCAP_TYPE, L2SPEC_TYPE, PROTO_VERSION, IFNAME, TUNNEL_ID, PEER_TUNNEL_ID, SESSION_ID, PEER_SESSION_ID = (
    1,
    2,
    5,
    7,
    8,
    9,
    10,
    11,
    12,
)
COOKIE, PEER_COOKIE, IP_SADDR, IP_DADDR, UDP_SPORT, UDP_DPORT = 15, 16, 24, 25, 26, 27
STATS, IP6_SADDR, IP6_DADDR = 30, 31, 32
ENCAPS = ("udp", "ip")  # enum l2tp_encap_type
L2SPECS = ("none", "default")  # enum l2tp_l2spec_type
_L2TPV3, _ETHERNET = 3, 5  # RFC 3931; the pseudowire's type, RFC 4719
_COUNTERS = {"tx_errors": 3, "rx_seq_discards": 6, "rx_oos_packets": 7, "rx_errors": 8}
_COUNTERS_LATER = {"rx_cookie_discards": 10, "rx_invalid": 11}  # newer kernels


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a tunnel. Cookies are as long as they are in packets, empty where there is none."""

    tunnel_id: int
    session_id: int
    peer_session_id: int
    ifname: str
    cookie: bytes
    peer_cookie: bytes
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Tunnel:
    tunnel_id: int
    peer_tunnel_id: int
    encap: str  # udp or ip
    local: str
    remote: str
    udp_sport: int | None
    udp_dport: int | None
    sessions: list[Session] = field(default_factory=list)


def read_tunnels(place: Namespace) -> list[Tunnel]:
    """All tunnels with their sessions; none where this kernel has no l2tp now. Loads no module."""
    family = genl.families(place).get("l2tp")
    if family is None:
        return []
    tunnels = {tunnel.tunnel_id: tunnel for tunnel in map(_tunnel, _dump(place, family, TUNNEL_GET))}
    for got in _dump(place, family, SESSION_GET):
        session = _session(got)
        if session.tunnel_id in tunnels:
            tunnels[session.tunnel_id].sessions.append(session)
    return list(tunnels.values())


def _dump(place: Namespace, family: int, command: int) -> Iterator[netlink.Attributes]:
    for _, message in place.generic.dump(genl.request(family, command, VERSION, dump=True)):
        yield netlink.attributes(message[_GENL_SIZE:])


def _tunnel(got: netlink.Attributes) -> Tunnel:
    six = IP6_SADDR in got
    local, remote = (got.get(key) for key in ((IP6_SADDR, IP6_DADDR) if six else (IP_SADDR, IP_DADDR)))
    family = socket.AF_INET6 if six else socket.AF_INET
    return Tunnel(
        tunnel_id=netlink.number(got[TUNNEL_ID]),
        peer_tunnel_id=netlink.number(got[PEER_TUNNEL_ID]),
        encap=ENCAPS[netlink.number(got[ENCAP_TYPE])] if ENCAP_TYPE in got else "udp",
        local=socket.inet_ntop(family, local) if local else "",
        remote=socket.inet_ntop(family, remote) if remote else "",
        udp_sport=netlink.number(got[UDP_SPORT]) if UDP_SPORT in got else None,
        udp_dport=netlink.number(got[UDP_DPORT]) if UDP_DPORT in got else None,
    )


def _session(got: netlink.Attributes) -> Session:
    stats = netlink.attributes(got[STATS]) if STATS in got else {}
    names = {**_COUNTERS, **_COUNTERS_LATER}
    return Session(
        tunnel_id=netlink.number(got[TUNNEL_ID]),
        session_id=netlink.number(got[SESSION_ID]),
        peer_session_id=netlink.number(got[PEER_SESSION_ID]),
        ifname=netlink.text(got[IFNAME]) if IFNAME in got else "",
        cookie=bytes(got.get(COOKIE, b"")),
        peer_cookie=bytes(got.get(PEER_COOKIE, b"")),
        counters={name: struct.unpack("=Q", stats[key])[0] for name, key in names.items() if key in stats},
    )


def new_tunnel(family: int, peer_tunnel_id: int, values: Mapping[str, Any]) -> bytes:
    """An L2TPv3 tunnel, from `values` in iproute2's words. Over IPv6 UDP checksums are sent and demanded, which is the
    kernel's own choice."""
    v6 = ":" in values["local"]
    source, destination = (IP6_SADDR, IP6_DADDR) if v6 else (IP_SADDR, IP_DADDR)
    payload = (
        _u32(TUNNEL_ID, values["tunnel_id"])
        + _u32(PEER_TUNNEL_ID, peer_tunnel_id)
        + netlink.pack(PROTO_VERSION, bytes((_L2TPV3,)))
        + _u16(ENCAP_TYPE, ENCAPS.index(values["encap"]))
    )
    for kind, address in ((source, values["local"]), (destination, values["remote"])):
        payload += netlink.pack(kind, socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address))
    if values["encap"] == "udp":
        payload += _u16(UDP_SPORT, values["udp_sport"]) + _u16(UDP_DPORT, values["udp_dport"])
    return _acked(family, TUNNEL_CREATE, payload)


def new_session(family: int, ifname: str, values: Mapping[str, Any]) -> bytes:
    """A tunnel's Ethernet session, with its interface. `cookie` is what is sent, `peer_cookie` what is demanded."""
    payload = (
        _u32(TUNNEL_ID, values["tunnel_id"])
        + _u32(SESSION_ID, values["session_id"])
        + _u32(PEER_SESSION_ID, values["peer_session_id"])
        + _u16(PW_TYPE, _ETHERNET)
        + netlink.pack(IFNAME, ifname.encode() + b"\0")
        + netlink.pack(L2SPEC_TYPE, bytes((L2SPECS.index(values["l2spec_type"]),)))
    )
    size = values["cookie_size"]
    if size:
        payload += netlink.pack(COOKIE, values["cookie"].to_bytes(size, "big"))
        payload += netlink.pack(PEER_COOKIE, values["peer_cookie"].to_bytes(size, "big"))
    return _acked(family, SESSION_CREATE, payload)


def delete_tunnel(family: int, tunnel_id: int) -> bytes:
    return _acked(family, TUNNEL_DELETE, _u32(TUNNEL_ID, tunnel_id))


def _acked(family: int, command: int, payload: bytes) -> bytes:
    return genl.request(family, command, VERSION, payload, ack=True)


def _u16(kind: int, value: int) -> bytes:
    return netlink.pack(kind, struct.pack("=H", value))


def _u32(kind: int, value: int) -> bytes:
    return netlink.pack(kind, struct.pack("=I", value))
