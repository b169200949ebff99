"""vde: a socket to `vde_plug`, which the guest starts, and which brings its frames into a VDE network.

Frames have no header. From the PATH that its kernel was started with, the guest runs vdeplug 4 or later:
`vde_plug --descr D [--port2 P] [--mod2 M] [--group2 G] seqpacket://FD VNL`, where D is UML unless `descr` is given.
Guests have it from 6.12 on. A vde_switch of vde2 2.3.2 cuts frames at 1518 bytes.

Source: HOWTO, "VDE vector transport"; arch/um/drivers/vector_user.c; vde_plug(1), libvdeplug(3).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from vecnet.guests import Case, Situation
from vecnet.options import Reading, Value, option
from vecnet.transports.answers import FarEnd
from vecnet.transports.base import Transport, other_mac
from vecnet.transports.link import Key, Link, Sides
from vecnet.values import Word

_SHARED = ("vde", "vxvde")  # whose networks have any number of plugs; a path alone is a switch's
_PORT = re.compile(r"\[[^]]*\]$")  # the port of a switch's, libvdeplug_vde(1)
_MAC = "02:00:00:00:00:02"  # of a guest without an address of its own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vde(Transport):
    """A VDE network, by a program that the guest starts. Privilege: what the network asks for."""

    name: ClassVar[str] = "vde"
    sides = Sides.OUTSIDE_AND_GUEST
    far_end = FarEnd.PROGRAM
    program = "vde"
    guest_keys = {"descr": Key(Word(), "what the switch shows the guest as")}
    outside_keys = {
        "url": Key(Word(), "the network's locator: vde:///run/vde.ctl, slirp://, vxvde://239.1.2.3", required=True),
        "port": Key(Word(), "the switch's port"),
    }
    interface_keys = ()
    instead_of_guests = "use two links to the same network, each with its own end at outside:vde"

    vnl: str = option(
        Word(), Reading.TEXT, "the network's locator: vde:///run/vde.ctl, slirp://, tap://name, vxvde://239.1.2.3"
    )
    descr: str | None = option(Word(), Reading.TEXT, "what the switch shows the guest as", default=None)
    port: str | None = option(Word(), Reading.TEXT, "the switch's port", default=None)
    mode: str | None = option(Word(), Reading.TEXT, "the permissions of the plug's socket, in base 8", default=None)
    group: str | None = option(Word(), Reading.TEXT, "the group of the plug's socket", default=None)

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        instead = "install vdeplug 4, and have the network there before the guest opens the device"
        yield Case(Situation.HELPER, "vnl", "the guest starts vde_plug: ", instead)

    @property
    def far_name(self) -> str:
        """The host's tap, of tap://name."""
        scheme, separator, name = self.vnl.partition("://")
        return name if separator and scheme == "tap" else ""

    def beside(self) -> Self | None:
        """Another plug, which chooses its port by itself, in a network that has room for several."""
        scheme, separator, _ = self.vnl.partition("://")
        if separator and scheme not in _SHARED:
            return None
        mac = other_mac(self.mac or _MAC)
        return dataclasses.replace(self, vnl=_PORT.sub("", self.vnl), mac=mac, port=None, descr=None)

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        here, outside = link.ends
        options = {"vnl": outside.given["url"], "port": outside.given.get("port"), "descr": here.given.get("descr")}
        return {key: value for key, value in options.items() if value is not None}
