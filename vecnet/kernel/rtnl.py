"""rtnetlink: the interfaces and addresses of a network namespace, read by a few dumps and no call per interface.

Source: rtnetlink(7); linux/if_link.h, if_addr.h, ethtool_netlink.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace

RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_GETROUTE = 16, 18, 20, 22, 26
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_IFALIAS, IFLA_STATS64, IFLA_GROUP, IFLA_EXT_MASK, IFLA_CARRIER, IFLA_LINK_NETNSID = 20, 23, 27, 29, 33, 37
IFLA_GSO_MAX_SEGS = 40
IFLA_QDISC = 6
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_PERMANENT = 0x80
IFF_UP, IFF_RUNNING = 1, 0x40
GSO_MAX_SEGS = 65535  # an interface's gso_max_segs unless it is set
RT_SCOPE_LINK = 253
RTA_DST, RTN_LOCAL = 1, 2
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RTMSG = struct.Struct("=8BI")  # family, two prefix lengths, tos, table, protocol, scope, type, flags
_COUNTERS = struct.Struct("=8Q")  # struct rtnl_link_stats64: rx, tx packets, bytes, errors, dropped


_USED = frozenset(
    (
        *(IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_STATS64),
        *(IFLA_GROUP, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_GSO_MAX_SEGS),
    )
)


@dataclass(slots=True)
class Interface:
    """An interface as the kernel tells it."""

    index: int
    ifname: str
    up: bool
    mtu: int
    mac: str
    kind: str  # rtnetlink's name, "" where it has none
    data: netlink.Attributes  # the kind's own attributes
    group: int
    alias: str
    master: int
    link: int  # a veth's other end, by its index in its own namespace
    elsewhere: bool  # … which is another one
    carrier: bool
    gso_max_segs: int
    counters: tuple[int, ...] = ()


def read_links(place: Namespace, counters: bool = False) -> Iterator[Interface]:
    """Every interface of a namespace; with its counters if asked for."""
    mask = 0 if counters else RTEXT_FILTER_SKIP_STATS
    payload = IFINFO.pack(0, 0, 0, 0, 0) + netlink.pack(IFLA_EXT_MASK, struct.pack("=I", mask))
    request = netlink.message(RTM_GETLINK, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, payload)
    for kind, message in place.route.dump(request):
        if kind == RTM_NEWLINK:
            yield _interface(message)


def sends(place: Namespace, ifname: str) -> bool:
    """Whether an interface has a carrier, and its transmit queue; until the kernel has given it one, it drops all.

    Raises OSError where it is not there.
    """
    payload = IFINFO.pack(0, 0, 0, 0, 0) + netlink.pack(IFLA_IFNAME, ifname.encode() + b"\0")
    _, message = place.route.ask(netlink.message(RTM_GETLINK, netlink.NLM_F_REQUEST, payload))
    flags = IFINFO.unpack_from(message)[3]
    got = netlink.attributes(message[IFINFO.size :], (IFLA_QDISC,))
    return bool(flags & IFF_RUNNING) and netlink.text(got[IFLA_QDISC]) != "noop"


def is_reached(place: Namespace, address: str) -> bool:
    """Whether packets to one of the namespace's own addresses stay in it.

    Of an IPv6 address that is new, not yet: the kernel adds the route by a worker, which a busy machine keeps waiting.
    """
    raw = ipaddress.ip_address(address).packed
    family = socket.AF_INET6 if len(raw) == 16 else socket.AF_INET
    payload = _RTMSG.pack(family, 8 * len(raw), 0, 0, 0, 0, 0, 0, 0) + netlink.pack(RTA_DST, raw)
    try:
        _, message = place.route.ask(netlink.message(RTM_GETROUTE, netlink.NLM_F_REQUEST, payload))
    except OSError:
        return False
    return bool(_RTMSG.unpack_from(message)[7] == RTN_LOCAL)


def read_packet_sockets() -> frozenset[int]:
    """The indices of interfaces that a packet socket is bound to, in the calling thread's namespace. packet(7)."""
    lines = Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]
    return frozenset(int(words[4]) for words in map(str.split, lines) if len(words) > 4)


def _interface(message: memoryview) -> Interface:
    _, _, index, flags, _ = IFINFO.unpack_from(message)
    got = netlink.attributes(message[IFINFO.size :], _USED)
    info = netlink.attributes(got[IFLA_LINKINFO]) if IFLA_LINKINFO in got else {}
    number = netlink.number
    return Interface(
        index=index,
        ifname=netlink.text(got[IFLA_IFNAME]),
        up=bool(flags & IFF_UP),
        mtu=number(got[IFLA_MTU]),
        mac=got[IFLA_ADDRESS].hex(":") if IFLA_ADDRESS in got else "",
        kind=netlink.text(info[IFLA_INFO_KIND]) if IFLA_INFO_KIND in info else "",
        data=netlink.attributes(info[IFLA_INFO_DATA]) if IFLA_INFO_DATA in info else {},
        group=number(got[IFLA_GROUP]) if IFLA_GROUP in got else 0,
        alias=netlink.text(got[IFLA_IFALIAS]) if IFLA_IFALIAS in got else "",
        master=number(got[IFLA_MASTER]) if IFLA_MASTER in got else 0,
        link=number(got[IFLA_LINK]) if IFLA_LINK in got else 0,
        elsewhere=IFLA_LINK_NETNSID in got,
        carrier=IFLA_CARRIER in got and bool(got[IFLA_CARRIER][0]),
        gso_max_segs=number(got[IFLA_GSO_MAX_SEGS]) if IFLA_GSO_MAX_SEGS in got else GSO_MAX_SEGS,
        counters=_COUNTERS.unpack_from(got[IFLA_STATS64]) if IFLA_STATS64 in got else (),
    )


def read_addresses(place: Namespace, link_local: bool) -> dict[int, list[str]]:
    """The permanent addresses by interface: not those that a router advertised, IPv6's link-local ones if asked for."""
    found: dict[int, list[str]] = {}
    request = netlink.message(RTM_GETADDR, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, IFADDR.pack(0, 0, 0, 0, 0))
    for kind, message in place.route.dump(request):
        if kind != RTM_NEWADDR:
            continue
        family, length, _, scope, index = IFADDR.unpack_from(message)
        if family == socket.AF_INET6 and scope == RT_SCOPE_LINK and not link_local:
            continue  # one for each interface, given by the kernel itself
        got = netlink.attributes(message[IFADDR.size :])
        raw = got.get(IFA_LOCAL, got.get(IFA_ADDRESS))
        flags = netlink.number(got[IFA_FLAGS]) if IFA_FLAGS in got else IFA_F_PERMANENT
        if raw is None or family not in (socket.AF_INET, socket.AF_INET6) or not flags & IFA_F_PERMANENT:
            continue
        text = socket.inet_ntop(family, raw)
        if ":" in text and "." in text:  # an IPv4 address inside, which a topology's addresses have in hexadecimal
            text = str(ipaddress.ip_address(bytes(raw)))
        found.setdefault(index, []).append(f"{text}/{length}")
    return found
