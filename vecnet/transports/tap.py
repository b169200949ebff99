"""tap: one descriptor of a persistent tap interface, with a virtio-net header before each frame.

Source: HOWTO, "tap transport"; drivers/net/tun.c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from vecnet.guests import Case
from vecnet.options import Reading, Value, option
from vecnet.transports.answers import FarEnd, Sample
from vecnet.transports.base import Transport, small_buffers
from vecnet.transports.link import HostInterface, Key, Link, Sides, TapAttributes, host_interface
from vecnet.values import Account, IfName, Word

TAP_KEYS = {
    "owner": Key(Account(), "the user who may open the tap"),
    "group": Key(Account(), "the group that may open the tap"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tap(Transport):
    """A tap interface of the host. Privilege: its owner, or CAP_NET_ADMIN."""

    name: ClassVar[str] = "tap"
    sides = Sides.HOST_AND_GUEST
    host_keys = TAP_KEYS
    interface_keys = ("ip", "mac", "bridge", "netns", "existing")
    instead_of_guests = "use two links, each with its own host end, and the same bridge at both of these"
    vnet = True
    varying = frozenset({"ifname"})
    far_end = FarEnd.HOST_INTERFACE
    samples = (Sample("tap", "endpoints: ['a:vec{unit}', 'host:tap{unit}']"),)
    howto = "> 8"

    ifname: str = option(IfName(), Reading.TEXT, "the tap interface")
    ifup: str | None = option(Word(), Reading.TEXT, "a program that is run with the interface's name", default=None)

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        if not values["gro"]:
            yield small_buffers(f"ip link set {values['ifname']} gso_max_segs 1")

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        return {"ifname": link.ends[1].ifname}

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        return (tap_interface(link, ends[1].mtu, offload=ends[1].gro, vnet_hdr=True),)

    @property
    def far_name(self) -> str:
        return self.ifname

    @classmethod
    def opened_in(cls, link: Link) -> str | None:
        return link.ends[1].given.get("netns")


def tap_interface(link: Link, mtu: int, *, offload: bool, vnet_hdr: bool) -> HostInterface:
    """The persistent tap at the host's end of a link."""
    given = link.ends[1].given
    attributes = TapAttributes(given.get("owner"), given.get("group"), vnet_hdr)
    return host_interface(link, "tap", mtu, attributes, offload=offload)
