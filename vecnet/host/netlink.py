"""The messages that change the host, encoded by pyroute2: the one file that imports it.

It is imported only once something is to be changed, since that takes longer than all else a run without changes does.
Only pyroute2's message classes are used, and not for what goes out by the thousand (`links.py`); what is sent when, and
how answers are read, is `wire.py`'s. What pyroute2 encodes differently from what the kernel reads is mended here
(ip6gretap's flags, the cookies of l2tp).

Source: rtnetlink(7); linux/if_link.h, if_tunnel.h, ethtool_netlink.h, l2tp.h.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any

from pyroute2.netlink import genlmsg
from pyroute2.netlink.generic.ethtool import ETHTOOL_MSG_FEATURES_SET, ethtoolbitset, ethtoolheader
from pyroute2.netlink.generic.l2tp import (
    L2TP_CMD_SESSION_CREATE,
    L2TP_CMD_SESSION_DELETE,
    L2TP_CMD_TUNNEL_CREATE,
    L2TP_CMD_TUNNEL_DELETE,
    L2TP_GENL_VERSION,
    l2tpmsg,
)
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from vecnet.host.links import new_veth as new_veth
from vecnet.host.links import set_link as set_link

Attrs = list[tuple[str, Any]]

_ACKED = 0x5  # NLM_F_REQUEST | NLM_F_ACK
_MAKE = _ACKED | 0x600  # NLM_F_CREATE | NLM_F_EXCL
_ADDRESS_TYPES = {4: socket.AF_INET, 6: socket.AF_INET6}


def _encoded(message: Any, kind: int, flags: int, attrs: Attrs) -> bytes:
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message["attrs"] = attrs
    message.encode()
    return bytes(message.data)


def _link_attrs(ifname: str, values: Mapping[str, Any]) -> Attrs:
    attrs: Attrs = [("IFLA_IFNAME", ifname)]
    attrs += [
        (attribute, values[key])
        for key, attribute in (("mtu", "IFLA_MTU"), ("mac", "IFLA_ADDRESS"), ("group", "IFLA_GROUP"))
        if values.get(key) is not None
    ]
    return attrs


def new_link(ifname: str, kind: str, *, data: Attrs | None = None, **values: Any) -> bytes:
    """Make an interface; `values` are mtu, mac and group, `data` its kind's own attributes."""
    info: Attrs = [("IFLA_INFO_KIND", kind)]
    if data:
        info.append(("IFLA_INFO_DATA", {"attrs": data}))
    return _encoded(ifinfmsg(), RTM_NEWLINK, _MAKE, [*_link_attrs(ifname, values), ("IFLA_LINKINFO", {"attrs": info})])


def delete_link(ifname: str) -> bytes:
    return _encoded(ifinfmsg(), RTM_DELLINK, _ACKED, [("IFLA_IFNAME", ifname)])


def delete_group(group: int) -> bytes:
    """Delete every interface of a group in one go."""
    return _encoded(ifinfmsg(), RTM_DELLINK, _ACKED, [("IFLA_GROUP", group)])


def address(index: int, text: str, *, add: bool) -> bytes:
    """Add or remove an address such as 10.0.0.1/24. IPv6 without duplicate detection: a wire has two ends, and an
    address that is still tentative cannot be bound."""
    interface = ipaddress.ip_interface(text)
    message = ifaddrmsg()
    message["family"] = _ADDRESS_TYPES[interface.version]
    message["prefixlen"] = interface.network.prefixlen
    message["index"] = index
    attrs: Attrs = [("IFA_LOCAL", str(interface.ip)), ("IFA_ADDRESS", str(interface.ip))]
    if interface.version == 6 and add:
        message["flags"] = IFA_F_NODAD
    if interface.version == 4 and add and interface.network.prefixlen < 31:
        attrs.append(("IFA_BROADCAST", str(interface.network.broadcast_address)))
    return _encoded(message, RTM_NEWADDR if add else RTM_DELADDR, _MAKE if add else _ACKED, attrs)


class _Features(genlmsg):  # type: ignore[misc]
    """ETHTOOL_MSG_FEATURES_SET, which pyroute2 has no class for."""

    nla_map = (
        ("ETHTOOL_A_FEATURES_UNSPEC", "none"),
        ("ETHTOOL_A_FEATURES_HEADER", "header_"),
        ("ETHTOOL_A_FEATURES_HW", "bitset"),
        ("ETHTOOL_A_FEATURES_WANTED", "bitset"),
    )
    header_ = ethtoolheader
    bitset = ethtoolbitset


def set_features(family: int, ifname: str, features: tuple[str, ...], on: bool) -> bytes:
    """Switch offloads by ethtool's names for them."""
    message = _Features()
    message["cmd"] = ETHTOOL_MSG_FEATURES_SET
    message["version"] = 1
    bits = []
    for name in features:
        bit: Attrs = [("ETHTOOL_A_BITSET_BIT_NAME", name)]
        if on:
            bit.append(("ETHTOOL_A_BITSET_BIT_VALUE", True))
        bits.append(("ETHTOOL_A_BITSET_BITS_BIT", {"attrs": bit}))
    return _encoded(
        message,
        family,
        _ACKED,
        [
            ("ETHTOOL_A_FEATURES_HEADER", {"attrs": [("ETHTOOL_A_HEADER_DEV_NAME", ifname)]}),
            (
                "ETHTOOL_A_FEATURES_WANTED",
                {"attrs": [("ETHTOOL_A_BITSET_BITS", {"attrs": bits})]},
            ),
        ],
    )


