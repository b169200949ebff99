"""bess: a sequenced-packet Unix socket, connected to a switch that listens. Frames have no header.

Source: HOWTO, "BESS socket transport"; unix(7).
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Self

from vecnet.options import Reading, Value, option
from vecnet.runtime import socket_path
from vecnet.transports.answers import FarEnd, Sample
from vecnet.transports.base import Transport
from vecnet.transports.link import Claim, Key, Link, Sides
from vecnet.values import UnixPath


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bess(Transport):
    """A connection to a BESS switch, which must listen before the device is brought up. Privilege: none."""

    name: ClassVar[str] = "bess"
    far_end = FarEnd.SWITCH
    samples = (
        Sample("bess", "endpoints: {{'a:vec{unit}': {{}}, 'host:port{unit}': {{path: '{folder}/switch{unit}'}}}}"),
    )
    howto = "> 3"
    sides = Sides.HOST_AND_GUEST
    at_switch = True
    guest_keys = {"path": Key(UnixPath(), "the path that the guest's own socket is bound to")}
    interface_keys = ()  # the switch is no interface of the host
    instead_of_guests = "use two links to the switch, each with its own socket, such as host:port1"
    host_keys = {"path": Key(UnixPath(), "the path on which the switch listens", required=True)}
    varying = frozenset({"dst", "src"})
    switch_keys = {"path": Key(UnixPath(), "the path on which the switch listens; in a private folder if left out")}

    dst: str = option(UnixPath(), Reading.TEXT, "the switch's socket")
    src: str | None = option(UnixPath(), Reading.TEXT, "the path that the guest's socket is bound to", default=None)

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        near, far = link.ends
        path = link.door or far.given.get("path") or socket_path(link.topology, str(near))
        return {"dst": path, "src": near.given.get("path") if near.node is not None else None}

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        path = options.dst if end else options.src
        return (Claim("unix", (path,), f"the Unix socket {path}", "path"),) if path else ()

    @property
    def far_name(self) -> str:
        return self.dst
