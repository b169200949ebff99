"""The switches that run, brought from one plan to the next: ports that stay keep their frames moving."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self

from vecnet.datapath.record import Recorder
from vecnet.datapath.switch import AGE, TABLE, Switch
from vecnet.errors import HostError, InputError, PortClosed, Problem, Refused, VecnetError
from vecnet.serving.plan import Door, Outside, PlannedPort, PlannedSwitch
from vecnet.serving.port import ServedPort
from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

Say = Callable[[str], None]
_ORDER = (Door, Outside)  # who listens is there first, and programs before guests; then the rest


@dataclass(frozen=True)
class Joined:
    """A port that the plan does not know of."""

    switch: Switch
    name: str

    def close(self) -> None:
        with suppress(InputError, PortClosed):  # the switch itself has ended
            self.switch.remove(self.name)


class ServedSwitch:
    """A switch that runs, with its ports by name."""

    def __init__(self, planned: PlannedSwitch) -> None:
        self.name, self.settings = planned.name, planned.settings
        self.switch = Switch(age=self.settings.age or AGE, addresses=self.settings.addresses or TABLE)
        self.ports: dict[str, ServedPort] = {}
        self._recorders: dict[str, Recorder] = {}
        self._lock = threading.Lock()
        self.switch.start()

    def port(self, name: str) -> ServedPort:
        """Raises HostError."""
        if name not in self.ports:
            raise HostError(f"the switch {self.name} has no port {name}", "let it read the file again: kill -HUP")
        return self.ports[name]

    def record(self, port: str, descriptor: int) -> Recorder:
        """Record a port to a copy of a descriptor. Raises VecnetError, OSError."""
        with self._lock:
            self._recorders = {name: one for name, one in self._recorders.items() if one.is_open}
            if port in self._recorders:
                raise HostError("it is recorded already", "end the other capture first")
            self.port(port)
            self._recorders[port] = self.switch.record(os.dup(descriptor), port)
            return self._recorders[port]

    def join(self, descriptor: int, mtu: int) -> Joined:
        """A port that the plan does not know of, for who holds the descriptor's other end. Raises VecnetError."""
        try:
            device = VecDevice(0, Fd(fd=descriptor, mtu=mtu))
        except Refused as error:
            raise HostError(error.message, error.instead) from None
        return Joined(self.switch, self.switch.add(device, storm=None))

    def close(self) -> None:
        for port in self.ports.values():
            port.close()
        self.switch.close()


class Served:
    """What is served now. A context manager, which ends all of it. For one thread, but for what reads."""

    def __init__(self, folder: str, say: Say) -> None:
        """`folder` is private, for programs' sockets; `say` is told, in any thread, what has ended."""
        self._folder, self._say = folder, say
        self.switches: dict[str, ServedSwitch] = {}

    def apply(self, plan: Sequence[PlannedSwitch]) -> None:
        """Make it so: what is as planned stays, what failed is tried anew.

        Raises VecnetError, with all that could not be made; the rest is made.
        """
        self._remove({switch.name: switch for switch in plan})
        problems: list[Problem] = []
        for one in plan:
            if one.name not in self.switches:
                self.switches[one.name] = ServedSwitch(one)
        for switch, port in _in_order(plan):
            served = self.switches[switch.name]
            if port.name in served.ports:
                served.ports[port.name].follow(port)
                continue
            try:
                ended = partial(self._ended, port.link)
                served.ports[port.name] = ServedPort(served.switch, port, self._folder, ended)
            except VecnetError as error:
                problems += [Problem(f"{port.link}: {one.message}", one.instead) for one in error.problems]
            except OSError as error:
                problems.append(Problem(f"{port.link}: {error.strerror or error}"))
        for one in plan:
            self._mirror(one)
        if problems:
            raise VecnetError(problems)

    def _ended(self, link: str, how: str) -> None:
        self._say(f"{link}: {how}")

    def _remove(self, plan: dict[str, PlannedSwitch]) -> None:
        for name, served in list(self.switches.items()):
            wanted = plan.get(name)
            if wanted is None or wanted.settings != served.settings:
                del self.switches[name]
                served.close()
                continue
            ports = {port.name: port for port in wanted.ports}
            for port_name, port in list(served.ports.items()):
                if ports.get(port_name) != port.planned or port.failed:
                    del served.ports[port_name]
                    port.close()

    def _mirror(self, one: PlannedSwitch) -> None:
        served = self.switches[one.name]
        monitor = next((port for port in one.ports if port.mirror and port.name in served.ports), None)
        if monitor is None:
            served.switch.mirror(None)
        else:
            served.switch.mirror(monitor.name, of=() if "all" in monitor.mirror else monitor.mirror)

    def close(self) -> None:
        """End all of it."""
        while self.switches:
            self.switches.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _in_order(plan: Sequence[PlannedSwitch]) -> Iterator[tuple[PlannedSwitch, PlannedPort]]:
    every = [(switch, port) for switch in plan for port in switch.ports]
    for kind in _ORDER:
        yield from (pair for pair in every if isinstance(pair[1].behind, kind))
    yield from (pair for pair in every if not isinstance(pair[1].behind, _ORDER))
