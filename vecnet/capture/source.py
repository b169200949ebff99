"""Where a link can be listened at: a served switch's port, the host's interface, an interface that carries a tunnel."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, Self

from vecnet.errors import HostError, InputError, VecnetError
from vecnet.kernel import rtnl
from vecnet.kernel.namespaces import Namespace, Namespaces
from vecnet.serving import control
from vecnet.serving.plan import ports_of

if TYPE_CHECKING:
    from vecnet.datapath.interface import Tunnel
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

    def notes(self) -> Iterator[str]:
        """What else is to be said at the end."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def source(topology: Topology, link: ResolvedLink, outer: bool = False) -> Source:
    """Begin to listen. A port of a switch shows why frames were dropped, and needs no privilege: it comes first.

    `outer` asks for a tunnel's packets beside the frames in them. Raises InputError, HostError and PortError.
    """
    ports = list(ports_of(link))
    is_tunnel = link.options[0].receives_at() is not None
    if outer and not is_tunnel:
        raise InputError(f"{link.name} is no tunnel: its wire has no outer packets", "leave --outer out")
    if ports and (not link.interfaces or control.server(topology.name) is not None):
        switch, port = ports[0]
        return at_port(topology.name, switch, port.name)
    if is_tunnel and (outer or not link.interfaces):
        return at_tunnel(topology, link, outer)
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


def at_tunnel(topology: Topology, link: ResolvedLink, every: bool) -> Source:
    """Begin to listen at the interface that carries a tunnel's packets. Raises HostError and PortError.

    "in" is what comes to the host's end; without one here, to the first end that is.
    """
    from vecnet.datapath.interface import Tunnel

    here = [index for index in (*link.spec.hosts, 0, 1) if link.is_here(index)]
    near = here[0] if here else 0
    addresses = {end.address for end in link.outer_ends}
    others = [
        options
        for other in topology.links
        if other is not link
        and other.transport == link.transport
        and {e.address for e in other.outer_ends} == addresses
        for options in other.options
    ]
    tunnel = Tunnel(link.options[near], link.options[1 - near], others, every)
    end = link.spec.ends[near]
    places = [one.netns for one in link.interfaces if one.ifname == end.ifname] if end.is_host else []
    netns = places[0] if places else None
    with Namespaces() as namespaces:
        ifname = _carrier(namespaces[netns], tunnel)
    return _Interface(ifname, netns, link.name, str(end), tunnel)


def _carrier(place: Namespace, tunnel: Tunnel) -> str:
    """The interface that carries packets between both ends. Raises HostError."""
    from vecnet.datapath.interface import LOOPBACK

    addresses = tunnel.addresses()
    ways = []
    for address in addresses:
        try:
            ways.append(rtnl.way_to(place, address))
        except OSError as error:
            raise HostError(f"no way leads to {address}, which the tunnel's packets go to: {error.strerror}") from None
    leaving = [index for local, index in ways if not local]
    if len(leaving) == len(ways):
        message = f"neither {addresses[0]} nor {addresses[1]} is an address of {place}: the tunnel has no end here"
        raise HostError(message, "capture on a machine, and in a namespace, that has one of its ends")
    names = {interface.index: interface.ifname for interface in rtnl.read_links(place)}
    return names[leaving[0]] if leaving else LOOPBACK


class _Port:
    """A port of a served switch."""

    def __init__(self, topology: str, switch: str, port: str) -> None:
        self.name = f"{switch}:{port}"
        self._watched = control.Watched(topology, switch, port)
        self.descriptor = self._watched.descriptor
        self._outer_lost = 0

    def stop(self) -> None:
        self._watched.stop()

    def finish(self) -> int:
        lost = self._watched.lost()
        if lost is None:
            raise HostError(f"{self.name}: who served it has ended, and has not told what was lost")
        frames, self._outer_lost = lost
        return frames

    def notes(self) -> Iterator[str]:
        if self._outer_lost:
            yield f"of the tunnel's own packets beside these, {self._outer_lost} lost"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watched.close()


class _Interface:
    """An interface of the host: a link's own, or one that carries its tunnel."""

    def __init__(self, ifname: str, netns: str | None, link: str, end: str = "", tunnel: Tunnel | None = None) -> None:
        from vecnet.datapath.interface import InterfaceCapture

        self.name = f"{ifname} in {netns}" if netns else ifname
        self._error: BaseException | None = None
        self._stopped = False
        self.descriptor, theirs = os.pipe()
        try:
            with Namespaces() as namespaces, namespaces[netns].entered():
                self._capture = InterfaceCapture(ifname, theirs, end, link, tunnel)
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

    def notes(self) -> Iterator[str]:
        from vecnet.datapath.native import counter_meanings

        for counter, count in self._capture.drops().items():
            yield f"dropped {count}: {counter_meanings()[counter]} ({counter})"
        if pieces := self._capture.fragments:
            yield f"{pieces} packets came in fragments, and their frames are not shown: lower the link's mtu"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)  # a writer that waits sees that nobody reads
        if not self._stopped:
            self.stop()
        self._thread.join()
        self._capture.close()
