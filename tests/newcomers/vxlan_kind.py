"""vxlan: a point-to-point VXLAN device of the host's. A kind of interface that no transport of vecnet's needs.

Source: linux/if_link.h; ip-link(8), "VXLAN Type Support".
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import fields

from vecnet.host.kinds.base import InterfaceKind, Scene, Seen, new_link
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op
from vecnet.kernel import netlink
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import Attributes, GreAttributes

IFLA_VXLAN_ID, IFLA_VXLAN_GROUP, IFLA_VXLAN_LOCAL, IFLA_VXLAN_TTL = 1, 2, 4, 5
PORT = 4789


class VxlanKind(InterfaceKind):
    name = "vxlan"
    kernel_name = "vxlan"
    modules = ("vxlan",)
    fixed = frozenset(each.name for each in fields(GreAttributes))
    offloads = True

    def seen(self, link: Interface, netns: str | None, snapshot: Snapshot) -> Seen | None:
        network = netlink.number(link.data[IFLA_VXLAN_ID])
        local, remote = (
            socket.inet_ntop(socket.AF_INET, link.data[key]) for key in (IFLA_VXLAN_LOCAL, IFLA_VXLAN_GROUP)
        )
        ttl = netlink.number(link.data[IFLA_VXLAN_TTL])
        return (GreAttributes(local, remote, network, network, oseq=False, ttl=ttl),)

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        values = self._values(node.values)
        data = [
            ("IFLA_VXLAN_ID", values.ikey),
            ("IFLA_VXLAN_LOCAL", values.local),
            ("IFLA_VXLAN_GROUP", values.remote),
            ("IFLA_VXLAN_PORT", PORT),
            ("IFLA_VXLAN_TTL", values.ttl),
        ]
        yield new_link(self, node, scene, data)

    def outer(self, node: Node) -> tuple[str, str] | None:
        values = self._values(node.values)
        return values.local, values.remote

    @staticmethod
    def _values(values: Attributes) -> GreAttributes:
        assert isinstance(values, GreAttributes)
        return values
