"""What every transport has: the options common to all, the registry, and the rules of construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

from vecnet.errors import Problem, Refused, VecStringError
from vecnet.guests import GENERATIONS, Case, Guest, Situation
from vecnet.guests.agreed import agreed
from vecnet.options import OPTION, Option, Reading, Severity, Value, option
from vecnet.transports.answers import FarEnd, Receiver, Sample
from vecnet.transports.link import Claim, HostInterface, Key, Link, Mistake, Sides
from vecnet.values import Flag, Integer, Mac

REGISTRY: dict[str, type[Transport]] = {}

ETHERNET_HEADER = 14
IPV4_HEADER = 20
IPV6_HEADER = 40
UDP_HEADER = 8
VNET_HEADER = 10  # struct virtio_net_hdr, linux/virtio_net.h

DEFAULT_DEPTH = 64
NAPI_WEIGHT = 64  # NAPI_POLL_WEIGHT, linux/netdevice.h
DEFAULT_MTU = 1500
MIN_MTU = max(guest.mtu.start for guest in GENERATIONS)
MAX_MTU = min(65521, *(guest.mtu.stop - 1 for guest in GENERATIONS))  # drivers/net/tun.c: what a tap takes
NOT_OURS = {"ifname"}, {"ip", "mac", "bridge", "owner", "group"}  # the guest's and the host's keys, of one that exists
MAX_DEPTH = 1024  # UIO_MAXIOV: the host kernel moves no more in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transport:
    """A transport with its options. Values are what the guest will use, so defaults are filled in.

    Raises VecStringError, with every problem, where no guest would take the options as they are meant.
    Source: HOWTO, "Common options"; arch/um/drivers/vector_kern.c.
    """

    __slots__ = ("__dict__", "__weakref__", "is_plain")  # so that `vars` are the options
    is_plain: ClassVar[bool]  # of one that was made: every guest that has the transport does as meant, without a word

    name: ClassVar[str]
    sides: ClassVar[Sides] = Sides.ANY
    link_keys: ClassVar[Mapping[str, Key]] = {}  # in a topology, at the link
    guest_keys: ClassVar[Mapping[str, Key]] = {}  # … at a guest's endpoint
    host_keys: ClassVar[Mapping[str, Key]] = {}  # … at the host's endpoint
    outside_keys: ClassVar[Mapping[str, Key]] = {}  # … at the end outside
    elsewhere_keys: ClassVar[Mapping[str, Key]] = {}  # … at the end elsewhere; without any it cannot be there
    program: ClassVar[str] = ""  # … and the name of the program there, where the guest itself starts it
    switch_keys: ClassVar[Mapping[str, Key] | None] = None  # … at a switch's end; as a guest's, if left out
    at_switch: ClassVar[bool] = False  # whether vecnet's own switch listens for it, see Link.door
    interface_keys: ClassVar[tuple[str, ...]] = ("ip", "mac", "bridge")  # … and there, of those common to interfaces
    instead_of_guests: ClassVar[str] = ""  # what to write where two guests cannot be joined
    vnet: ClassVar[bool] = False  # whether large frames pass whole, each behind a virtio-net header: gro's default
    far_end: ClassVar[FarEnd] = FarEnd.UNKNOWN
    samples: ClassVar[tuple[Sample, ...]] = ()
    varying: ClassVar[frozenset[str]] = frozenset()  # options by whose values no other is judged, see `shape`
    howto: ClassVar[str] = ""  # Gbit/s of a guest, in the table at the HOWTO's beginning

    depth: int = option(Integer(1, MAX_DEPTH), Reading.DECIMAL, "packets per system call", default=DEFAULT_DEPTH)
    mac: str | None = option(
        Mac(), Reading.TEXT, "the guest's Ethernet address; without it a random one is used on every boot", default=None
    )
    gro: bool = option(Flag(), Reading.DECIMAL, "large receive frames and checksum offload", default=False)
    mtu: int = option(
        Integer(MIN_MTU, MAX_MTU),
        Reading.DECIMAL,
        "the largest packet inside an Ethernet frame, in bytes",
        default=DEFAULT_MTU,
    )
    headroom: int | None = option(
        Integer(0, 4096),
        Reading.DECIMAL,
        "bytes left free before each packet, for encapsulation in the guest",
        default=None,
    )
    vec: bool = option(Flag(), Reading.DECIMAL, "0 moves one packet per system call, by readv and writev", default=True)

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            REGISTRY[cls.name] = cls

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        options = self.options()
        for key, value in vars(self).items():
            declared = options[key]
            if value is None or (value == declared.default and type(value) is type(declared.default)):
                continue  # most are, and thousands of links are made in one go
            try:
                object.__setattr__(self, key, declared.kind.parse(str(value)))
            except Refused as error:
                problems.append(Problem(f"{key}: {error.message}", error.instead))
        if not problems:
            for key, value in self.derived(vars(self)).items():
                object.__setattr__(self, key, value)
            cases = list(self.cases(vars(self)))
            having = [guest for guest in GENERATIONS if self.name not in guest.lacks]
            rows = [guest.row(self.name, case)[1] for guest in having for case in cases]
            is_plain = all(row.severity < Severity.IGNORED and not row.word for row in rows)
            object.__setattr__(self, "is_plain", is_plain)
            if not is_plain:  # what is wrong with the options together, unless some guest takes them
                problems = min((self.problems(cases, (guest,)) for guest in GENERATIONS), key=len)
        if problems:
            raise VecStringError(problems)

    @classmethod
    def problems(cls, cases: Iterable[Case], guests: Sequence[Guest]) -> list[Problem]:
        """Why one of these guests does not come up as meant."""
        lacking = [guest for guest in guests if cls.name in guest.lacks]
        if lacking:
            return [Problem(f"{guest} has no transport {cls.name}", "boot a later kernel") for guest in lacking]
        effects = [agreed({guest: guest.effect(cls.name, case) for guest in guests}) for case in cases]
        return [Problem(effect.message, effect.instead) for effect in effects if effect.severity >= Severity.IGNORED]

    def words(self, guests: Sequence[Guest]) -> tuple[str, ...]:
        """The words of a kernel's command line that make it certain that all of these guests do as meant."""
        if self.is_plain:
            return ()
        having = [guest for guest in guests if self.name not in guest.lacks]
        rows = (guest.row(self.name, case)[1] for case in self.cases(vars(self)) for guest in having)
        return tuple(dict.fromkeys(row.word for row in rows if row.word))

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        """Every option of this transport, by its token."""
        if "_options" not in cls.__dict__:
            cls._options = {f.name: f.metadata[OPTION] for f in dataclasses.fields(cls)}
        return cls._options

    _options: ClassVar[dict[str, Option]]

    @classmethod
    def derived(cls, values: Mapping[str, Value]) -> dict[str, Value]:
        """Options that follow from others, such as `v6` from an address."""
        return {}

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        """Where options do not go together, or are worth a word. `values` holds every option, by token."""
        depth = values["depth"]
        if isinstance(depth, int) and depth > NAPI_WEIGHT:
            yield Case(Situation.DEEP, "depth", f"depth={depth}: ")
        if values.get("ifup"):
            yield Case(Situation.IFUP, "ifup", f"ifup={values['ifup']}: ", "bring the interface up beforehand")

    @classmethod
    def unread(cls, key: str, unreadable: Collection[str]) -> Situation:
        """The situation of a guest that cannot read the value of `key`, nor those of all of `unreadable`."""
        return Situation.UNREADABLE

    @property
    def header_size(self) -> int:
        """Bytes before the Ethernet frame on the descriptor or in the outer packet's payload."""
        return VNET_HEADER if self.vnet else 0

    @property
    def overhead(self) -> int:
        """Bytes by which an outer IP packet is larger than the packet inside the frame; 0 where there is none."""
        return 0

    def mirror(self) -> Self:
        """The other end of the same wire. Mirroring twice gives the same transport.

        Where the string names the wire itself (an interface, a descriptor, a switch's socket), both ends have the same
        string and only the MAC differs, in its lowest bit. What one end receives, the other sends (`option`, other).
        """
        swapped = {key: getattr(self, declared.other) for key, declared in self.options().items() if declared.other}
        return dataclasses.replace(self, mac=other_mac(self.mac), **swapped)

    @classmethod
    def shape(cls, options: Mapping[str, Value]) -> Hashable:
        """What the judgement of these options follows from, beside that of each varying one by itself."""
        varying = cls.varying
        values = [... if key in varying and value is not None else value for key, value in options.items()]
        return (cls.name, *options, *values)

    def alike(self, mac: str | None, options: Mapping[str, Value]) -> Self:
        """What has this address and these options, which are of the same shape. Raises VecStringError.

        Thousands of links have few shapes. Of the options only the varying ones are judged, of the address nothing.
        """
        declared = self.options()
        changes: dict[str, Value] = {"mac": mac}
        try:
            for key in self.varying:
                if (value := options.get(key)) is not None:
                    changes[key] = declared[key].kind.parse(str(value))
        except Refused:
            return type(self)(mac=mac, **options)  # type: ignore[arg-type]  # it says all that is wrong
        return self._but(changes)

    def with_mtu(self, mtu: int) -> Self:
        """The same with another MTU, one between MIN_MTU and MAX_MTU: nothing else has to do with it."""
        return self._but({"mtu": mtu})

    def _but(self, changes: Mapping[str, Value]) -> Self:
        """The same with other values, which were judged already."""
        changed = object.__new__(type(self))
        values = vars(changed)
        values.update(vars(self))
        values.update(changes)
        object.__setattr__(changed, "is_plain", self.is_plain)
        return changed

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        """Values of a link that are right one by one and do not go together."""
        if link.existing:
            for end in (0, 1):
                for key in link.ends[end].given.keys() & NOT_OURS[end]:
                    message = f"{key} at {link.ends[end]} is not vecnet's to choose: {link.ends[1]} is there already"
                    yield Mistake(message, "leave it out, or existing: on", key, end)

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        """The options of an end's vec string, without the common ones, from what both ends state."""
        raise TypeError(f"{cls.__name__} has no place in a topology")

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        """The interfaces that the host must have for a link whose ends have these options."""
        return ()

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        """What the end at index `end` needs for itself alone."""
        return ()

    def settings(self) -> Mapping[str, str | int]:
        """What a device that is not vecnet's must be told to be this end, by name; nothing where none can be."""
        return {}

    @property
    def far_name(self) -> str:
        """What the string calls its far end: the host's interface, or the switch's path; "" where it names none."""
        return ""

    def beside(self) -> Self | None:
        """Another end of the network that the string names, where any number of ends join it; None otherwise."""
        return None

    def inherits(self) -> int | None:
        """The number of the descriptor that a guest must be started with."""
        return None

    def inheriting(self, descriptor: int) -> Self:
        """The same end with `descriptor` for the one that it inherits."""
        raise TypeError(f"{self.name} inherits no descriptor")

    def capabilities(self) -> tuple[str, ...]:
        """The capabilities(7) that a guest needs to open its end, such as NET_RAW; what a tap needs, its owner says."""
        return ()

    @classmethod
    def opened_in(cls, link: Link) -> str | None:
        """The named network namespace in which a link's guest must open its end; None for its own."""
        return None

    def binds(self) -> str | None:
        """The interface whose frames packet sockets of this end move both ways."""
        return None

    def receives_at(self) -> Receiver | None:
        """Where the outer packets of a tunnel arrive; None where there are none."""
        return None

    def misfits(self, header: bytes) -> Iterator[str]:
        """Why this end would not take an outer packet's `header`, which stands between IP, or UDP, and the frame."""
        return iter(())


def small_buffers(on_the_host: str) -> Case:
    """Without gro a guest has no room for the large frames that a host's stack makes of TCP."""
    instead = f"give gro=1, or on the host, as vecnet up does: {on_the_host}"
    return Case(Situation.SMALL_BUFFERS, "gro", "without gro ", instead)


def other_mac(mac: str | None) -> str | None:
    """The address of a wire's other end: `mac` with its lowest bit flipped, where that is an address."""
    if mac in (None, "00:00:00:00:00:01"):
        return mac
    return f"{mac[:-2]}{int(mac[-2:], 16) ^ 1:02x}"
