"""rtnetlink: the interfaces and addresses of a network namespace, and the messages that change them.

Reading takes a few dumps and no call per interface. Source: rtnetlink(7); linux/if_link.h, if_addr.h, veth.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.netlink import ACKED, MAKE, SET
from vecnet.kernel.template import IFNAMSIZ, Mark, Template, Unindexed, name, u32
from vecnet.records import record

if TYPE_CHECKING:
    from vecnet.kernel.encode import Attrs  # pyroute2, which takes a while, comes with the first message

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_GETROUTE = 16, 17, 18, 20, 21, 22, 26
RTM_DELQDISC = 37
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 6, 10, 18
IFLA_IFALIAS, IFLA_STATS64, IFLA_GROUP, IFLA_EXT_MASK, IFLA_CARRIER, IFLA_LINK_NETNSID = 20, 23, 27, 29, 33, 37
IFLA_TXQLEN, IFLA_GSO_MAX_SEGS, IFLA_PROP_LIST, IFLA_ALT_IFNAME, IFLA_PROMISCUITY = 13, 40, 52, 53, 30
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_DATA = 1, 2, 5
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD, IFA_F_PERMANENT, IFA_F_NOPREFIXROUTE = 0x02, 0x80, 0x200
IFF_UP, IFF_RUNNING, IFF_NOARP, IFF_MULTICAST = 1, 0x40, 0x80, 0x1000
ARPHRD_ETHER = 1
GSO_MAX_SEGS = 65535  # an interface's gso_max_segs unless it is set
IN6_ADDR_GEN_MODE_NONE = 1
RT_SCOPE_LINK = 253
RTA_DST, RTA_OIF, RTN_LOCAL = 1, 4, 2
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RTMSG = struct.Struct("=8BI")  # family, two prefix lengths, tos, table, protocol, scope, type, flags
_COUNTERS = struct.Struct("=8Q")  # struct rtnl_link_stats64: rx, tx packets, bytes, errors, dropped

_USED = frozenset(
    (
        *(IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_STATS64),
        *(IFLA_GROUP, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_GSO_MAX_SEGS, IFLA_TXQLEN, IFLA_QDISC),
        *(IFLA_PROP_LIST, IFLA_PROMISCUITY),
    )
)


@record(frozen=False, slots=True)
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
    alternative_names: tuple[str, ...] = ()
    ethernet: bool = True
    promiscuous: bool = False
    queue: int = 0  # packets that it holds back at the most, txqueuelen
    arp: bool = True
    multicast: bool = True
    qdisc: str = ""
    port: netlink.Attributes = field(default_factory=dict)  # what it is given as a member of a bridge
    counters: tuple[int, ...] = ()


def read_links(place: Namespace, counters: bool = False) -> Iterator[Interface]:
    """Every interface of a namespace; with its counters if asked for."""
    mask = 0 if counters else RTEXT_FILTER_SKIP_STATS
    payload = IFINFO.pack(0, 0, 0, 0, 0) + netlink.pack(IFLA_EXT_MASK, struct.pack("=I", mask))
    request = netlink.message(RTM_GETLINK, netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP, payload)
    for kind, message in place.route.dump(request):
        if kind == RTM_NEWLINK:
            yield _interface(message)


def read_link(place: Namespace, ifname: str) -> Interface:
    """One interface, by its name. Raises OSError where it is not there."""
    return _interface(_asked(place, ifname))


def sends(place: Namespace, ifname: str) -> bool:
    """Whether an interface has a carrier, and its transmit queue; until the kernel has given it one, it drops all.

    Raises OSError where it is not there.
    """
    message = _asked(place, ifname)
    flags = IFINFO.unpack_from(message)[3]
    got = netlink.attributes(message[IFINFO.size :], frozenset((IFLA_QDISC,)))
    return bool(flags & IFF_RUNNING) and netlink.text(got[IFLA_QDISC]) != "noop"


def _asked(place: Namespace, ifname: str) -> memoryview:
    payload = IFINFO.pack(0, 0, 0, 0, 0) + netlink.pack(IFLA_IFNAME, ifname.encode() + b"\0")
    return place.route.ask(netlink.message(RTM_GETLINK, netlink.NLM_F_REQUEST, payload))[1]


def is_reached(place: Namespace, address: str) -> bool:
    """Whether packets to one of the namespace's own addresses stay in it.

    Of an IPv6 address that is new, not yet: the kernel adds the route by a worker, which a busy machine keeps waiting.
    """
    try:
        return way_to(place, address)[0]
    except OSError:
        return False


def way_to(place: Namespace, address: str) -> tuple[bool, int]:
    """Whether packets to an address stay in the namespace, and the index of the interface that they leave by.

    Raises OSError where there is no way.
    """
    raw = ipaddress.ip_address(address).packed
    family = socket.AF_INET6 if len(raw) == 16 else socket.AF_INET
    payload = _RTMSG.pack(family, 8 * len(raw), 0, 0, 0, 0, 0, 0, 0) + netlink.pack(RTA_DST, raw)
    _, message = place.route.ask(netlink.message(RTM_GETROUTE, netlink.NLM_F_REQUEST, payload))
    got = netlink.attributes(message[_RTMSG.size :], frozenset((RTA_OIF,)))
    return _RTMSG.unpack_from(message)[7] == RTN_LOCAL, netlink.number(got[RTA_OIF]) if RTA_OIF in got else 0


def read_packet_sockets() -> frozenset[int]:
    """The indices of interfaces that a packet socket is bound to, in the calling thread's namespace. packet(7)."""
    lines = Path("/proc/thread-self/net/packet").read_text().splitlines()[1:]
    return frozenset(int(words[4]) for words in map(str.split, lines) if len(words) > 4)


