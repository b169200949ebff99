"""Serve a topology until a signal: readiness, reload, the end.

SIGTERM, SIGINT     end: programs first, then the switches and their sockets
SIGHUP              read the file again; what is not changed goes on, what is wrong is told and changes nothing
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

from vecnet import runtime
from vecnet.datapath.record import Recorder
from vecnet.errors import HostError, VecnetError
from vecnet.impairment import Impairment
from vecnet.serving.control import Answering, PortState
from vecnet.serving.folder import locked
from vecnet.serving.notify import notify, reloading
from vecnet.serving.plan import planned
from vecnet.serving.served import Joined, Say, Served, ServedSwitch
from vecnet.signals import queued
from vecnet.topology.model import Topology

_ENDS = (signal.SIGTERM, signal.SIGINT)


def serve(read: Callable[[], Topology], say: Say, ready: Callable[[Topology], None]) -> None:
    """Serve what `read` gives, and gives again on SIGHUP; `ready` is called once all is there.

    For the main thread. Raises VecnetError where something cannot be served.
    """
    topology = read()
    with (
        queued((*_ENDS, signal.SIGHUP)) as signals,
        locked(topology.name) as folder,
        Served(folder, say) as served,
        Answering(f"{folder}/{runtime.CONTROL}", _Server(topology.name, served)),
    ):
        served.apply(planned(topology))
        ready(topology)
        notify("READY=1", f"STATUS=serves {topology.name}", f"MAINPID={os.getpid()}")
        while signals.get() == signal.SIGHUP:
            reloading()
            try:
                again = read()
                if again.name != topology.name:
                    raise HostError(f"it is named {again.name} now", f"stop this one, which serves {topology.name}")
                served.apply(planned(again))
                say(f"{topology.name} is read again")
            except VecnetError as error:
                for problem in error.problems:
                    say(str(problem))
            notify("READY=1")
        notify("STOPPING=1")


class _Server:
    """What is asked of what is served."""

    def __init__(self, topology: str, served: Served) -> None:
        self._topology, self._served = topology, served

    def states(self) -> list[PortState]:
        switches = list(self._served.switches.values())
        return [state for switch in switches for state in _of_switch(self._topology, switch)]

    def record(self, switch: str, port: str, descriptor: int) -> Recorder:
        return self._switch(switch).record(port, descriptor)

    def join(self, switch: str, descriptor: int, mtu: int) -> Joined:
        return self._switch(switch).join(descriptor, mtu)

    def impair(self, switch: str, port: str, impairment: Impairment | None) -> None:
        self._switch(switch).port(port).impair(impairment)

    def _switch(self, name: str) -> ServedSwitch:
        if name not in self._served.switches:
            raise HostError(f"no switch {name} is served", "let it read the file again: kill -HUP")
        return self._served.switches[name]


def _of_switch(topology: str, served: ServedSwitch) -> Iterator[PortState]:
    counters = served.switch.stats
    states = {port.name: port for port in served.switch.ports}
    for name, port in list(served.ports.items()):
        state = states.get(name)
        if state is not None:
            yield PortState(
                topology,
                served.name,
                name,
                port.planned.link,
                port.program,
                state.connected,
                not state.error,
                state.error and f"the wire is gone: {state.error}",
                state.addresses,
                counters.get(name, {}) | port.stats,
                str(port.impairment or ""),
            )
