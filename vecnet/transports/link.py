"""A topology's link as its transport sees it, and what the transport makes of it: plain data, no I/O.

A transport file turns a `Link` into the options of each end's vec string, into the interfaces that the host must have
(`HostInterface`), and into `Claim`s on what can be used only once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from vecnet.errors import Position
from vecnet.impairment import Impairment
from vecnet.records import record
from vecnet.runtime import socket_path
from vecnet.values import IFNAMSIZ, Kind

HOST = "host"  # the reserved name of the machine itself, where no others are named
OUTSIDE = "outside"  # … and of the world beyond, by somebody's program
ELSEWHERE = "elsewhere"  # … and of a device that is not ours to change
SWITCH = "switch"  # in tables: an end at a switch, whose own name stands in the file


class Sides(Enum):
    """Which ends a transport's link may have."""

    HOST_AND_GUEST = "one end at the host and one at a guest"
    ANY = "two guests, or a guest and the host"
    OUTSIDE_AND_GUEST = "one end outside, at somebody's program, and one at a guest"


@record(frozen=True, slots=True)
class Key:
    """A key of the topology file: the kind of its value, its meaning, and whether a list of values is allowed.

    `by_host` where the machine's own value stands in for one that is left out, at a link that leaves the machine.
    """

    kind: Kind[object]
    doc: str
    many: bool = False
    required: bool = False
    by_host: bool = False


_NOTHING: Mapping[str, Any] = {}


class Keys(dict[str, Key]):
    """Keys by their names; `required` are those that must be there."""

    def __init__(self, **keys: Key) -> None:
        super().__init__(keys)
        self.required = tuple(name for name, key in keys.items() if key.required)


@record(frozen=False, slots=True)  # not frozen, for it finds out much of itself; nobody changes one
class End:
    """One end of a link: `web:vec0`, `host:tap0`, `lan:web` at a switch, `outside:vde`, `elsewhere:router`.

    With the values that the file gives for it. `host` is the machine that it is on: HOST where the file names none,
    ELSEWHERE for a device there. The end at an interface of the machine alpha is `alpha:tap-web`.
    """

    node: str | None  # the guest's name; None where no guest is
    ifname: str  # at a switch the name of the port, outside that of the program, elsewhere that of the device
    given: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    where: str = HOST  # where no guest is: HOST, OUTSIDE, ELSEWHERE, or the name of a switch
    host: str = HOST

    kind: str = field(init=False)  # which keys it has: "" of a guest's end, or HOST, OUTSIDE, ELSEWHERE, SWITCH
    switch: str | None = field(init=False)  # the switch's name; None where none is
    is_host: bool = field(init=False)
    place: str = field(init=False)  # what stands before the colon
    text: str = field(init=False)  # the whole, as str() has it

    def __post_init__(self) -> None:
        where = self.where
        self.switch, self.is_host = None, False
        if self.node is not None:
            self.kind, self.place = "", self.node
        elif where == HOST:
            self.kind, self.place, self.is_host = HOST, self.host, True
        elif where in (OUTSIDE, ELSEWHERE):
            self.kind = self.place = where
        else:
            self.kind, self.place, self.switch = SWITCH, where, where
        self.text = f"{self.place}:{self.ifname}"

    @property
    def bridge(self) -> str | None:
        """The bridge that the interface at the host is a member of, as the file's `bridges` has it: `alpha:br0`."""
        if not self.is_host or "bridge" not in self.given:
            return None
        return named_on(self.host, str(self.given["bridge"]))

    @property
    def unit(self) -> int:
        """N of a guest's vecN; 0 where no guest is."""
        return int(self.ifname[3:]) if self.node is not None else 0

    def __str__(self) -> str:
        return self.text