def _interface(message: memoryview) -> Interface:
    _, hardware, index, flags, _ = IFINFO.unpack_from(message)
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
        alternative_names=tuple(_alternatives(got[IFLA_PROP_LIST])) if IFLA_PROP_LIST in got else (),
        ethernet=hardware == ARPHRD_ETHER,
        promiscuous=IFLA_PROMISCUITY in got and number(got[IFLA_PROMISCUITY]) > 0,
        queue=number(got[IFLA_TXQLEN]) if IFLA_TXQLEN in got else 0,
        arp=not flags & IFF_NOARP,
        multicast=bool(flags & IFF_MULTICAST),
        qdisc=netlink.text(got[IFLA_QDISC]) if IFLA_QDISC in got else "",
        port=netlink.attributes(info[IFLA_INFO_SLAVE_DATA]) if IFLA_INFO_SLAVE_DATA in info else {},
        counters=_COUNTERS.unpack_from(got[IFLA_STATS64]) if IFLA_STATS64 in got else (),
    )


def _alternatives(properties: memoryview) -> Iterator[str]:
    for kind, value in netlink.every(properties):
        if kind == IFLA_ALT_IFNAME:
            yield netlink.text(value)


def read_addresses(place: Namespace, link_local: bool) -> dict[int, list[str]]:
    """The permanent addresses by interface: not those that a router advertised, IPv6's link-local ones if asked for.

    As `ip` writes them: 10.0.0.1/24, and with what is unusual 10.0.0.1 peer 10.0.0.9/24, 10.0.0.1/24 noprefixroute.
    """
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
        text = _written(raw)
        if got.get(IFA_ADDRESS, raw) != raw:
            text += f" peer {_written(got[IFA_ADDRESS])}"
        odd = " noprefixroute" if flags & IFA_F_NOPREFIXROUTE else ""
        found.setdefault(index, []).append(f"{text}/{length}{odd}")
    return found


def _written(raw: memoryview) -> str:
    text = socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
    # an IPv4 address inside, which a topology's addresses have in hexadecimal
    return str(ipaddress.ip_address(bytes(raw))) if ":" in text and "." in text else text


def bare(address: str) -> str:
    """An address as `read_addresses` has it, without its prefix length and what follows."""
    return address.partition(" ")[0].partition("/")[0]


