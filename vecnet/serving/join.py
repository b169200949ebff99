"""A port of one's own on a switch that is served: who asks for it is one more on that Ethernet."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from vecnet.datapath.port import Port, open_port
from vecnet.serving.control import Connection, Question
from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice


@contextmanager
def joined(topology: str, switch: str, mtu: int) -> Iterator[Port]:
    """The port, within the block; the server takes it away after it, also when this process is killed.

    Raises HostError where nobody serves the topology to this user, or it has no such switch.
    """
    with closing(Connection(topology)) as server:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near, far:
            server.ask(Question("join", switch, mtu=mtu), [far.fileno()])
            port = open_port(VecDevice(0, Fd(fd=near.fileno(), mtu=mtu)))
        with port:
            yield port
