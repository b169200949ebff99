"""Where a link can be listened at: its port of a switch that is served, or its interface at the host."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Protocol, Self

from vecnet.errors import HostError, VecnetError
from vecnet.kernel.namespaces import Namespaces
from vecnet.serving import control
from vecnet.serving.plan import ports_of

if TYPE_CHECKING:
    from vecnet.topology import ResolvedLink, Topology


class Source(Protocol):
    """Something that is listened at. pcapng comes from `descriptor`, to its end; a context manager, which ends it."""

    @property
    def name(self) -> str: ...
    @property
    def descriptor(self) -> int: ...
    def stop(self) -> None:
        """Have it end; what was heard so far comes still."""

    def finish(self) -> int:
        """How many packets were lost, once the descriptor is at its end.

        Raises VecnetError where nobody can tell, or what was listened at is gone.
        """

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def source(topology: Topology, link: ResolvedLink) -> Source:
    """Begin to listen. A port of a switch shows why frames were dropped, and needs no privilege: it comes first.

    Raises HostError and PortError.
    """
    ports = list(ports_of(link))
    if ports and (not link.interfaces or control.server(topology.name) is not None):
        switch, port = ports[0]
        return at_port(topology.name, switch, port.name)
    if not link.interfaces:
        message = f"{link.name} is a wire between guests alone: vecnet is at neither of its ends"
        raise HostError(message, "capture in a guest, or let the link end at a switch")
    interface = link.interfaces[0]
    return at_interface(interface.ifname, interface.netns, link.name)


def at_port(topology: str, switch: str, port: str) -> Source:
    """Begin to listen at a port of a switch that is served to this user. Raises HostError."""
    return _Port(topology, switch, port)


def at_interface(ifname: str, netns: str | None, link: str) -> Source:
    """Begin to listen at an interface of the host. Raises HostError and PortError."""
    return _Interface(ifname, netns, link)


class _Port:
    """A port of a served switch."""

    def __init__(self, topology: str, switch: str, port: str) -> None:
        self.name = f"{switch}:{port}"
        self._watched = control.Watched(topology, switch, port)
        self.descriptor = self._watched.descriptor

    def stop(self) -> None:
        self._watched.stop()

    def finish(self) -> int:
        lost = self._watched.lost
        if lost is None:
            raise HostError(f"{self.name}: who served it has ended, and has not told what was lost")
        return lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watched.close()


class _Interface:
    """An interface of the host."""

    def __init__(self, ifname: str, netns: str | None, link: str) -> None:
        from vecnet.datapath.interface import InterfaceCapture

        self.name = f"{ifname} in {netns}" if netns else ifname
        self._error: BaseException | None = None
        self._stopped = False
        self.descriptor, theirs = os.pipe()
        try:
            with Namespaces() as namespaces, namespaces[netns].entered():
                self._capture = InterfaceCapture(ifname, theirs, link)
        except BaseException:
            os.close(self.descriptor)
            os.close(theirs)
            raise
        self._thread = threading.Thread(target=self._run, name="vecnet capture", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._capture.run()
        except OSError as error:
            self._error = error

    def stop(self) -> None:
        self._stopped = True
        self._capture.stop()

    def finish(self) -> int:
        self._thread.join()
        if isinstance(self._error, OSError):
            raise HostError(f"{self.name} cannot be listened at any more: {self._error.strerror}") from None
        if not self._stopped:
            raise VecnetError(f"{self.name} is gone")
        return self._capture.lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)  # a writer that waits sees that nobody reads
        if not self._stopped:
            self.stop()
        self._thread.join()
        self._capture.close()