@record(frozen=True, slots=True)
class Settings:
    """What an interface shall have; None is what it has already, or the kernel's own choice."""

    mtu: int | None = None
    mac: str | None = None
    gso_max_segs: int | None = None
    group: int | None = None
    alias: str | None = None
    up: bool | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """The names of those that are no None."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is not None)


_Sizes = tuple[tuple[str, int], ...]  # of the values that are stamped, by their names
_SENT = {  # a setting's attribute, the letter that marks it, and the form that the encoder takes it in
    "ifname": ("IFLA_IFNAME", "n", "text"),
    "mtu": ("IFLA_MTU", "m", "number"),
    "mac": ("IFLA_ADDRESS", "a", "mac"),
    "group": ("IFLA_GROUP", "g", "number"),
    "gso_max_segs": ("IFLA_GSO_MAX_SEGS", "s", "number"),
    "alias": ("IFLA_IFALIAS", "l", "text"),
    "master": ("IFLA_MASTER", "b", "number"),
    "netns": ("IFLA_NET_NS_FD", "f", "number"),
}


def new_link(ifname: str, kind: str, settings: Settings, data: Attrs = ()) -> bytes:
    """Make an interface; `data` are its kind's own attributes."""
    from vecnet.kernel import encode

    attrs: list[tuple[str, object]] = [("IFLA_IFNAME", ifname)]
    attrs += [(_SENT[key][0], getattr(settings, key)) for key in _stamped("", settings) if key != "ifname"]
    info = [("IFLA_INFO_KIND", kind), *([("IFLA_INFO_DATA", {"attrs": data})] if data else [])]
    return encode.link(RTM_NEWLINK, MAKE, [*attrs, ("IFLA_LINKINFO", {"attrs": info})])


def new_veth(ifname: str, settings: Settings, peer: str, theirs: Settings, netns: int | None = None) -> bytes:
    """Make a pair. `netns` is a descriptor of the namespace for the peer, where that is another."""
    mine, other = _stamped(ifname, settings), _stamped(peer, theirs)
    if netns is not None:
        other["netns"] = u32(netns)
    return _veth(_sizes(mine), _sizes(other)).stamp(**mine, **{f"peer_{key}": value for key, value in other.items()})


def set_link(ifname: str, settings: Settings) -> bytes:
    """Change an interface that is found by its name."""
    values = _stamped(ifname, settings)
    return _setting(_sizes(values), settings.up).stamp(**values)


def keep_ipv6_addresses_off(ifname: str) -> bytes:
    """Keep IPv6 from giving an interface an address of its own, which must be said before it is up.

    Refused with EAFNOSUPPORT where IPv6 is not on the interface: the kernel has none, or its MTU is below 1280.
    """
    values = {"ifname": name(ifname)}
    return _setting(_sizes(values), addresses=False).stamp(**values)


def set_master(ifname: str, up: bool | None = None) -> Unindexed:
    """Put an interface into a bridge, by the bridge's number; 0 takes it out of its own."""
    values = {"ifname": name(ifname)}
    return _setting((*_sizes(values), ("master", 4)), up).unindexed("master", **values)


def set_flag(ifname: str, flag: int) -> bytes:
    """Set a flag of an interface as a new one has it: all are off but for multicast."""
    from vecnet.kernel import encode

    on = flag if flag == IFF_MULTICAST else 0
    return encode.link(RTM_NEWLINK, ACKED, [("IFLA_IFNAME", ifname)], flags_on=on, change=flag)


def set_data(ifname: str, kind: str, data: Attrs, *, member: bool = False) -> bytes:
    """Change attributes of an interface's kind, or of what it is a `member` of."""
    from vecnet.kernel import encode

    slave = "SLAVE_" if member else ""
    info = [(f"IFLA_INFO_{slave}KIND", kind), (f"IFLA_INFO_{slave}DATA", {"attrs": data})]
    return encode.link(RTM_NEWLINK, ACKED, [("IFLA_IFNAME", ifname), ("IFLA_LINKINFO", {"attrs": info})])


def delete_qdisc() -> Unindexed:
    """Take the root queueing discipline from an interface, which then has the usual one again."""
    from vecnet.kernel import encode

    mark = Mark("i", 4)
    return Template(encode.root_qdisc(RTM_DELQDISC, ACKED, mark.number), index=mark).unindexed("index")


def delete_link(ifname: str) -> bytes:
    return _deletion("ifname", IFNAMSIZ - 1).stamp(ifname=name(ifname))