GRE_KEY, GRE_SEQUENCE = 0x2000, 0x1000  # RFC 2890, the flags' places in the header's first two bytes
_IP6GRE_FLAGS = 0x41  # IP6_TNL_F_IGN_ENCAP_LIMIT, IP6_TNL_F_ALLOW_LOCAL_REMOTE


def gretap_data(values: Mapping[str, Any]) -> Attrs:
    """A gretap's attributes, from `values` in iproute2's words. The kernel's own oversized packets are fragmented."""
    attrs = _gre_data("IFLA_GRE_", values, lambda flags: flags)
    return [*attrs, ("IFLA_GRE_PMTUDISC", 0), ("IFLA_GRE_IGNORE_DF", 1)]


def ip6gretap_data(values: Mapping[str, Any]) -> Attrs:
    """An ip6gretap's attributes: no destination option before each packet, and a remote on this host is allowed."""
    # pyroute2 writes these flags in the machine's byte order, the kernel reads them in the network's
    attrs = _gre_data("IFLA_IP6GRE_", values, socket.htons)
    return [*attrs, ("IFLA_IP6GRE_FLAGS", _IP6GRE_FLAGS)]


def _gre_data(prefix: str, values: Mapping[str, Any], flags: Callable[[int], int]) -> Attrs:
    key = GRE_KEY if values["ikey"] is not None else 0
    attrs: Attrs = [
        ("IFLAGS", flags(key)),
        ("OFLAGS", flags(key | (GRE_SEQUENCE if values["oseq"] else 0))),
        ("LOCAL", values["local"]),
        ("REMOTE", values["remote"]),
        ("TTL", values["ttl"]),
    ]
    if key:
        attrs += [("IKEY", values["ikey"]), ("OKEY", values["okey"])]
    return [(prefix + name, value) for name, value in attrs]


class _L2tp(l2tpmsg):  # type: ignore[misc]
    """pyroute2's message, with cookies as the bytes that they are."""

    nla_map = tuple((name, "cdata" if name.endswith("COOKIE") else kind) for name, kind in l2tpmsg.nla_map)


L2TP_VERSION = 3
_ENCAP = {"udp": 0, "ip": 1}  # enum l2tp_encap_type
_L2SPEC = {"none": 0, "default": 1}  # enum l2tp_l2spec_type
_PSEUDOWIRE_ETHERNET = 5  # RFC 4719


def _l2tp(family: int, command: int, attrs: Attrs) -> bytes:
    message = _L2tp()
    message["cmd"] = command
    message["version"] = L2TP_GENL_VERSION
    return _encoded(message, family, _ACKED, [(f"L2TP_ATTR_{name}", value) for name, value in attrs])


def new_tunnel(family: int, peer_tunnel_id: int, values: Mapping[str, Any]) -> bytes:
    """An L2TPv3 tunnel. Over IPv6 UDP checksums are sent and demanded, which is the kernel's own choice."""
    ip = "IP6" if ":" in values["local"] else "IP"
    attrs: Attrs = [
        ("CONN_ID", values["tunnel_id"]),
        ("PEER_CONN_ID", peer_tunnel_id),
        ("PROTO_VERSION", L2TP_VERSION),
        ("ENCAP_TYPE", _ENCAP[values["encap"]]),
        (f"{ip}_SADDR", values["local"]),
        (f"{ip}_DADDR", values["remote"]),
    ]
    if values["encap"] == "udp":
        attrs += [("UDP_SPORT", values["udp_sport"]), ("UDP_DPORT", values["udp_dport"])]
    return _l2tp(family, L2TP_CMD_TUNNEL_CREATE, attrs)


def new_session(family: int, ifname: str, values: Mapping[str, Any]) -> bytes:
    """A tunnel's Ethernet session, with its interface. `cookie` is what is sent, `peer_cookie` what is demanded."""
    attrs: Attrs = [
        ("CONN_ID", values["tunnel_id"]),
        ("SESSION_ID", values["session_id"]),
        ("PEER_SESSION_ID", values["peer_session_id"]),
        ("PW_TYPE", _PSEUDOWIRE_ETHERNET),
        ("IFNAME", ifname),
        ("L2SPEC_TYPE", _L2SPEC[values["l2spec_type"]]),
    ]
    if values["cookie_size"]:
        attrs += [
            ("COOKIE", values["cookie"].to_bytes(values["cookie_size"], "big")),
            ("PEER_COOKIE", values["peer_cookie"].to_bytes(values["cookie_size"], "big")),
        ]
    return _l2tp(family, L2TP_CMD_SESSION_CREATE, attrs)


def delete_session(family: int, tunnel_id: int, session_id: int) -> bytes:
    return _l2tp(family, L2TP_CMD_SESSION_DELETE, [("CONN_ID", tunnel_id), ("SESSION_ID", session_id)])


def delete_tunnel(family: int, tunnel_id: int) -> bytes:
    return _l2tp(family, L2TP_CMD_TUNNEL_DELETE, [("CONN_ID", tunnel_id)])
