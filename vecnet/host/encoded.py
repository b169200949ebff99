"""Messages that pyroute2's classes encode: the one file that imports it, with the first message that needs it.

What pyroute2 encodes differently from what the kernel reads is mended here (ip6gretap's flags).

Source: rtnetlink(7); linux/if_link.h, if_tunnel.h, ethtool_netlink.h.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from pyroute2.netlink import genlmsg
from pyroute2.netlink.generic.ethtool import ETHTOOL_MSG_FEATURES_SET, ethtoolbitset, ethtoolheader
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from vecnet.host.links import ACKED, MAKE
from vecnet.kernel.rtnl import RTM_NEWLINK

Attrs = list[tuple[str, Any]]


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
    return _encoded(ifinfmsg(), RTM_NEWLINK, MAKE, [*_link_attrs(ifname, values), ("IFLA_LINKINFO", {"attrs": info})])


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
        ACKED,
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
