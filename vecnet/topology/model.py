"""A topology with everything chosen that the file left out: plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from vecnet.errors import InputError, Position
from vecnet.guests.kernel import EVERY, Kernel
from vecnet.impairment import Impairment
from vecnet.transports.base import Transport
from vecnet.transports.link import ELSEWHERE, HostInterface, Link, OuterEnd
from vecnet.vecstring import VecDevice


@dataclass(frozen=True)
class ResolvedLink:
    """A link and both ends' options, in the order of `spec.ends`: the host, where it is one of them, is the second."""

    name: str
    spec: Link
    options: tuple[Transport, Transport]
    interfaces: tuple[HostInterface, ...]
    position: Position
    impairment: Impairment | None = None  # what frames suffer, of a simulated guest, or at a served switch's port

    @property
    def transport(self) -> str:
        """The transport's name."""
        return self.options[0].name

    @property
    def mtu(self) -> int:
        """The largest packet inside a frame, in bytes, the same at both ends."""
        return self.options[0].mtu

    @cached_property
    def devices(self) -> tuple[VecDevice | None, VecDevice | None]:
        """Each end's device; None where no guest is."""
        first, second = (
            None if end.node is None else VecDevice(end.unit, options)
            for end, options in zip(self.spec.ends, self.options, strict=True)
        )
        return first, second

    @property
    def far_settings(self) -> Mapping[str, str | int]:
        """What the device elsewhere, where the link ends at one, must be told, by name."""
        end, options = self.spec.ends[1], self.options[1]
        if end.node is not None or end.where != ELSEWHERE:
            return {}
        inner = {"inner address": ", ".join(end.given["ip"])} if end.given.get("ip") else {}
        return {**options.settings(), "mtu": self.mtu, **inner}

    @property
    def outer_ends(self) -> tuple[OuterEnd, ...]:
        """Both ends of a tunnel; none where the transport has no outer packet."""
        return tuple(
            OuterEnd(
                link=self.name,
                endpoint=str(end),
                address=end.given["local"],
                is_host=end.is_host,
                here=self.spec.host is None and end.node is not None,
                claims=options.claims(self.spec, index, options),
                elsewhere=end.where == ELSEWHERE and end.node is None,
            )
            for index, (end, options) in enumerate(zip(self.spec.ends, self.options, strict=True))
            if "local" in end.given
        )


@dataclass(frozen=True, slots=True)
class Switching:
    """What is stated of a switch: seconds that a silent address is known, and how many are; None as a switch has it."""

    age: int | None = None
    addresses: int | None = None


@dataclass(frozen=True)
class Topology:
    """Links, bridges and switches under one name.

    `path` is the file, as it was given; `kernels` those that guests state; `switches` by name.
    """

    name: str
    path: str
    links: tuple[ResolvedLink, ...]
    bridges: tuple[HostInterface, ...]
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    switches: Mapping[str, Switching] = field(default_factory=dict)
    started: frozenset[str] | None = None  # the guests that start on this host; all, where it is None

    @cached_property
    def _devices(self) -> dict[str, tuple[VecDevice, ...]]:
        found: dict[str, list[VecDevice]] = {}
        for link in self.links:
            for end, device in zip(link.spec.ends, link.devices, strict=True):
                if end.node is not None and device is not None:
                    found.setdefault(end.node, []).append(device)
        return {guest: tuple(sorted(found[guest], key=lambda device: device.unit)) for guest in sorted(found)}

    @property
    def guests(self) -> tuple[str, ...]:
        """The guests' names, sorted."""
        return tuple(self._devices)

    def devices(self, guest: str) -> tuple[VecDevice, ...]:
        """A guest's devices, by unit. Raises InputError where there is no such guest."""
        if guest not in self._devices:
            raise InputError(f"{self.name} has no guest {guest!r}", f"its guests are {', '.join(self.guests)}")
        return self._devices[guest]

    def kernel(self, guest: str) -> Kernel:
        """The kernel that a guest boots: any, where it states none."""
        return self.kernels.get(guest, EVERY)

    def words(self, guest: str) -> tuple[str, ...]:
        """What a guest's command line needs beside its strings, such as init_on_alloc=1. Raises InputError."""
        guests = self.kernel(guest).guests
        found = (word for device in self.devices(guest) for word in device.transport.words(guests))
        return tuple(dict.fromkeys(found))

    def starting(self, guests: Collection[str]) -> Topology:
        """The same with these guests alone on this host; with all of them, where none is named."""
        return replace(self, started=frozenset(guests) or None)

    @cached_property
    def interfaces(self) -> tuple[HostInterface, ...]:
        """What the host must have, bridges first."""
        return (*self.bridges, *(interface for link in self.links for interface in link.interfaces))

    @cached_property
    def outer_ends(self) -> tuple[OuterEnd, ...]:
        """The ends of all tunnels."""
        every = (end for link in self.links for end in link.outer_ends)
        if self.started is None:
            return tuple(every)
        return tuple(replace(end, here=end.here and end.endpoint.partition(":")[0] in self.started) for end in every)
