"""All that is known of topologies at one moment."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from vecnet import host, runtime
from vecnet.host.health import Report
from vecnet.plugging.report import DeviceState
from vecnet.serving.control import PortState
from vecnet.topology.model import Topology


@dataclass(frozen=True, slots=True)
class State:
    """Interfaces of a machine, which has a name where there are several, ports of switches that are served to this
    user, devices of guests that run; `at` is when, in seconds of a clock of its own."""

    reports: Sequence[Report]
    ports: Sequence[PortState]
    devices: Sequence[DeviceState]
    host: str = ""
    at: float = field(default_factory=time.monotonic)

    @property
    def is_up(self) -> bool:
        """Whether the topology has something there."""
        return bool(self.reports or self.ports)

    @property
    def healthy(self) -> bool:
        """Whether all of that is as it should be."""
        return all(entry.healthy for entry in self.reports) and all(port.healthy for port in self.ports)

    def as_json(self) -> list[dict[str, object]]:
        """All of it, in one list."""
        every = [one.as_json() for one in self.reports]
        every += [one.as_json() for one in self.ports]
        every += [one.as_json() for one in self.devices]
        return [{"host": self.host, **one} for one in every] if self.host else every


def read(name: str | None, topology: Topology | None = None) -> State:
    """Of a topology by its name, of all where that is None; with the `topology` itself each interface is held against
    that, and its guests are asked as well. Raises HostError."""
    from vecnet.serving import control

    return State(host.status(name, topology), control.states(name), _devices(topology) if topology else ())


def _devices(topology: Topology) -> Sequence[DeviceState]:
    if not any(os.path.exists(runtime.console(guest)) for guest in topology.guests):  # noqa: PTH110 - most have none
        return ()
    from vecnet.plugging.report import states

    return states(topology)
