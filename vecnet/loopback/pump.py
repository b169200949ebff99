"""Moves frames between a port under test and a simulated guest's NIC, in C, both ways at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

if TYPE_CHECKING:
    from vecnet.datapath.port import Port


@contextmanager
def pumping(port: Port, descriptor: int, mtu: int) -> Iterator[None]:
    """Frames go between `port` and the NIC's descriptor within the block."""
    from vecnet.datapath.loops import forward
    from vecnet.datapath.port import open_port

    with (
        open_port(VecDevice(0, Fd(fd=descriptor, vec=False, mtu=mtu))) as nic,
        forward(port, nic),
        forward(nic, port),
    ):
        yield
