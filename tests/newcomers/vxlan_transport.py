"""vxlan: Ethernet over VXLAN in UDP. A transport that no guest has: what a newcomer's file looks like.

Source: RFC 7348, section 5.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Self

from vecnet.options import Reading, Value, option
from vecnet.transports.answers import TUNNEL_SAMPLE, FarEnd, Protocol, Receiver, Sample
from vecnet.transports.base import UDP_HEADER
from vecnet.transports.link import Claim, GreAttributes, HostInterface, Link, host_interface
from vecnet.transports.tunnel import LOCAL, Tunnel
from vecnet.values import Integer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vxlan(Tunnel):
    """A VXLAN tunnel between two addresses. Privilege: none."""

    name: ClassVar[str] = "vxlan"
    far_end = FarEnd.OTHER_STRING
    samples = (Sample("vxlan", TUNNEL_SAMPLE),)
    guest_keys = host_keys = LOCAL
    interface_keys = ("ip", "mac", "bridge", "netns")

    vni: int = option(Integer(1, 2**24 - 1), Reading.SIGNED32, "the network's number")

    @property
    def header_size(self) -> int:
        return 8

    @property
    def overhead(self) -> int:
        return super().overhead + UDP_HEADER

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        here, there = link.ends[end].given["local"], link.ends[1 - end].given["local"]
        return {"src": here, "dst": there, "vni": link.choose("vni", 0, 1, 2**24 - 1)}

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        if link.host is None:
            return ()
        here = ends[1]
        attributes = GreAttributes(here.src, here.dst, here.vni, here.vni, oseq=False, ttl=64)
        return (host_interface(link, "vxlan", here.mtu, attributes, offload=False),)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        return (Claim("vxlan", (options.src,), f"VXLAN to {options.src}", "local"),)

    def receives_at(self) -> Receiver | None:
        return Receiver(Protocol.UDP, self.src, 4789, self.vni)

    def misfits(self, header: bytes) -> Iterator[str]:
        if int.from_bytes(header[4:7], "big") != self.vni:
            yield f"the sender sends another network than {self.vni}"
