"""A topology brought up in a network that is private to this process: see sandbox.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vecnet.topology import Topology


def bring_up(read: Callable[[], Topology]) -> Topology:
    """Put the outer addresses on the loopback, then make the host's end of every link. Raises HostError.

    `read` gives the topology, and is called again once the addresses are there: its MTUs follow from routes.
    """
    from vecnet import host

    host.prepare_sandbox(read())
    topology = read()
    host.up(topology)
    return topology
