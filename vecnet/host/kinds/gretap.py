"""gretap and ip6gretap: Ethernet over GRE, RFC 2784 and 2890, matching a guest's gre device.

1. Both keys or none: a packet with a key and one without never meet.
2. Sequence numbers are sent and never demanded: a guest's start again with every boot.
3. Oversized packets of the kernel's own are fragmented (no path MTU discovery, don't-fragment ignored); ip6gretap
   sends no destination option and takes a remote address of this host.
4. Transmit checksum offload is off: over a veth or to this host, frames would arrive with open checksums.
5. (local, remote, ikey) is unique in a namespace. A guest takes GRE by its local address and key, whoever sent it: so
   it is handed the packets of a device of the kernel's with the same, too.

Source: linux/if_tunnel.h; ip-link(8), "GRE/IPIP Type Support".
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import fields

from vecnet.errors import HostError
from vecnet.host.kinds.base import Intent, InterfaceKind, Scene, Seen, new_link
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op
from vecnet.kernel import netlink
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import Attributes, GreAttributes

IFLA_GRE_IFLAGS, IFLA_GRE_OFLAGS, IFLA_GRE_IKEY, IFLA_GRE_OKEY = 2, 3, 4, 5
IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, IFLA_GRE_TTL = 6, 7, 8
GRE_KEY, GRE_SEQUENCE = 0x2000, 0x1000  # RFC 2890, as they stand in the header's first two bytes
IP6_TNL_F_IGN_ENCAP_LIMIT, IP6_TNL_F_ALLOW_LOCAL_REMOTE = 0x01, 0x40


class Gretap(InterfaceKind):
    name = "gretap"
    kernel_name = "gretap"
    modules = ("ip_gre",)
    fixed = frozenset(each.name for each in fields(GreAttributes))
    offloads = True

    def seen(self, link: Interface, netns: str | None, snapshot: Snapshot) -> Seen | None:
        return (_read(link),)

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        yield new_link(self, node, scene, self.data(_values(node.values)))

    def data(self, values: GreAttributes) -> list[tuple[str, object]]:
        """What the kernel is told of the tunnel."""
        return [*_data("IFLA_GRE_", values, *_flags(values)), ("IFLA_GRE_PMTUDISC", 0), ("IFLA_GRE_IGNORE_DF", 1)]

    def outer(self, node: Node) -> tuple[str, str] | None:
        values = _values(node.values)
        return values.local, values.remote

    def clashes(self, intent: Intent) -> Iterator[HostError]:
        new = intent.new(self.name)
        there = {
            (netns, *_pair(_read(link))): link.ifname
            for netns in {node.netns for node in new}
            for link in self._staying(intent, netns)
        }
        for node in new:
            values = _values(node.values)
            if other := there.get((node.netns, *_pair(values))):
                yield HostError(
                    f"{node}: {other} is a GRE device from {values.local} to {values.remote} with "
                    f"{_keyed(values.ikey)} already",
                    "give the link other addresses or a key",
                )
        yield from self._strays(intent)

    def _strays(self, intent: Intent) -> Iterator[HostError]:
        """Guests' ends that would be handed the packets of a device that is there and stays."""
        taken = [(end, *claim.value) for end in intent.guests for claim in end.claims if claim.what == "gre"]
        devices: dict[tuple[str, int | None], str] = {}
        if taken:
            read = [(_read(link), link.ifname) for link in self._staying(intent, None)]
            devices = {(values.local, values.ikey): ifname for values, ifname in read}
        for end, address, key in taken:
            if (address, key) in devices:
                yield HostError(
                    f"{end.endpoint}: {devices[address, key]} receives GRE to {address} with {_keyed(key)} already, "
                    "and the guest would be handed its packets too",
                    "give the link other addresses or a key",
                )

    def _staying(self, intent: Intent, netns: str | None) -> Iterator[Interface]:
        for link in intent.snapshot.view(netns).links:
            if link.kind == self.kernel_name and (netns or "", link.ifname) not in intent.plan.going:
                yield link


class Ip6gretap(Gretap):
    name = "ip6gretap"
    kernel_name = "ip6gretap"
    modules = ("ip6_gre",)

    def data(self, values: GreAttributes) -> list[tuple[str, object]]:
        from vecnet.kernel.encode import ip6gre_flags

        flags = IP6_TNL_F_IGN_ENCAP_LIMIT | IP6_TNL_F_ALLOW_LOCAL_REMOTE
        return [*_data("IFLA_IP6GRE_", values, *map(ip6gre_flags, _flags(values))), ("IFLA_IP6GRE_FLAGS", flags)]


def _values(values: Attributes) -> GreAttributes:
    assert isinstance(values, GreAttributes)
    return values


def _read(link: Interface) -> GreAttributes:
    data = link.data
    iflags, oflags = (int.from_bytes(data.get(flags, b""), "big") for flags in (IFLA_GRE_IFLAGS, IFLA_GRE_OFLAGS))
    ikey, okey = (int.from_bytes(data.get(key, b""), "big") for key in (IFLA_GRE_IKEY, IFLA_GRE_OKEY))
    return GreAttributes(
        local=_address(data.get(IFLA_GRE_LOCAL)),
        remote=_address(data.get(IFLA_GRE_REMOTE)),
        ikey=ikey if iflags & GRE_KEY else None,
        okey=okey if oflags & GRE_KEY else None,
        oseq=bool(oflags & GRE_SEQUENCE),
        ttl=netlink.number(data[IFLA_GRE_TTL]) if IFLA_GRE_TTL in data else 0,
        iseq=bool(iflags & GRE_SEQUENCE),
    )


def _address(raw: memoryview | None) -> str:
    """An outer address, "" where the device has none."""
    if raw is None:
        return ""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _flags(values: GreAttributes) -> tuple[int, int]:
    key = GRE_KEY if values.ikey is not None else 0
    return key, key | (GRE_SEQUENCE if values.oseq else 0)


def _data(prefix: str, values: GreAttributes, iflags: int, oflags: int) -> list[tuple[str, object]]:
    attrs: list[tuple[str, object]] = [
        ("IFLAGS", iflags),
        ("OFLAGS", oflags),
        ("LOCAL", values.local),
        ("REMOTE", values.remote),
        ("TTL", values.ttl),
    ]
    if values.ikey is not None:
        attrs += [("IKEY", values.ikey), ("OKEY", values.okey)]
    return [(prefix + name, value) for name, value in attrs]


def _pair(values: GreAttributes) -> tuple[str, str, int | None]:
    return values.local, values.remote, values.ikey


def _keyed(key: int | None) -> str:
    return "no key" if key is None else f"key {key}"
