"""tap: one descriptor of a persistent tap interface, with a virtio-net header before each frame.

Source: HOWTO, "tap transport"; drivers/net/tun.c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from vecnet.options import Effect, Reading, Severity, option
from vecnet.transports.base import Transport
from vecnet.transports.link import HostInterface, Key, Link, Sides, TapAttributes, host_interface
from vecnet.values import Account, IfName, Word

VNET_HEADER = 10  # struct virtio_net_hdr, linux/virtio_net.h

TAP_KEYS = {
    "owner": Key(Account(), "the user who may open the tap"),
    "group": Key(Account(), "the group that may open the tap"),
}


def ifname_option(missing: Effect | None = None) -> Any:
    """The tap's name, which tap and hybrid both need."""
    failure = Effect(Severity.REFUSED, "opening the device fails: Invalid argument")
    return option(IfName(), Reading.TEXT, "the tap interface", failure, missing=missing)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tap(Transport):
    """A tap interface of the host. Privilege: its owner, or CAP_NET_ADMIN."""

    name: ClassVar[str] = "tap"
    sides = Sides.HOST_AND_GUEST
    host_keys = TAP_KEYS
    interface_keys = ("ip", "mac", "bridge", "netns")
    instead_of_guests = "use two links, each with its own host end, and the same bridge at both of these"
    topology_gro = True

    ifname: str = ifname_option(
        missing=Effect(Severity.FALLBACK, "the guest makes a tap with a random name, or refuses where it may not")
    )
    ifup: str | None = option(Word(), Reading.TEXT, "a program that is run with the interface's name", default=None)

    @classmethod
    def effects(cls, values: Mapping[str, Any]) -> Iterator[Effect]:
        yield from large_frames(values, f"ip link set {values['ifname']} gso_max_segs 1")

    @property
    def header_size(self) -> int:
        return VNET_HEADER

    @classmethod
    def strung(cls, link: Link, end: int) -> dict[str, Any]:
        return {"ifname": link.ends[1].ifname}

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        return (tap_interface(link, ends[1].mtu, offload=ends[1].gro, vnet_hdr=True),)


def large_frames(values: Mapping[str, Any], on_the_host: str) -> Iterator[Effect]:
    """Without gro a guest has no room for the large frames that a host's stack makes of TCP."""
    if not values["gro"]:
        message = "without gro the guest cuts large frames short: TCP from the host crawls, unless it sends none"
        yield Effect(Severity.NOTE, message, f"give gro=1, or on the host, as vecnet up does: {on_the_host}")


def tap_interface(link: Link, mtu: int, *, offload: bool, vnet_hdr: bool) -> HostInterface:
    """The persistent tap at the host's end of a link."""
    given = link.ends[1].given
    attributes = TapAttributes(given.get("owner"), given.get("group"), vnet_hdr)
    return host_interface(link, "tap", mtu, attributes, offload=offload)