def delete_group(group: int) -> bytes:
    """Delete every interface of a group in one go."""
    return _deletion("group", 4).stamp(group=u32(group))


def address(text: str, *, add: bool) -> Unindexed:
    """Add or remove an address such as 10.0.0.1/24, for good where it is there for a time only. IPv6 without duplicate
    detection: a wire has two ends, and an address that is still tentative cannot be bound."""
    address, _, peer = text.removesuffix(" noprefixroute").partition(" peer ")
    interface = ipaddress.ip_interface(peer or address)
    raw, length = ipaddress.ip_address(bare(address)).packed, interface.network.prefixlen
    values = {"local": raw, "address": interface.ip.packed}
    if add and len(raw) == 4 and length < 31:
        values["broadcast"] = interface.network.broadcast_address.packed
    return _address(_sizes(values), length, add).unindexed("index", **values)


def _stamped(ifname: str, settings: Settings) -> dict[str, bytes]:
    """The settings that differ from interface to interface, as they are stamped."""
    values = {"ifname": name(ifname)}
    if settings.mtu is not None:
        values["mtu"] = u32(settings.mtu)
    if settings.mac is not None:
        values["mac"] = bytes.fromhex(settings.mac.replace(":", ""))
    if settings.group is not None:
        values["group"] = u32(settings.group)
    if settings.gso_max_segs is not None:
        values["gso_max_segs"] = u32(settings.gso_max_segs)
    if settings.alias is not None:
        values["alias"] = settings.alias.encode()
    return values


def _sizes(values: dict[str, bytes]) -> _Sizes:
    return tuple((key, len(value)) for key, value in values.items())


def _marked(sizes: _Sizes, *, upper: bool = False) -> tuple[dict[str, Mark], list[tuple[str, object]]]:
    """A mark for each value, and the attributes that carry it; capitals for a pair's second end."""
    marks, attrs = {}, []
    for key, size in sizes:
        attribute, letter, form = _SENT[key]
        marks[key] = Mark(letter.upper() if upper else letter, size)
        attrs.append((attribute, getattr(marks[key], form)))
    return marks, attrs


@cache
def _veth(mine: _Sizes, other: _Sizes) -> Template:
    from vecnet.kernel import encode

    marks, attrs = _marked(mine)
    peer, theirs = _marked(other, upper=True)
    data = [("VETH_INFO_PEER", {"attrs": theirs})]
    info = [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", {"attrs": data})]
    message = encode.link(RTM_NEWLINK, MAKE, [*attrs, ("IFLA_LINKINFO", {"attrs": info})])
    return Template(message, **marks, **{f"peer_{key}": mark for key, mark in peer.items()})


@cache
def _setting(sizes: _Sizes, up: bool | None = None, *, addresses: bool = True) -> Template:
    from vecnet.kernel import encode

    marks, attrs = _marked(sizes)
    if not addresses:
        inet6 = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", IN6_ADDR_GEN_MODE_NONE)]}
        attrs.append(("IFLA_AF_SPEC", {"attrs": [("AF_INET6", inet6)]}))
    return Template(encode.link(RTM_NEWLINK, ACKED, attrs, up=up), **marks)


@cache
def _deletion(key: str, size: int) -> Template:
    from vecnet.kernel import encode

    marks, attrs = _marked(((key, size),))
    return Template(encode.link(RTM_DELLINK, ACKED, attrs), **marks)


@cache
def _address(sizes: _Sizes, length: int, add: bool) -> Template:
    from vecnet.kernel import encode

    marks = {key: Mark(key[0], size) for key, size in sizes}
    v6 = marks["local"].size == 16
    header = {
        "family": socket.AF_INET6 if v6 else socket.AF_INET,
        "prefixlen": length,
        "flags": IFA_F_NODAD if v6 and add else 0,
        "index": Mark("i", 4).number,
    }
    attrs = [(f"IFA_{key.upper()}", mark.ip) for key, mark in marks.items()]
    message = encode.address(RTM_NEWADDR if add else RTM_DELADDR, SET if add else ACKED, header, attrs)
    return Template(message, index=Mark("i", 4), **marks)
