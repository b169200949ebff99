"""What every program has that stands outside: its keys, its start, and the descriptor by which frames go to it."""

from __future__ import annotations

import ipaddress
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from vecnet.errors import ProgramError
from vecnet.programs.keys import Forward, ForwardText, Subnet
from vecnet.transports.link import Key, Link, Mistake
from vecnet.values import Flag

if TYPE_CHECKING:  # a topology that is only read starts nothing
    import socket

    from vecnet.programs.process import Process

REGISTRY: dict[str, type[Program]] = {}


@dataclass(frozen=True)
class Places:
    """A program's network where none is stated, and who is where in it. A guest's is the first that is given to one."""

    network: ipaddress.IPv4Network
    gateway: int
    name_server: int
    host: int  # leads to the host's own 127.0.0.1
    guest: int

    @property
    def taken(self) -> set[int]:
        """The addresses that are the program's own."""
        return {self.gateway, self.name_server, self.host}


QEMU = Places(ipaddress.IPv4Network("10.0.2.0/24"), gateway=2, name_server=3, host=2, guest=15)  # as its users know it

PORTS = Key(ForwardText(), "ports of the host that lead to the guest: 2222:22, or a list of them", many=True)
SUBNET = Key(Subnet(), f"the guest's network, {QEMU.network} if left out: .{QEMU.host} leads to the host")
IPV6 = Key(Flag(), "whether the guest has IPv6, too; off if left out")
DNS = Key(Flag(), "whether names are looked up for the guest; on if left out")
LOOPBACK = Key(Flag(), "whether the gateway's address leads to the host's own 127.0.0.1; on if left out")


class Framing(Enum):
    """How frames stand on a program's descriptor."""

    PACKETS = "a packet is a frame"
    STREAM = "a stream, with the length before each frame: 4 bytes, the highest first"


@dataclass(frozen=True)
class Wanted:
    """What a program is started for. `given` is what the file states at its end, `guest` its guest's addresses."""

    given: Mapping[str, object]
    mtu: int
    guest: tuple[str, ...] = ()
    places: Places = QEMU
    folder: str = field(default="", compare=False)  # private, for its sockets

    @property
    def network(self) -> ipaddress.IPv4Network:
        found = self.given.get("subnet", self.places.network)
        assert isinstance(found, ipaddress.IPv4Network)
        return found

    @property
    def gateway(self) -> str:
        return str(self.network[self.places.gateway])

    @property
    def name_server(self) -> str:
        return str(self.network[self.places.name_server])

    @property
    def host(self) -> str:
        """The address that leads to the host's own 127.0.0.1."""
        return str(self.network[self.places.host])

    @property
    def own(self) -> str:
        """The guest's address: the one that it states, or the first that it would be given."""
        first = str(self.network[self.places.guest])
        stated = (ipaddress.ip_interface(one).ip for one in self.guest)
        return next((str(ip) for ip in stated if ip.version == 4 and ip in self.network), first)

    @property
    def forwards(self) -> tuple[Forward, ...]:
        found = self.given.get("ports", ())
        assert isinstance(found, tuple)
        return found

    def on(self, key: str, otherwise: bool) -> bool:
        return bool(self.given.get(key, otherwise))


@dataclass(frozen=True)
class Running:
    """A program that is there, and the descriptor of its frames, which the caller closes."""

    process: Process
    descriptor: int
    held: tuple[int, ...] = ()  # descriptors whose end is the program's

    def stop(self) -> None:
        """End it."""
        self.process.stopping = True
        for descriptor in self.held:
            os.close(descriptor)
        self.process.stop()


class Program(ABC):
    """A program at a link's end `outside:NAME`."""

    name: ClassVar[str]
    transport: ClassVar[str]  # of a link to it, between guest and program
    package: ClassVar[str]  # Debian's
    keys: ClassVar[Mapping[str, Key]] = {}
    places: ClassVar[Places] = QEMU
    framing: ClassVar[Framing] = Framing.PACKETS
    dhcp: ClassVar[bool] = True  # whether it hands out addresses
    echoes_by_host: ClassVar[bool] = False  # whether it answers an echo by a ping socket of the host's

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            REGISTRY[cls.name] = cls

    @classmethod
    @abstractmethod
    def start(cls, wanted: Wanted) -> Running:
        """Start it, and wait until it is there. Raises ProgramError, ProgramMissing, OSError."""

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        """Values of a link to it that do not go together."""
        near, far = link.ends
        network = far.given.get("subnet", cls.places.network)
        guest = f"write {network[cls.places.guest]}/{network.prefixlen}"
        for text in near.given.get("ip", ()):
            address = ipaddress.ip_interface(text)
            if address.version == 4 and address.ip not in network:
                message = f"{address.ip} is not in {network}, the network of {far}"
                yield Mistake(message, guest + ", or state another subnet" * ("subnet" in cls.keys), "ip", 0)
            elif address.ip in {network[number] for number in cls.places.taken}:
                yield Mistake(f"{address.ip} is an address of {far} itself", guest, "ip", 0)
        for forward in far.given.get("ports", ()):
            if forward.guest and ipaddress.IPv4Address(forward.guest) not in network:
                message = f"ports: {forward.guest} is not in {network}, the network of {far}"
                yield Mistake(message, "state the guest's address in it", "ports", 1)


def connected(path: str, process: Process) -> socket.socket:
    """A socket whose packets are frames, connected to the program that listens at `path`. Raises ProgramError."""
    from vecnet.kernel import unix_sockets

    try:
        return unix_sockets.connected(path)
    except OSError as error:
        raise ProgramError(f"{process.name} does not take a guest: {error.strerror}") from None
