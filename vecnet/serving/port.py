"""A port of a served switch, and what stands behind it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

from vecnet.datapath.port import Port, open_port
from vecnet.datapath.pump import Pump
from vecnet.datapath.switch import STORM, Switch
from vecnet.impairment import Impairment
from vecnet.kernel.namespaces import Namespaces
from vecnet.programs import PROGRAMS
from vecnet.programs.base import Framing
from vecnet.serving.plan import Door, Outside, PlannedPort, Tapped
from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

Ended = Callable[[str], None]  # is told how a program has ended


class ServedPort:
    """A port that is there, until `close`."""

    def __init__(self, switch: Switch, planned: PlannedPort, folder: str, ended: Ended) -> None:
        """Open it. Raises VecnetError, OSError."""
        self.planned = planned
        self._switch, self._folder, self._ended = switch, folder, ended
        self.pid = 0  # of the program behind it
        self._pump: Pump | None = None
        with ExitStack() as stack:
            port, guests = self._open(stack)
            storm = STORM if planned.storm is None else planned.storm
            switch.add(port, name=planned.name, isolated=planned.isolated, storm=storm, guests=guests)
            self._stack = stack.pop_all()
        self.impairment: Impairment | None = None
        self.impair(planned.impairment)

    def impair(self, impairment: Impairment | None) -> None:
        """What its outgoing frames suffer from now on. Raises VecnetError."""
        if impairment != self.impairment:
            self._switch.impair(self.planned.name, impairment)
            self.impairment = impairment

    def follow(self, planned: PlannedPort) -> None:
        """The same port is planned anew: what is impaired by hand stays so, unless the file says otherwise by now."""
        if planned.impairment != self.planned.impairment:
            self.impair(planned.impairment)
        self.planned = planned

    def _open(self, stack: ExitStack) -> tuple[Port | VecDevice, int | None]:
        behind = self.planned.behind
        if isinstance(behind, Door):
            return VecDevice(0, behind.options), 1
        if isinstance(behind, Outside):
            return self._start(stack, behind), None
        if isinstance(behind, Tapped):
            from vecnet import host

            descriptor = host.attach_tap(behind.interface)
            try:
                return open_port(VecDevice(0, behind.options.inheriting(descriptor))), None
            finally:
                os.close(descriptor)
        with Namespaces() as namespaces, namespaces[behind.netns].entered():
            return open_port(VecDevice(0, behind.options)), None

    def _start(self, stack: ExitStack, behind: Outside) -> Port:
        """Start the program, and open a port to it."""
        kind = PROGRAMS[behind.program]
        place = tempfile.mkdtemp(prefix="p", dir=self._folder)
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        running = kind.start(dataclasses.replace(behind.wanted, folder=place))
        stack.callback(running.stop)
        descriptor = running.descriptor
        if kind.framing is Framing.STREAM:
            self._pump = Pump(descriptor)
            stack.callback(self._pump.close)
            descriptor = self._pump.descriptor
        else:
            stack.callback(os.close, descriptor)
        self.pid = running.process.pid
        running.process.when_ended(lambda: self._ended(running.process.end))
        return open_port(VecDevice(0, Fd(fd=descriptor, mtu=behind.wanted.mtu)))

    @property
    def program(self) -> str:
        """The program behind it; "" where there is none."""
        return self.planned.behind.program if isinstance(self.planned.behind, Outside) else ""

    @property
    def stats(self) -> dict[str, int]:
        """What is counted behind it, and not by its switch."""
        return self._pump.stats if self._pump else {}

    @property
    def failed(self) -> bool:
        """Whether its wire is gone, so that it has to be opened anew."""
        return any(port.name == self.planned.name and port.error for port in self._switch.ports)

    def close(self) -> None:
        """Take it away, and end what stands behind it."""
        self._switch.remove(self.planned.name)
        self._stack.close()
