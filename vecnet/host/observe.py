"""What is on the host: the interfaces of a network namespace, read by a few dumps and no call per interface.

Source: rtnetlink(7); linux/if_link.h, if_addr.h, ethtool_netlink.h.
"""

from __future__ import annotations

import gc
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vecnet.host import genl, mark, wire
from vecnet.host.namespaces import Namespace
from vecnet.host.tunnels import Session, Tunnel, read_tunnels

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
class Seen:
    """An interface as the kernel tells it."""

    index: int
    ifname: str
    up: bool
    mtu: int
    mac: str
    kind: str  # rtnetlink's name, "" where it has none
    data: wire.Attributes  # the kind's own attributes
    group: int
    mark: mark.Mark | None
    alias: str
    master: int
    link: int  # a veth's other end, by its index in its own namespace
    elsewhere: bool  # … which is another one
    carrier: bool
    gso_max_segs: int
    counters: tuple[int, ...] = ()


def read_links(place: Namespace, counters: bool = False) -> Iterator[Seen]:
    """Every interface of a namespace; with its counters if asked for."""
    mask = 0 if counters else RTEXT_FILTER_SKIP_STATS
    payload = IFINFO.pack(0, 0, 0, 0, 0) + wire.pack(IFLA_EXT_MASK, struct.pack("=I", mask))
    request = wire.message(RTM_GETLINK, wire.NLM_F_REQUEST | wire.NLM_F_DUMP, payload)
    for kind, message in place.route.dump(request):
        if kind == RTM_NEWLINK:
            yield _seen(message)


def read_link(place: Namespace, ifname: str) -> Seen:
    """One interface, by its name. Raises OSError where it is not there."""
    return _seen(_asked(place, ifname))


def sends(place: Namespace, ifname: str) -> bool:
    """Whether an interface has a carrier, and its transmit queue; until the kernel has given it one, it drops all.

    Raises OSError where it is not there.
    """
    message = _asked(place, ifname)
    flags = IFINFO.unpack_from(message)[3]
    got = wire.attributes(message[IFINFO.size :], (IFLA_QDISC,))
    return bool(flags & IFF_RUNNING) and wire.text(got[IFLA_QDISC]) != "noop"


def _asked(place: Namespace, ifname: str) -> memoryview:
    payload = IFINFO.pack(0, 0, 0, 0, 0) + wire.pack(IFLA_IFNAME, ifname.encode() + b"\0")
    return place.route.ask(wire.message(RTM_GETLINK, wire.NLM_F_REQUEST, payload))[1]


def is_reached(place: Namespace, address: str) -> bool:
    """Whether packets to one of the namespace's own addresses stay in it.

    Of an IPv6 address that is new, not yet: the kernel adds the route by a worker, which a busy machine keeps waiting.
    """
    raw = ipaddress.ip_address(address).packed
    family = socket.AF_INET6 if len(raw) == 16 else socket.AF_INET
    payload = _RTMSG.pack(family, 8 * len(raw), 0, 0, 0, 0, 0, 0, 0) + wire.pack(RTA_DST, raw)
    try:
        _, message = place.route.ask(wire.message(RTM_GETROUTE, wire.NLM_F_REQUEST, payload))
    except OSError:
        return False
    return bool(_RTMSG.unpack_from(message)[7] == RTN_LOCAL)


