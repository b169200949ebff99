"""gretap and ip6gretap: Ethernet over GRE, RFC 2784 and 2890, matching a guest's gre device.

1. Both keys or none: a packet with a key and one without never meet.
2. Sequence numbers are sent and never demanded: a guest's start again with every boot.
3. Oversized packets of the kernel's own are fragmented (no path MTU discovery, don't-fragment ignored); ip6gretap
   sends no destination option and takes a remote address of this host.
4. Transmit checksum offload is off: over a veth or to this host, frames would arrive with open checksums.

Source: linux/if_tunnel.h; ip-link(8), "GRE/IPIP Type Support".
"""

from __future__ import annotations

import socket
from typing import Any

from vecnet.host.kinds.base import Kind
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Work
from vecnet.kernel import netlink
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import HostInterface

IFLA_GRE_IFLAGS, IFLA_GRE_OFLAGS, IFLA_GRE_IKEY, IFLA_GRE_OKEY = 2, 3, 4, 5
IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, IFLA_GRE_TTL = 6, 7, 8
GRE_KEY, GRE_SEQUENCE = 0x2000, 0x1000  # RFC 2890, as they stand in the header's first two bytes
_VALUES = ("local", "remote", "ikey", "okey", "oseq", "ttl")


class Gretap(Kind):
    name = "gretap"
    kernel_name = "gretap"
    modules = ("ip_gre",)
    fixed = frozenset({*_VALUES, "iseq"})
    offloads = True

    def wanted(self, interface: HostInterface) -> dict[str, Any]:
        return {**{key: interface.attributes[key] for key in _VALUES}, "iseq": False}

    def seen(self, link: Interface, netns: str | None, world: Snapshot) -> dict[str, Any] | None:
        return read(link)

    def make(self, work: Work, node: Node) -> None:
        work.new_link(node, self.kernel_name, lambda n: n.gretap_data(node.values))


class Ip6gretap(Gretap):
    name = "ip6gretap"
    kernel_name = "ip6gretap"
    modules = ("ip6_gre",)

    def make(self, work: Work, node: Node) -> None:
        work.new_link(node, self.kernel_name, lambda n: n.ip6gretap_data(node.values))


def read(link: Interface) -> dict[str, Any]:
    """A GRE device's values, in iproute2's words."""
    data = link.data
    iflags, oflags = (int.from_bytes(data.get(flags, b""), "big") for flags in (IFLA_GRE_IFLAGS, IFLA_GRE_OFLAGS))
    ikey, okey = (int.from_bytes(data.get(key, b""), "big") for key in (IFLA_GRE_IKEY, IFLA_GRE_OKEY))
    return {
        "local": _address(data.get(IFLA_GRE_LOCAL)),
        "remote": _address(data.get(IFLA_GRE_REMOTE)),
        "ikey": ikey if iflags & GRE_KEY else None,
        "okey": okey if oflags & GRE_KEY else None,
        "oseq": bool(oflags & GRE_SEQUENCE),
        "ttl": netlink.number(data[IFLA_GRE_TTL]) if IFLA_GRE_TTL in data else 0,
        "iseq": bool(iflags & GRE_SEQUENCE),
    }


def _address(raw: memoryview | None) -> str | None:
    if raw is None:
        return None
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
