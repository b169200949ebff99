"""A learning switch: ports of any transport, and guests, on one Ethernet.

    with Switch() as lan:
        lan.add("vec0:transport=bess,dst=/run/lab/lan", name="guests")  # any number of guests may connect to it
        lan.add("vec0:transport=tap,ifname=tap-lan,gro=1", name="host")
        lan.add("vec0:transport=l2tpv3,src=…,dst=…,…", name="far")  # another switch's port, on another host
        …

It learns which address is at which port, and forgets one that has not sent for `age` seconds. Frames to a group, or to
an address that is not known, go to every port. A port that takes nothing loses its own frames, after a queue, and
holds nobody up. It runs in a thread of C, and needs no privilege but what its ports need.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Self

from vecnet.datapath import native
from vecnet.datapath.native_switch import MEANINGS, MOST_PORTS, Settings, State, SwitchHandle
from vecnet.datapath.port import FOREVER, Port, open_port
from vecnet.datapath.record import Recorder
from vecnet.errors import InputError, PortClosed, Refused
from vecnet.impairment import Impairment
from vecnet.transports.bess import Bess
from vecnet.values import Name
from vecnet.vecstring import VecDevice, parse

AGE = 300.0  # seconds, IEEE 802.1Q section 8.8.3
TABLE = 65536  # addresses of a switch
ADDRESSES = 1024  # addresses of a port
STORM = 10_000  # frames a second that a port may have flooded
COUNTERS = MEANINGS  # what each of a switch's own counters means, by its name
_TURN = 200_000_000  # nanoseconds between two looks of a switch in the foreground for signals
_LONGEST = 2**31 - 1  # milliseconds that an address may be idle


@dataclass(frozen=True, kw_only=True)
class SwitchPort:
    """A port of a switch as it is now."""

    name: str
    connected: bool  # frames come and go; of a port that listens for many guests it is each of them that is connected
    addresses: int  # learnt at it
    listener: str  # the port at which this guest came in; "" for a port that was added
    listens: bool  # guests connect here
    monitor: bool  # it gets copies alone, see `Switch.mirror`
    error: str  # why its wire is gone; "" while it is not, and where it waits for a guest


@dataclass(frozen=True)
class Address:
    """An Ethernet address that a switch has learnt. `idle` is seconds since it sent last."""

    address: str
    port: str
    idle: float


class Switch:
    """See the module. A context manager, which runs it in a thread and closes it. Every method is for any thread."""

    def __init__(self, *, age: float = AGE, addresses: int = TABLE) -> None:
        """`age`: seconds until a silent address is forgotten. `addresses`: how many are known at the most.

        Raises InputError, and ResourceMissing where no descriptor is left.
        """
        if not 0.001 <= age * 1000 <= _LONGEST:
            raise InputError(f"age={age!r} is no time for an address", "give seconds, such as 300")
        if not 1 <= addresses < 2**24:
            raise InputError(f"addresses={addresses!r}", "a table holds 1 to 16777215 of them")
        self.handle = SwitchHandle(max(1, round(age * 1000)), addresses)
        self._most = addresses
        self._ports: dict[int, native.Handle] = {}  # by the number of those that were added
        self._make_locks()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last: dict[str, dict[str, int]] | None = None  # the counters of a closed switch
        native.keep(self)

    def _make_locks(self) -> None:
        self._lock = threading.RLock()
        self._running = threading.RLock()  # held by the thread that runs it

    def forked(self) -> None:
        """In a fork, by itself: the copy can only be closed, and the parent's goes on."""
        self._make_locks()
        self._thread = None
        for handle in self._ports.values():
            handle.forked()

    # ---- ports ----

    def add(
        self,
        port: Port | VecDevice | str,
        *,
        name: str = "",
        isolated: bool = False,
        storm: int | None = STORM,
        addresses: int = ADDRESSES,
        guests: int | None = None,
    ) -> str:
        """Make an opened port, or a vec string that is opened for it, a port of the switch. Returns its name.

        The switch takes the port over, and closes it. A bess string is the guests': the switch listens at its `dst`.
        An opened bess port connects to somebody else's switch, unless its role is "switch".

        - `name`: "" takes the first of port1, port2, … that is free.
        - `isolated`: nothing passes between two ports that are.
        - `storm`: frames a second that it may have flooded, to a group or to an unknown address; None without limit.
          What is more is dropped, and counted as drop_storm. With two ports nothing is more: who floods sends to one.
        - `addresses`: that are learnt at it; one more takes the place of its own oldest.
        - `guests`: where it listens: how many may be connected at a time. With 1 the port is the guest's itself;
          otherwise each guest is a port of its own, NAME.1, NAME.2, …, and NAME only lets them in. None is any number.

        Raises InputError, what `open_port` raises, and PortClosed.
        """
        settings = _settings(isolated, storm, addresses, guests)
        name = _name(name) if name else self._free_name()
        with self._lock:
            self._check()
            handle = _opened(port).surrender()
            try:
                self._ports[self.handle.add(handle, name, settings)] = handle
            except BaseException:
                handle.close()
                raise
        return name

    def remove(self, name: str) -> None:
        """Take a port away and close it; guests that came in there are disconnected. A guest's port can be taken, too.

        Raises InputError where there is no such port.
        """
        with self._lock:
            number = self._number(name)
            self.handle.remove(number)
            if handle := self._ports.pop(number, None):
                handle.close()

    @property
    def ports(self) -> list[SwitchPort]:
        """All ports, with those of guests that have been there; [] once the switch is closed."""
        states = self._states()
        names = {state.number: state.name for state in states}
        return [
            SwitchPort(
                name=state.name,
                connected=state.connected,
                addresses=state.addresses,
                listener=names.get(state.listener, ""),
                listens=state.listens,
                monitor=state.monitor,
                error=os.strerror(state.error) if state.error and not state.listens else "",
            )
            for state in states
        ]

    @property
    def table(self) -> list[Address]:
        """The addresses that are known now; [] once the switch is closed."""
        with self._lock:
            names = {state.number: state.name for state in self._states()}
            found = self.handle.table(self._most) if names else []
        return [
            Address(address.hex(":"), names[number], idle / 1000) for address, number, idle in found if number in names
        ]

    @property
    def stats(self) -> dict[str, dict[str, int]]:
        """Of each port by its name, every counter: the switch's, which COUNTERS explains, and those of Port.stats.

        Of guests that came one after another they are sums. They stay readable after closing.
        """
        with self._lock:
            if self._last is not None:
                return self._last
            found = ((state.name, self.handle.counters(state.number)) for state in self._states())
            return {name: counters for name, counters in found if counters}

    def impair(self, name: str, impairment: Impairment | None) -> None:
        """Let the frames that go out of a port suffer; None ends it, and what waits goes out.

        So does tc-netem at the host's end of a wire: what comes in there is left alone. Large frames are cut before.
        A frame may be late by another millisecond. Raises InputError where there is no such port.
        """
        with self._lock:
            self._check()
            self.handle.impair(self._number(name), impairment)

    # ---- looking ----

    def mirror(self, to: str | None, *, of: Iterable[str] = ()) -> None:
        """Send copies to the port `to`, which then takes part in nothing else; None ends it.

        `of`: the ports whose frames, either way, are copied; none means all that comes in anywhere. A frame is copied
        once. Raises InputError where a port is not there, or not connected.
        """
        with self._lock:
            if not self.handle.mirror(0 if to is None else self._number(to), [self._number(name) for name in of]):
                raise InputError(f"{to} cannot be the monitor", "give a connected port that is not mirrored itself")

    def record(self, path: str | PathLike[str] | int, *names: str) -> Recorder:
        """Begin to record these ports, or all, to a new pcapng file; their guests to come as well. See `Recorder`.

        Raises OSError, InputError, and PortError where one file has no room for so many.
        """
        with self._lock:
            self._check()
            numbers = [self._number(name) for name in names]
            recorder = _SwitchRecorder(path, self.handle)
            try:
                for number in numbers or [0]:
                    self.handle.record(number, recorder.handle)
            except BaseException:
                recorder.close()
                raise
        return recorder

    # ---- running ----

    def start(self) -> None:
        """Run in a thread of its own, until `stop`. Does nothing where it does already. Raises PortClosed."""
        with self._lock:
            self._check()
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._thread = threading.Thread(target=self._work, args=(None, -1), name="vecnet switch", daemon=True)
                self._thread.start()

    def run(self, seconds: float | None = None) -> None:
        """Run in the calling thread, for so long, or until `stop`. Signals are handled meanwhile.

        Where another thread runs it, it waits for its turn. Raises PortClosed.
        """
        self._check()
        self._stopping = False
        self._work(None if seconds is None or seconds >= FOREVER else time.monotonic() + seconds, _TURN)

    def _work(self, deadline: float | None, turn: int) -> None:
        with self._running:
            while not self._stopping:
                left = turn if deadline is None else int((deadline - time.monotonic()) * 1e9)
                if deadline is not None and left <= 0:
                    return
                self.handle.run(left if turn < 0 else min(left, turn))

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Let no frame pass any more. Ports stay, and their frames wait, until it runs again."""
        self._stopping = True
        self.handle.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def close(self) -> None:
        """Stop, and close all ports. Closing again does nothing."""
        if self._last is None:
            self.stop()
        with self._running, self._lock:
            if self._last is None:
                self._last = self.stats
                for number, handle in self._ports.items():
                    self.handle.remove(number)
                    handle.close()
                self._ports.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- helpers ----

    def _check(self) -> None:
        if self._last is not None:
            raise PortClosed("the switch is closed")

    def _states(self) -> list[State]:
        return self.handle.ports() if self._last is None else []

    def _number(self, name: str) -> int:
        states = self._states()
        for state in states:
            if state.name == name:
                return state.number
        there = ", ".join(state.name for state in states)
        raise InputError(f"the switch has no port {name!r}", f"it has {there}" if there else "add it first")

    def _free_name(self) -> str:
        taken = {state.name for state in self._states()}
        return next(name for number in range(1, MOST_PORTS + 2) if (name := f"port{number}") not in taken)


class _SwitchRecorder(Recorder):
    """A recording of a switch's ports, which may come and go meanwhile."""

    def __init__(self, path: str | PathLike[str] | int, switch: SwitchHandle) -> None:
        super().__init__(path)
        self._switch = switch

    def close(self) -> None:
        self._switch.end_record(self.handle)
        super().close()


def _opened(port: Port | VecDevice | str) -> Port:
    if isinstance(port, Port):
        return port
    device = parse(port) if isinstance(port, str) else port
    if isinstance(device.transport, Bess):
        return open_port(device, role="switch")
    return open_port(device)


def _name(text: str) -> str:
    try:
        return Name().parse(text)
    except Refused as refused:
        raise InputError(refused.message, refused.instead) from None


def _settings(isolated: bool, storm: int | None, addresses: int, guests: int | None) -> Settings:
    """Raises InputError."""
    if storm is not None and not 1 <= storm < 2**32:
        raise InputError(f"storm={storm!r}", "give frames a second, or None for no limit")
    if not 1 <= addresses < 2**24:
        raise InputError(f"addresses={addresses!r}", "a port has one address at the least")
    if guests is not None and not 1 <= guests <= MOST_PORTS:
        raise InputError(f"guests={guests!r}", f"give 1 to {MOST_PORTS}, or None for any number")
    return Settings(isolated, addresses, storm or 0, guests or MOST_PORTS)