@record(frozen=False, slots=True)  # as End
class Link:
    """A link with two ends: guests first, then switches, then the host or what is outside, else in the order of names.

    So the order in the file means nothing.
    """

    topology: str
    ends: tuple[End, End]
    given: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    again: Mapping[tuple[str, int], int] = field(default_factory=dict)  # how often a choice was found taken
    title: str = ""  # the name that the file gives it; that of its ends if left out

    name: str = field(init=False)  # of its ends
    host: int | None = field(init=False)  # the index of the host's end, the second; of two hosts' ends too
    existing: bool = field(init=False)  # whether the interface there is somebody else's, who made it and keeps it

    def __post_init__(self) -> None:
        near, far = self.ends
        self.name = f"{near.text}--{far.text}"
        self.title = self.title or self.name
        self.host = 1 if far.is_host else None
        self.existing = far.is_host and bool(far.given.get("existing"))

    @property
    def door(self) -> str | None:
        """The path at which vecnet's own switch listens for this link's first end; None where it does not.

        Between a guest and a program outside there is a switch, too, so that the guest may come again.
        """
        near, far = self.ends
        if far.kind not in (SWITCH, OUTSIDE) or not (near.node or far.switch):
            return None
        listener = far if far.switch else near
        return str(far.given.get("path") or socket_path(self.topology, str(listener)))

    @property
    def hosts(self) -> tuple[int, ...]:
        """The indexes of the ends at interfaces of the kernel."""
        return tuple(index for index, end in enumerate(self.ends) if end.is_host)

    @property
    def crosses(self) -> bool:
        """Whether its ends are on two machines that the file names."""
        near, far = (end.host for end in self.ends)
        return near != far and ELSEWHERE not in (near, far)

    def choose(self, what: str, end: int, low: int, high: int) -> int:
        """A number for `what` at an end, the same on every run, from the names alone."""
        again = self.again.get((what, end), 0)
        names = (self.topology, self.name, self.ends[end].text, what)
        return chosen(low, high, *names, str(again)) if again else chosen(low, high, *names)

    def choose_mac(self, end: int) -> str:
        return chosen_mac(self.topology, self.name, self.ends[end].text)


@record(frozen=True, slots=True)
class Attributes:
    """What the interfaces of one kind alone have, in iproute2's words. Each kind has a class of its own."""


@record(frozen=True, slots=True)
class TapAttributes(Attributes):
    """Who may open it, by name or number, and whether each frame has a virtio-net header before it."""

    owner: str | None = None
    group: str | None = None
    vnet_hdr: bool = True


@record(frozen=True, slots=True)
class VethAttributes(Attributes):
    """Whether IPv6 gives the named end an address of its own."""

    autoconf: bool = True


@record(frozen=True, slots=True)
class GreAttributes(Attributes):
    """Of gretap and ip6gretap. Keys are None where packets have none; `iseq` demands rising sequence numbers."""

    local: str
    remote: str
    ikey: int | None
    okey: int | None
    oseq: bool
    ttl: int
    iseq: bool = False


@record(frozen=True, slots=True)
class L2tpAttributes(Attributes):
    """A tunnel, udp or ip, with one session. `cookie` is what is sent, `peer_cookie` what is demanded."""

    encap: str
    local: str
    remote: str
    udp_sport: int | None
    udp_dport: int | None
    tunnel_id: int
    session_id: int
    peer_session_id: int
    cookie: int | None
    peer_cookie: int | None
    cookie_size: int  # bytes
    l2spec_type: str  # none, or default: 4 bytes before the frame


@record(frozen=True, slots=True)
class Peer:
    """A pair's second end, which lies in vecnet's own network namespace."""

    ifname: str
    mac: str


@record(frozen=True, slots=True)
class GuestFilter:
    """What an end's packet socket takes: frames that match `expression`, but not the guest's own, by a file at `path`;
    "" for any. `flash` where the guest may load another."""

    endpoint: str
    mac: str | None
    expression: str = ""
    path: str = ""
    flash: bool = False


