"""fd: a descriptor that the guest inherits: a socket between two guests, or a tap's, which needs vec=0.

Source: HOWTO, "fd transport"; arch/um/drivers/vector_user.c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, Self

from vecnet.options import Reading, Value, option
from vecnet.transports.answers import FarEnd, Sample
from vecnet.transports.base import Transport
from vecnet.transports.link import Claim, HostInterface, Key, Link, Mistake
from vecnet.transports.tap import TAP_KEYS, tap_interface
from vecnet.values import Integer

_FD = Integer(0, 1023)  # a process's usual limit on descriptors
_FIRST_FD = 100  # vecN inherits 100 + N, above what a guest opens by itself while it starts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fd(Transport):
    """An inherited descriptor that carries whole frames. Privilege: none."""

    name: ClassVar[str] = "fd"
    far_end = FarEnd.OTHER_STRING
    samples = (Sample("fd", "endpoints: ['a:vec{unit}', 'b:vec{unit}']"),)
    howto = "varies"
    guest_keys = {"fd": Key(_FD, "the descriptor's number in the guest")}
    host_keys = TAP_KEYS
    switch_keys = {}
    at_switch = True
    interface_keys = ("ip", "mac", "bridge", "existing")

    fd: int = option(_FD, Reading.DECIMAL, "the descriptor's number")

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        if all(end.switch for end in link.ends):
            yield Mistake("two switches inherit no descriptor", "write transport: bess", "")

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        guest = link.ends[0 if link.host else end]
        options: dict[str, Value] = {"fd": guest.given.get("fd", _FIRST_FD + guest.unit)}
        if link.host:
            options["vec"] = False  # a tap's descriptor takes one frame per call
        return options

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        if link.host is None:
            return ()
        return (tap_interface(link, ends[1].mtu, offload=False, vnet_hdr=False),)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        this = link.ends[end]
        if this.node is None:
            return ()
        return (Claim("fd", (this.node, options.fd), f"descriptor {options.fd} of {this.node}", "fd"),)

    def inherits(self) -> int | None:
        return self.fd

    def inheriting(self, descriptor: int) -> Self:
        return dataclasses.replace(self, fd=descriptor)
