"""vecnet's own switch under test: the real one, with the link's port, and one more by which the tester is on it.

    the guest's string ── the link's port ══ the switch ══ a port of the tester's

So a link is proved before its switch is served. Once it is, its ports are their guests'.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from vecnet.datapath.port import Port, open_port
from vecnet.datapath.switch import Switch
from vecnet.errors import HostError, VecnetError
from vecnet.loopback.codes import Code
from vecnet.loopback.verdict import Failed, Untested
from vecnet.serving.folder import locked
from vecnet.serving.plan import PlannedPort
from vecnet.serving.port import ServedPort
from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

_TESTER = "loopback"  # the name of its port, which no topology's port need avoid: it is alone with the link's


@contextmanager
def private_folder(topology: str) -> Iterator[str]:
    """The topology's folder of sockets within the block. Raises Untested where somebody serves it."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(locked(topology))
        except HostError as error:
            raise Untested(str(error)) from None
        yield folder


@contextmanager
def switch_of(ports: Sequence[PlannedPort], folder: str) -> Iterator[Switch]:
    """A switch that runs, with these ports. Raises Failed where one cannot be opened: a program is missing, say."""
    with Switch() as switch, ExitStack() as stack:
        for port in ports:
            try:
                served = ServedPort(switch, port, folder, lambda _: None)
            except HostError:
                raise
            except VecnetError as error:
                raise Failed(Code.NOT_OPENED, str(error)) from None
            stack.callback(served.close)
        yield switch


@contextmanager
def plugged(switch: Switch, mtu: int) -> Iterator[Port]:
    """The tester's port on a switch."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        switch.add(VecDevice(0, Fd(fd=near.fileno(), mtu=mtu)), name=_TESTER, storm=None)
        port = open_port(VecDevice(0, Fd(fd=far.fileno(), mtu=mtu)))
    with port:
        yield port