@contextmanager
def many_objects() -> Iterator[None]:
    """The garbage collector rests: it would walk, over and over, thousands of objects that all stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _seen(message: memoryview) -> Seen:
    _, _, index, flags, _ = IFINFO.unpack_from(message)
    got = wire.attributes(message[IFINFO.size :], _USED)
    info = wire.attributes(got[IFLA_LINKINFO]) if IFLA_LINKINFO in got else {}
    alias = wire.text(got[IFLA_IFALIAS]) if IFLA_IFALIAS in got else ""
    number = wire.number
    return Seen(
        index=index,
        ifname=wire.text(got[IFLA_IFNAME]),
        up=bool(flags & IFF_UP),
        mtu=number(got[IFLA_MTU]),
        mac=got[IFLA_ADDRESS].hex(":") if IFLA_ADDRESS in got else "",
        kind=wire.text(info[IFLA_INFO_KIND]) if IFLA_INFO_KIND in info else "",
        data=wire.attributes(info[IFLA_INFO_DATA]) if IFLA_INFO_DATA in info else {},
        group=number(got[IFLA_GROUP]) if IFLA_GROUP in got else 0,
        mark=mark.read(alias) if alias else None,
        alias=alias,
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
    request = wire.message(RTM_GETADDR, wire.NLM_F_REQUEST | wire.NLM_F_DUMP, IFADDR.pack(0, 0, 0, 0, 0))
    for kind, message in place.route.dump(request):
        if kind != RTM_NEWADDR:
            continue
        family, length, _, scope, index = IFADDR.unpack_from(message)
        if family == socket.AF_INET6 and scope == RT_SCOPE_LINK and not link_local:
            continue  # one for each interface, given by the kernel itself
        got = wire.attributes(message[IFADDR.size :])
        raw = got.get(IFA_LOCAL, got.get(IFA_ADDRESS))
        flags = wire.number(got[IFA_FLAGS]) if IFA_FLAGS in got else IFA_F_PERMANENT
        if raw is None or family not in (socket.AF_INET, socket.AF_INET6) or not flags & IFA_F_PERMANENT:
            continue
        text = socket.inet_ntop(family, raw)
        if ":" in text and "." in text:  # an IPv4 address inside, which a topology's addresses have in hexadecimal
            text = str(ipaddress.ip_address(bytes(raw)))
        found.setdefault(index, []).append(f"{text}/{length}")
    return found


def read_packet_sockets() -> frozenset[int]:
    """The indices of interfaces that a packet socket is bound to, in the calling thread's namespace. packet(7)."""
    lines = Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]
    return frozenset(int(words[4]) for words in map(str.split, lines) if len(words) > 4)


@dataclass
class View:
    """All that is known of a namespace; what is dear is read when it is first asked for."""

    place: Namespace
    links: list[Seen] = field(default_factory=list)
    link_local: bool = False  # whether IPv6's link-local addresses count

    @classmethod
    def read(cls, place: Namespace, counters: bool = False) -> View:
        with many_objects():
            return cls(place, list(read_links(place, counters)))

    @cached_property
    def by_name(self) -> dict[str, Seen]:
        return {link.ifname: link for link in self.links}

    @cached_property
    def by_index(self) -> dict[int, Seen]:
        return {link.index: link for link in self.links}

    @cached_property
    def _addresses(self) -> dict[int, list[str]]:
        return read_addresses(self.place, self.link_local)

    def addresses(self, link: Seen) -> list[str]:
        """An interface's addresses, with their prefix lengths."""
        return self._addresses.get(link.index, [])

    @cached_property
    def every_address(self) -> set[str]:
        """All local addresses, without prefix lengths."""
        return {str(ipaddress.ip_interface(text).ip) for texts in self._addresses.values() for text in texts}

    @cached_property
    def tunnels(self) -> list[Tunnel]:
        return read_tunnels(self.place)

    @cached_property
    def sessions(self) -> dict[str, Session]:
        """The L2TP sessions, by their interfaces' names."""
        return {session.ifname: session for tunnel in self.tunnels for session in tunnel.sessions}

    @cached_property
    def _packet_sockets(self) -> frozenset[int]:
        with self.place.entered():
            return read_packet_sockets()

    def bound(self, link: Seen) -> bool:
        """Whether a packet socket is bound to the interface, as a guest's raw transport does."""
        return link.index in self._packet_sockets

    @cached_property
    def _checksums(self) -> dict[int, bool]:
        return genl.read_checksum_offload(self.place)

    def offload(self, link: Seen) -> bool | None:
        """Whether the interface wants to be handed checksums that are still to be filled; None where it cannot."""
        return self._checksums.get(link.index)

    def master(self, link: Seen) -> str | None:
        """The name of the bridge that the interface is a member of."""
        above = self.by_index.get(link.master) if link.master else None
        return above.ifname if above else None
