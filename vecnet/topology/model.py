"""A topology with everything chosen that the file left out: plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from vecnet.errors import InputError, Position
from vecnet.expectation import Expected
from vecnet.guests.kernel import EVERY, Kernel
from vecnet.impairment import Impairment
from vecnet.records import record
from vecnet.transports.base import Transport
from vecnet.transports.link import ELSEWHERE, HostInterface, Link, OuterEnd
from vecnet.vecstring import VecDevice


@record(frozen=True, slots=True)
class ResolvedLink:
    """A link and both ends' options, in the order of `spec.ends`: the host, where it is one of them, is the second.

    `here` is the machine whose part it is, which may have one of the ends alone; None where it is whole.
    """

    name: str
    spec: Link
    options: tuple[Transport, Transport]
    interfaces: tuple[HostInterface, ...]
    position: Position
    impairment: Impairment | None = None  # what frames suffer: at a served switch's port, by the kernel, or simulated
    here: str | None = None
    expected: tuple[Expected, ...] = ()  # of what probes measure

    def is_here(self, index: int) -> bool:
        """Whether an end is on the machine whose part this is."""
        return self.here is None or self.here == self.spec.ends[index].host

    @property
    def transport(self) -> str:
        """The transport's name."""
        return self.options[0].name

    @property
    def mtu(self) -> int:
        """The largest packet inside a frame, in bytes, the same at both ends."""
        return self.options[0].mtu

    @property
    def devices(self) -> tuple[VecDevice | None, VecDevice | None]:
        """Each end's device; None where no guest is, or on another machine."""
        first, second = (
            None if end.node is None or not self.is_here(index) else VecDevice(end.unit, options)
            for index, (end, options) in enumerate(zip(self.spec.ends, self.options, strict=True))
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
        found = []
        for index, (end, options) in enumerate(zip(self.spec.ends, self.options, strict=True)):
            other = self.spec.ends[1 - index]
            by_kernel = other.is_host and self.is_here(1 - index)  # which looks for both addresses itself
            if "local" in end.given:
                found.append(
                    OuterEnd(
                        link=self.name,
                        endpoint=str(end),
                        address=end.given["local"],
                        is_host=end.is_host,
                        here=self.is_here(index) and end.node is not None and not by_kernel,
                        claims=options.claims(self.spec, index, options),
                        elsewhere=end.host == ELSEWHERE or not (self.is_here(index) or by_kernel),
                    )
                )
        return tuple(found)


@record(frozen=True, slots=True)
class Switching:
    """What is stated of a switch: seconds that a silent address is known, and how many are; None as a switch has it."""

    age: int | None = None
    addresses: int | None = None


@record(frozen=True, slots=True)
class Machine:
    """A host that a file names: its outer addresses, and the largest packet on its way to others, in bytes."""

    addresses: tuple[str, ...]
    mtu: int | None = None


@dataclass(frozen=True)
class Topology:
    """Links, bridges and switches under one name.

    `path` is the file, as it was given, and `text` what is in it; `kernels` those that guests state; `switches` by
    name. `hosts` are those that the file names, of all of which this is; `host` is the one whose part it is, where it
    is a part.
    """

    name: str
    path: str
    links: tuple[ResolvedLink, ...]
    bridges: tuple[HostInterface, ...]
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    switches: Mapping[str, Switching] = field(default_factory=dict)
    hosts: Mapping[str, Machine] = field(default_factory=dict)
    host: str | None = None
    started: frozenset[str] | None = None  # the guests that start on this host; all, where it is None
    text: str = field(default="", repr=False, compare=False)

    @cached_property
    def _devices(self) -> dict[str, tuple[VecDevice, ...]]:
        found: dict[str, list[VecDevice]] = {}
        for link in self.links:
            for index, end in enumerate(link.spec.ends):
                if end.node is not None and link.is_here(index):
                    found.setdefault(end.node, []).append(VecDevice(end.unit, link.options[index]))
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
        return tuple(dict.fromkeys([word for one in self.devices(guest) for word in one.transport.words(guests)]))

    def on(self, host: str) -> Topology:
        """What one of the hosts has to do, as a topology of that machine alone. Raises InputError.

        Of a link to another host it has one end; the other is as one elsewhere, and is not opened here.
        """
        if host not in self.hosts:
            raise self._no_host(host)
        links = tuple(
            replace(link, here=host, interfaces=tuple(one for one in link.interfaces if one.host == host))
            for link in self._links_on[host]
        )
        ends = [end for link in links for end in link.spec.ends if end.host == host]
        return replace(
            self,
            links=links,
            bridges=tuple(bridge for bridge in self.bridges if bridge.host == host),
            kernels={name: kernel for name, kernel in self.kernels.items() if name in {end.node for end in ends}},
            switches={name: one for name, one in self.switches.items() if name in {end.switch for end in ends}},
            hosts={},
            host=host,
        )

    @cached_property
    def _links_on(self) -> Mapping[str, list[ResolvedLink]]:
        found: dict[str, list[ResolvedLink]] = {name: [] for name in self.hosts}
        for link in self.links:
            for host in {end.host for end in link.spec.ends} & self.hosts.keys():
                found[host].append(link)
        return found

    def _no_host(self, host: str) -> InputError:
        if not self.hosts:
            return InputError(f"{self.name} names no hosts, and is for one machine", "leave --on out, or add hosts:")
        import difflib  # for mistakes alone

        near = difflib.get_close_matches(host, self.hosts, 1)
        instead = f"did you mean {near[0]}? " if near else ""
        return InputError(f"{self.name} has no host {host!r}", f"{instead}its hosts are {', '.join(self.hosts)}")

    def one_machine(self) -> Topology:
        """The same, where it is what one machine has to do. Raises InputError where it is of several."""
        if self.hosts:
            message = f"{self.name} is for the hosts {', '.join(self.hosts)}, and it is not said which of them this is"
            raise InputError(message, f"give one, such as --on {next(iter(self.hosts))}")
        return self

    def starting(self, guests: Collection[str]) -> Topology:
        """The same with these guests alone on this host; with all of them, where none is named."""
        return replace(self, started=frozenset(guests) or None)

    @cached_property
    def interfaces(self) -> tuple[HostInterface, ...]:
        """What the host must have, bridges first. Raises InputError for a topology of several hosts."""
        self.one_machine()
        return (*self.bridges, *(interface for link in self.links for interface in link.interfaces))

    @cached_property
    def outer_ends(self) -> tuple[OuterEnd, ...]:
        """The ends of all tunnels. Raises InputError for a topology of several hosts."""
        self.one_machine()
        every = (end for link in self.links for end in link.outer_ends)
        if self.started is None:
            return tuple(every)
        return tuple(replace(end, here=end.here and end.endpoint.partition(":")[0] in self.started) for end in every)
