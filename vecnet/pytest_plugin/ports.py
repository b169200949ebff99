"""The guests' ports, by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.launch import Descriptors
    from vecnet.topology import Topology
    from vecnet.vecstring import VecDevice


class Ports:
    """Ports by the names of guests' devices, `web:vec0`, each opened when it is first asked for."""

    def __init__(self, topology: Topology, stack: ExitStack) -> None:
        self._topology, self._stack = topology, stack
        self._devices: dict[str, VecDevice] = {}
        self._places: dict[str, str | None] = {}  # the named network namespaces that guests open them in
        for link in topology.links:
            for end, device in zip(link.spec.ends, link.devices, strict=True):
                if device is not None:
                    self._devices[str(end)] = device
                    self._places[str(end)] = device.transport.opened_in(link.spec)
        self._ports: dict[str, Port] = {}
        self._descriptors: Descriptors | None = None  # what the guests of fd links inherit

    def __getitem__(self, name: str) -> Port:
        """The port. Raises KeyError where no guest has it, PortError and HostError where it cannot be opened."""
        from vecnet.datapath.port import open_port
        from vecnet.kernel.namespaces import Namespaces

        if name not in self._devices:
            raise KeyError(f"no guest has {name!r}; there are {', '.join(self._devices)}")
        if name not in self._ports:
            device = self._with_descriptor(name)
            with Namespaces() as namespaces, namespaces[self._places[name]].entered():
                self._ports[name] = self._stack.enter_context(open_port(device))
        return self._ports[name]

    def _with_descriptor(self, name: str) -> VecDevice:
        """The device; of an fd link with a descriptor that is open here, where two guests may have the same number."""
        from vecnet.launch import descriptors

        device = self._devices[name]
        number = device.transport.inherits()
        if number is None:
            return device
        if self._descriptors is None:
            self._descriptors = descriptors(self._topology, self._topology.guests)
            for opened in self._descriptors.values():
                for fd in opened.values():
                    self._stack.callback(os.close, fd)
        inherited = self._descriptors[name.partition(":")[0]][number]
        return replace(device, transport=device.transport.inheriting(inherited))


@pytest.fixture
def vecnet_ports(vecnet_topology: Topology) -> Iterator[Ports]:
    """The guests' ports, by name: vecnet_ports["web:vec0"]. They are closed after the test."""
    with ExitStack() as stack:
        yield Ports(vecnet_topology, stack)
