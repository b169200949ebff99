"""What every target is: a program that makes interfaces its own way, what it writes them in, and what it cannot do.

1. A target gets the interfaces that `up` would make, or a device elsewhere has to, as data (`Made`). It asks no kernel.
2. What it cannot express is an error, all of them at once and each at its link, with what to change in the topology:
   half a wire drops packets in silence.
3. An interface of the host is given vecnet's own mark, where the target can write it. So `status` and `plan` know it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from vecnet.errors import InputError, Position, Problem
from vecnet.host.nodes import marks
from vecnet.topology import Topology
from vecnet.topology.model import ResolvedLink
from vecnet.transports.link import HOST, GreAttributes, HostInterface, L2tpAttributes, chosen_ifname

REGISTRY: dict[str, type[Target]] = {}


@dataclass(frozen=True, slots=True)
class Made:
    """An interface to be made, where it stands in the file, and its mark: of the host's own alone, 0 and "" elsewhere.

    `overhead` is in bytes: by as much is a tunnel's outer packet larger than the packet inside the frame.
    """

    interface: HostInterface
    where: Position | None
    overhead: int = 0
    group: int = 0
    alias: str = ""
    peer_alias: str = ""

    @property
    def ends(self) -> tuple[str, ...]:
        """The names of its interfaces: a pair has two."""
        peer = self.interface.peer
        return (self.interface.ifname, *((peer.ifname,) if peer else ()))

    @property
    def gre(self) -> GreAttributes | None:
        values = self.interface.attributes
        return values if isinstance(values, GreAttributes) else None

    @property
    def l2tp(self) -> L2tpAttributes | None:
        values = self.interface.attributes
        return values if isinstance(values, L2tpAttributes) else None


@dataclass(frozen=True, slots=True)
class GuestEnd:
    """A device within a guest, with its addresses."""

    ifname: str
    addresses: tuple[str, ...]


Limit = tuple[str, str]  # what is wrong, and what to change in the topology


class Target(ABC):
    """One way to configure."""

    name: ClassVar[str]
    elsewhere: ClassVar[bool] = False  # it is for devices elsewhere, and not for this host
    kinds: ClassVar[Collection[str]] = ("bridge", "tap", "veth", "gretap", "ip6gretap", "l2tp")  # that it makes
    otherwise: ClassVar[Mapping[str, str]] = {}  # what to write in place of a kind that it does not make

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            REGISTRY[cls.name] = cls

    @abstractmethod
    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        """The files that make all of these, by name: of the host, or of one device elsewhere."""

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        """What this target cannot do of an interface, which is one of `every`."""
        return iter(())

    def guest_files(self, guest: str, ends: Sequence[GuestEnd]) -> Mapping[str, str]:
        """The files of a guest's own end. Raises InputError where this target has none."""
        raise InputError(f"{self.name} does not configure guests", "give --for ifupdown or --for networkd")


def export(topology: Topology, target: Target, guest: str | None = None) -> dict[str, str]:
    """The text of each file, by its name. Raises InputError, with all that the target cannot do.

    With a `guest`, its own end; else the host's, or of a target for devices elsewhere all of theirs.
    """
    if guest is not None:
        return dict(target.guest_files(guest, _guest_ends(topology, guest)))
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, made in (_elsewhere(topology) if target.elsewhere else _here(topology)).items():
        problems += _problems(target, made)
        if not problems:
            found |= target.files(name, made)
    if problems:
        raise InputError(problems)
    if not found:
        raise _nothing(topology, target)
    return found


def _problems(target: Target, made: Sequence[Made]) -> Iterator[Problem]:
    for one in made:
        limits = list(_of_all(target, one)) or list(target.limits(one, made))
        yield from (Problem(f"{one.interface.link}: {message}", instead, one.where) for message, instead in limits)


def _of_all(target: Target, made: Made) -> Iterator[Limit]:
    kind = made.interface.kind
    if kind not in target.kinds:
        name = _SPOKEN.get(kind, kind)
        yield f"{target.name} has no {name}", target.otherwise.get(kind, "leave the link out, or use vecnet up")
    if netns := made.interface.netns:
        yield f"no export makes an interface in the network namespace {netns}", "leave netns out, or use vecnet up"


_SPOKEN = {"l2tp": "L2TPv3"}


def _nothing(topology: Topology, target: Target) -> InputError:
    if target.elsewhere:
        instead = "name the device at a link: elsewhere:router"
        return InputError(f"{topology.name} has no end elsewhere, which is what {target.name} is for", instead)
    message = f"{topology.name} needs no interface on the host, and leaves {target.name} nothing to do"
    return InputError(message, "vecnet args prints what its guests boot with")


def _here(topology: Topology) -> dict[str, list[Made]]:
    """What `up` would make, as one."""
    links = {link.name: link for link in topology.links}
    found = []
    for interface in topology.interfaces:
        if not interface.existing:
            link = links.get(interface.link)
            where = interface.where or (link.position if link else None)
            overhead = link.options[0].overhead if link else 0
            found.append(Made(interface, where, overhead, *marks(topology.name, interface)))
    return {topology.name: found} if found else {}


def _elsewhere(topology: Topology) -> dict[str, list[Made]]:
    """What each device elsewhere has to make, by its name."""
    found: dict[str, list[Made]] = {}
    for link in topology.links:
        if link.far_settings:
            made = Made(_far_interface(link), link.position, link.options[1].overhead)
            found.setdefault(link.spec.ends[1].ifname, []).append(made)
    return found


def _far_interface(link: ResolvedLink) -> HostInterface:
    """The end elsewhere as an interface of that device's kernel, named after the end that it leads to."""
    near, far = link.spec.ends
    ifname = chosen_ifname(f"{near.place}-{near.ifname}", link.spec.topology, link.name)
    spec = replace(link.spec, ends=(near, replace(far, ifname=ifname, where=HOST, host=HOST)))
    (interface,) = type(link.options[1]).host_interfaces(spec, link.options)
    return replace(interface, link=link.name)


def _guest_ends(topology: Topology, guest: str) -> list[GuestEnd]:
    ends = [end for link in topology.links for end in link.spec.ends if end.node == guest]
    return [GuestEnd(end.ifname, tuple(end.given.get("ip", ()))) for end in sorted(ends, key=lambda end: end.unit)]


def to_yaml(value: object) -> str:
    """In the order of its keys, quoted where YAML needs it."""
    import yaml  # for two targets alone

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


# what several targets cannot do


def joins_what_exists(made: Made, every: Sequence[Made], target: str) -> Iterator[Limit]:
    """Of a target that puts interfaces only into bridges that it makes itself."""
    bridge = made.interface.bridge
    if bridge and bridge not in {one.interface.ifname for one in every}:
        message = f"{target} puts an interface into no bridge that it does not make, as {bridge} is"
        yield message, f"write {bridge}: {{}} under bridges, or use --for iproute2"
