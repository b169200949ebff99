"""The L2TP tunnels and sessions of a network namespace, and the messages that make and delete them.

Source: linux/l2tp.h; kernel documentation, networking/l2tp.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cache
from ipaddress import ip_address

from vecnet.kernel import genl, netlink
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.template import IFNAMSIZ, Mark, Template, name, u16, u32
from vecnet.records import record

Attrs = list[tuple[str, object]]

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


@record(frozen=True, slots=True)
class Session:
    """A session. `cookie` is what is sent, `peer_cookie` what is demanded, as long as in packets or empty."""

    tunnel_id: int
    session_id: int
    peer_session_id: int
    ifname: str
    cookie: bytes
    peer_cookie: bytes
    counters: Mapping[str, int] = field(default_factory=dict)


@record(frozen=True, slots=True)
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


def new_tunnel(family: int, tunnel: Tunnel) -> bytes:
    """An L2TPv3 tunnel. Over IPv6 UDP checksums are sent and demanded, which is the kernel's own choice."""
    values = {"tunnel": u32(tunnel.tunnel_id), "peer": u32(tunnel.peer_tunnel_id)}
    values |= {"source": ip_address(tunnel.local).packed, "destination": ip_address(tunnel.remote).packed}
    if tunnel.udp_sport is not None and tunnel.udp_dport is not None:
        values |= {"here": u16(tunnel.udp_sport), "there": u16(tunnel.udp_dport)}
    return _tunnel_template(family, tunnel.encap, len(values["source"]), "here" in values).stamp(**values)


def new_session(family: int, session: Session, l2spec: str) -> bytes:
    """A tunnel's Ethernet session, with its interface."""
    values = {"tunnel": u32(session.tunnel_id), "session": u32(session.session_id)}
    values |= {"peer": u32(session.peer_session_id), "ifname": name(session.ifname)}
    if session.cookie:
        values |= {"cookie": session.cookie, "demanded": session.peer_cookie}
    return _session_template(family, l2spec, len(session.cookie)).stamp(**values)


def delete_tunnel(family: int, tunnel_id: int) -> bytes:
    return _deletion(family).stamp(tunnel=u32(tunnel_id))


@cache
def _tunnel_template(family: int, encap: str, size: int, udp: bool) -> Template:
    marks = {"tunnel": Mark("t", 4), "peer": Mark("p", 4), "source": Mark("s", size), "destination": Mark("d", size)}
    six = "6" if size == 16 else ""
    attrs: Attrs = [
        ("L2TP_ATTR_CONN_ID", marks["tunnel"].number),
        ("L2TP_ATTR_PEER_CONN_ID", marks["peer"].number),
        ("L2TP_ATTR_PROTO_VERSION", _L2TPV3),
        ("L2TP_ATTR_ENCAP_TYPE", ENCAPS.index(encap)),
        (f"L2TP_ATTR_IP{six}_SADDR", marks["source"].ip),
        (f"L2TP_ATTR_IP{six}_DADDR", marks["destination"].ip),
    ]
    if udp:
        marks |= {"here": Mark("h", 2), "there": Mark("e", 2)}
        attrs += [("L2TP_ATTR_UDP_SPORT", marks["here"].number), ("L2TP_ATTR_UDP_DPORT", marks["there"].number)]
    return _template(family, TUNNEL_CREATE, attrs, marks)


@cache
def _session_template(family: int, l2spec: str, cookie_size: int) -> Template:
    marks = {"tunnel": Mark("t", 4), "session": Mark("s", 4), "peer": Mark("p", 4), "ifname": Mark("n", IFNAMSIZ - 1)}
    attrs: Attrs = [
        ("L2TP_ATTR_CONN_ID", marks["tunnel"].number),
        ("L2TP_ATTR_SESSION_ID", marks["session"].number),
        ("L2TP_ATTR_PEER_SESSION_ID", marks["peer"].number),
        ("L2TP_ATTR_PW_TYPE", _ETHERNET),
        ("L2TP_ATTR_IFNAME", marks["ifname"].text),
        ("L2TP_ATTR_L2SPEC_TYPE", L2SPECS.index(l2spec)),
    ]
    if cookie_size:
        marks |= {"cookie": Mark("c", cookie_size), "demanded": Mark("d", cookie_size)}
        attrs += [("L2TP_ATTR_COOKIE", marks["cookie"].raw), ("L2TP_ATTR_PEER_COOKIE", marks["demanded"].raw)]
    return _template(family, SESSION_CREATE, attrs, marks)


@cache
def _deletion(family: int) -> Template:
    marks = {"tunnel": Mark("t", 4)}
    return _template(family, TUNNEL_DELETE, [("L2TP_ATTR_CONN_ID", marks["tunnel"].number)], marks)


def _template(family: int, command: int, attrs: Attrs, marks: dict[str, Mark]) -> Template:
    from vecnet.kernel import encode

    return Template(encode.l2tp(family, command, netlink.ACKED, attrs), **marks)
