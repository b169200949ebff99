"""vde: a socket to `vde_plug`, which the guest starts, and which brings its frames into a VDE network.

Frames have no header. The guest runs `vde_plug --descr D seqpacket://FD VNL`, vdeplug 4 or later, from the PATH that
its kernel was started with. Guests have it from 6.12 on.

Source: HOWTO, "VDE vector transport"; arch/um/drivers/vector_user.c; vde_plug(1), libvdeplug(3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

from vecnet.guests import Case, Situation
from vecnet.options import Reading, Value, option
from vecnet.transports.base import Transport
from vecnet.values import Word


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vde(Transport):
    """A VDE network, by a program that the guest starts. Privilege: what the network asks for."""

    name: ClassVar[str] = "vde"

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
