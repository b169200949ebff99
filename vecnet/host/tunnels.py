"""The L2TP tunnels and sessions of a network namespace. Source: linux/l2tp.h; kernel documentation, networking/l2tp."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from vecnet.host import genl, wire
from vecnet.host.namespaces import Namespace

TUNNEL_GET, SESSION_GET, VERSION = 4, 8, 1
_GENL_SIZE = 4
ENCAP_TYPE, IFNAME, TUNNEL_ID, PEER_TUNNEL_ID, SESSION_ID, PEER_SESSION_ID = 2, 8, 9, 10, 11, 12
COOKIE, PEER_COOKIE, IP_SADDR, IP_DADDR, UDP_SPORT, UDP_DPORT = 15, 16, 24, 25, 26, 27
STATS, IP6_SADDR, IP6_DADDR = 30, 31, 32
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


def _dump(place: Namespace, family: int, command: int) -> Iterator[wire.Attributes]:
    for _, message in place.generic.dump(genl.request(family, command, VERSION, dump=True)):
        yield wire.attributes(message[_GENL_SIZE:])


def _tunnel(got: wire.Attributes) -> Tunnel:
    six = IP6_SADDR in got
    local, remote = (got.get(key) for key in ((IP6_SADDR, IP6_DADDR) if six else (IP_SADDR, IP_DADDR)))
    family = socket.AF_INET6 if six else socket.AF_INET
    return Tunnel(
        tunnel_id=wire.number(got[TUNNEL_ID]),
        peer_tunnel_id=wire.number(got[PEER_TUNNEL_ID]),
        encap="ip" if ENCAP_TYPE in got and wire.number(got[ENCAP_TYPE]) else "udp",
        local=socket.inet_ntop(family, local) if local else "",
        remote=socket.inet_ntop(family, remote) if remote else "",
        udp_sport=wire.number(got[UDP_SPORT]) if UDP_SPORT in got else None,
        udp_dport=wire.number(got[UDP_DPORT]) if UDP_DPORT in got else None,
    )


def _session(got: wire.Attributes) -> Session:
    stats = wire.attributes(got[STATS]) if STATS in got else {}
    names = {**_COUNTERS, **_COUNTERS_LATER}
    return Session(
        tunnel_id=wire.number(got[TUNNEL_ID]),
        session_id=wire.number(got[SESSION_ID]),
        peer_session_id=wire.number(got[PEER_SESSION_ID]),
        ifname=wire.text(got[IFNAME]) if IFNAME in got else "",
        cookie=bytes(got.get(COOKIE, b"")),
        peer_cookie=bytes(got.get(PEER_COOKIE, b"")),
        counters={name: struct.unpack("=Q", stats[key])[0] for name, key in names.items() if key in stats},
    )