@record(frozen=True, slots=True)
class HostInterface:
    """An interface that the host must have.

    `offload` tells whether what lies behind it takes large frames and checksums that are still to be filled in. What is
    `existing` is somebody else's: it is used as it is, and neither made, nor changed, nor removed.
    """

    ifname: str
    kind: str  # tap, veth, bridge, gretap, ip6gretap, l2tp
    mtu: int
    mac: str | None = None
    attributes: Attributes = Attributes()
    peer: Peer | None = None
    addresses: tuple[str, ...] = ()
    bridge: str | None = None
    netns: str | None = None
    offload: bool = True
    link: str = ""  # the name of the link or bridge that it belongs to, for its mark
    existing: bool = False
    host: str = HOST  # the machine that has it
    impairment: Impairment | None = None  # what frames suffer that it sends
    filters: tuple[GuestFilter, ...] = ()  # of the ends that bind it, or its peer
    where: Position | None = field(default=None, compare=False)  # in the file


def host_interface(
    link: Link, kind: str, mtu: int, attributes: Attributes, *, offload: bool, index: int = 1
) -> HostInterface:
    """The interface that a host's end of a link names, with what the file states of it."""
    end = link.ends[index]
    if link.existing:
        return existing_interface(link, kind, mtu, offload=offload)
    return HostInterface(
        ifname=end.ifname,
        kind=kind,
        mtu=mtu,
        mac=end.given.get("mac") or link.choose_mac(index),
        attributes=attributes,
        addresses=tuple(end.given.get("ip", ())),
        bridge=end.given.get("bridge"),
        netns=end.given.get("netns"),
        offload=offload,
        link=link.title,
        host=end.host,
    )


def existing_interface(link: Link, kind: str, mtu: int, *, offload: bool) -> HostInterface:
    """The interface at the host's end that somebody else made."""
    end = link.ends[1]
    netns = end.given.get("netns")
    return HostInterface(
        end.ifname, kind, mtu, netns=netns, offload=offload, link=link.title, existing=True, host=end.host
    )


def end_of(link: Link, interface: HostInterface) -> int:
    """The index of the end that an interface is named at; the second, where no end or each of both could be."""
    return 0 if link.ends[0].is_host and link.ends[0].host == interface.host else 1


def named_on(host: str, ifname: str) -> str:
    """An interface as the file names it: `br0`, or of a machine that it names, `alpha:br0`."""
    return ifname if host == HOST else f"{host}:{ifname}"


@record(frozen=True, slots=True)
class Claim:
    """Something that one end alone can have in a network namespace; `text` names it to people.

    Two shared claims on one value are allowed; a shared and an exclusive one are not.
    `key` is the endpoint's key that it comes from: an error points at it, and where it was not stated but chosen
    (`Link.choose`, by the same word), another value is chosen.
    """

    what: str
    value: tuple[Any, ...]
    text: str
    key: str = ""
    shared: bool = False


@record(frozen=True, slots=True)
class OuterEnd:
    """An end of a tunnel: the outer address that it has, and what it claims there.

    `here` where the address must be one of this host's although no interface of the host has it: a guest's, unless the
    other end is the host. `elsewhere` where it is a device's that is not ours.
    """

    link: str
    endpoint: str
    address: str
    is_host: bool
    here: bool
    claims: tuple[Claim, ...]
    elsewhere: bool = False


@record(frozen=True, slots=True)
class Mistake:
    """Values of a link that do not go together: at an end's key, or at the link's own where `end` is None."""

    message: str
    instead: str
    key: str
    end: int | None = None


def chosen(low: int, high: int, *names: str) -> int:
    """A number from `low` to `high` that follows from names."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return low + int.from_bytes(digest[:16], "big") % (high - low + 1)


def chosen_mac(*names: str) -> str:
    """A unicast, locally administered MAC address (IEEE 802) that follows from names."""
    digest = hashlib.sha256("\0".join(("mac", *names)).encode()).digest()
    return f"02:{digest[11:16].hex(':')}"  # of the number that `chosen` would take, the lowest five bytes


def chosen_ifname(readable: str, *names: str) -> str:
    """`readable` where it fits an interface's name; else its beginning and six digits that follow from names."""
    if len(readable.encode()) < IFNAMSIZ:
        return readable
    digits = f"{chosen(0, 2**24 - 1, 'ifname', *names):06x}"
    return readable.encode()[: IFNAMSIZ - 2 - len(digits)].decode(errors="ignore") + "-" + digits
