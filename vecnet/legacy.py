"""Strings of the drivers before the vector driver, `eth0=tuntap,tap0`: what they mean, and what does the same today.

The fields between the commas have fixed places, and an empty one has its default. Linux 6.16 removed these drivers;
before, distributions dropped them one by one, so `vecnet/guests/` says which generation has which.

Source: arch/um/drivers/*_kern.c of Linux 6.1, the comments on "Transport usage"; measured on Debian's user-mode-linux.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vecnet.errors import Refused, VecStringError
from vecnet.guests import GENERATIONS, Guest
from vecnet.guests.agreed import agreed
from vecnet.guests.kernel import Kernel
from vecnet.options import Effect, Severity
from vecnet.transports import TRANSPORTS
from vecnet.transports.link import chosen, chosen_ifname
from vecnet.values import Choice, FreeText, Integer, IpAddress, Kind, Mac, NewIfName
from vecnet.vecstring import Explanation, Token, VecDevice

Fields = Mapping[str, str]  # those that are given, by name; a tap's name and the device's number in any case
Given = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Same:
    """What does the same: a transport with its options in a string, and in a topology what both ends state.

    `far` is the other end, "" where no topology has one; `bridge` is the one that it is a member of.
    """

    transport: str
    options: Given
    far: str = ""
    given: Given = field(default_factory=dict)
    own: Given = field(default_factory=dict)
    bridge: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a driver's string. `wrong` is what becomes of a guest that is given another value than of its kind."""

    name: str
    doc: str
    kind: Kind[object] = field(default_factory=FreeText)
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Driver:
    """A legacy driver: what it is, its fields in their places, what does the same, and a word about that."""

    doc: str
    fields: tuple[Field, ...]
    same: Callable[[Fields], Same]
    advice: str


def _tap(fields: Fields) -> Same:
    given: Given = {"ip": f"{fields['gateway']}/24"} if "gateway" in fields else {}
    return Same("tap", {"ifname": fields["device"]}, f"host:{fields['device']}", given)


def _member(fields: Fields) -> Same:
    """A tap in a bridge, one for each switch or group."""
    stated = [fields[name] for name in ("socket", "address", "port") if name in fields]
    bridge = f"lan-{chosen(0, 2**24 - 1, *stated):06x}" if stated else "lan"
    return Same("tap", {"ifname": fields["device"]}, f"host:{fields['device']}", {"bridge": bridge}, bridge=bridge)


def _cable(fields: Fields) -> Same:
    here, there = int(fields.get("port", "1102")), int(fields.get("remote_port", "1102"))
    local, remote = "127.0.0.1", fields.get("address", "127.0.0.1")
    ports: Given = {"udp": 1, "srcport": here, "dstport": there, "rx_session": 1, "tx_session": 1}
    options: Given = {"src": local, "dst": remote, **ports}
    return Same(
        "l2tpv3", options, f"peer:vec{fields['unit']}", {"local": remote, "port": there}, {"local": local, "port": here}
    )


def _sniffed(fields: Fields) -> Same:
    return Same("raw", {"ifname": fields.get("interface", "eth0")})


def _way_out(_: Fields) -> Same:
    return Same("vde", {"vnl": "slirp://"}, "outside:vde", {"url": "slirp://"})


def _vde(fields: Fields) -> Same:
    url = f"vde://{fields['switch']}" if "switch" in fields else "vde://"
    more: Given = {key: fields[key] for key in ("descr", "port", "mode", "group") if key in fields}
    port: Given = {"port": fields["port"]} if "port" in fields else {}
    descr: Given = {"descr": fields["descr"]} if "descr" in fields else {}
    return Same("vde", {"vnl": url, **more}, "outside:vde", {"url": url, **port}, descr)


class _Group(IpAddress):
    """An IPv4 multicast address, which the socket joins."""

    expects = "an IPv4 multicast address such as 239.192.168.1"

    def parse(self, text: str) -> str:
        if not 224 <= int((re.match(r"([0-9]{1,3})\.", text) or "00")[1]) <= 239:
            raise self._refuse(text)
        return super().parse(text)


_PORT = Integer(1, 65535)
_UNOPENED = "the device cannot be brought up"
_MAC = Field("mac", "the guest's Ethernet address", Mac(), "the guest uses a random address")
_DEVICE = Field("device", "the tap's name", NewIfName())
_GATEWAY = Field("gateway", "the host's address on the tap, which the program uml_net set", IpAddress())
_GROUP = Field("address", "the multicast group", _Group(), _UNOPENED)
_SWITCH = "a bridge of the host is the switch, with a tap for each guest; from 6.12 on a vde link, too"

DRIVERS = {
    "tuntap": Driver(
        "a tap of the host",
        (_DEVICE, _MAC, _GATEWAY),
        _tap,
        "vecnet up makes the tap and gives it its address; uml_net is not needed",
    ),
    "ethertap": Driver(
        "an ethertap device, of hosts with Linux 2.4",
        (_DEVICE, _MAC, _GATEWAY),
        _tap,
        "hosts have taps instead, and vecnet up makes them",
    ),
    "daemon": Driver(
        "uml_switch, a switch in a process",
        (
            _MAC,
            Field("type", "unix, the one kind of socket", Choice(("unix",)), _UNOPENED),
            Field("socket", "the switch's control socket"),
        ),
        _member,
        _SWITCH,
    ),
    "mcast": Driver(
        "an Ethernet segment by multicast UDP",
        (
            _MAC,
            _GROUP,
            Field("port", "its UDP port", _PORT),
            Field("ttl", "how many routers it passes", Integer(0, 255), _UNOPENED),
        ),
        _member,
        f"{_SWITCH}, or vxvde:// over several hosts",
    ),
    "ucast": Driver(
        "a cable of UDP packets between two guests",
        (
            _MAC,
            Field("port", "the local UDP port", _PORT),
            Field("address", "the other guest's address", IpAddress()),
            Field("remote_port", "its UDP port", _PORT),
        ),
        _cable,
        "the other end needs the mirrored string: no vector transport speaks the old one's form",
    ),
    "pcap": Driver(
        "what passes an interface of the host, to be looked at",
        (
            Field("interface", "the host's interface", NewIfName()),
            Field("filter", "which packets, in pcap's language"),
            Field("option1", "promisc, nopromisc, optimize or nooptimize"),
            Field("option2", "promisc, nopromisc, optimize or nooptimize"),
            _MAC,
        ),
        _sniffed,
        "raw sends, too; the filter has to be compiled, and given as bpffile=",
    ),
    "slirp": Driver(
        "the program slirp, a way out without privileges",
        (_MAC, Field("program", "the path of slirp"), Field("arguments", "its arguments")),
        _way_out,
        "slirp:// is vdeplug's own, from 6.12 on; earlier kernels have bess, with slirp4netns at its other end",
    ),
    "slip": Driver(
        "a serial line to the host, which the program uml_net set up",
        (_GATEWAY,),
        _tap,
        "a tap does the same, with Ethernet frames",
    ),
    "vde": Driver(
        "a VDE switch",
        (
            Field("switch", "the folder of the switch's sockets"),
            _MAC,
            Field("port", "the switch's port"),
            Field("group", "the group of the plug's socket"),
            Field("mode", "its permissions, in base 8"),
            Field("descr", "what the switch shows the guest as"),
        ),
        _vde,
        "the vector transport of that name has been there since 6.12",
    ),
}


def is_legacy(text: str) -> bool:
    """Whether a word of a kernel's command line is a legacy driver's."""
    return re.match(r"eth[0-9]{1,4}=", text) is not None


def explained(text: str, kernel: Kernel) -> Explanation:
    """What guests do with `ethN=…`: field by field, which of them have the driver, and the vector string of today."""
    reader = _Reader(text)
    effects = [agreed({guest: _of(guest, reader) for guest in kernel.guests})]
    if kernel.note:
        effects.append(Effect(Severity.NOTE, kernel.note))
    return Explanation(text, tuple(reader.tokens), tuple(effects), reader.device, tuple(map(str, kernel.guests)))


def link(text: str, guest: str) -> tuple[Same, dict[str, Given]] | None:
    """What does the same for `guest`, and the ends of its link; None where no topology has it, or a field is wrong."""
    reader = _Reader(text, guest)
    if reader.same is None or not reader.same.far:
        return None
    own = f"{guest}:vec{reader.unit}"
    return reader.same, {own: {**reader.same.own, **reader.mac}, reader.same.far: reader.same.given}


def _of(guest: Guest, reader: _Reader) -> Effect:
    if reader.driver is None:
        return Effect(Severity.REFUSED, f"the guest has no eth{reader.unit}", f"the drivers were {', '.join(DRIVERS)}")
    instead = reader.driver.advice
    if reader.name in guest.legacy:
        return Effect(Severity.NOTE, f"the guest has eth{reader.unit}", instead)
    why = "is built without this driver" if guest.legacy else "has no legacy driver any more"
    return Effect(Severity.REFUSED, f"the kernel {why}, and the guest has no eth{reader.unit}", instead)


class _Reader:
    """Reads a legacy string: its driver, its fields, and what does the same."""

    def __init__(self, text: str, guest: str = "tap") -> None:
        self.tokens: list[Token] = []
        self.fields: dict[str, str] = {}
        self.same: Same | None = None
        device, _, rest = text.partition("=")
        self.unit = int(device.removeprefix("eth"))
        self.name, *pieces = rest.split(",")
        self.driver = DRIVERS.get(self.name)
        column = len(device) + 2
        if self.driver is None:
            self.tokens.append(Token(self.name, column, Effect(Severity.REFUSED, "no legacy driver has this name")))
            return
        self.tokens.append(Token(self.name, column, Effect(Severity.OK, self.driver.doc)))
        if self._read(self.driver, pieces, column + len(self.name) + 1):
            own = f"tap{self.unit}" if guest == "tap" else chosen_ifname(f"{guest}-eth{self.unit}", guest, device)
            self.same = self.driver.same({"device": own, "unit": str(self.unit), **self.fields})

    def _read(self, driver: Driver, pieces: list[str], column: int) -> bool:
        """Read the fields; whether all of them can be."""
        whole = True
        for place, piece in enumerate(pieces):
            last = driver.fields[-1]
            if piece and place >= len(driver.fields) and last.name != "arguments":
                effect = Effect(Severity.IGNORED, "the driver has no such field", "leave it out")
                self.tokens.append(Token(piece, column, effect))
            elif piece:
                whole &= self._field(driver.fields[place] if place < len(driver.fields) else last, piece, column)
            column += len(piece) + 1
        return whole

    def _field(self, meant: Field, piece: str, column: int) -> bool:
        try:
            self.fields[meant.name] = str(meant.kind.parse(piece))
            effect = Effect(Severity.OK, meant.doc)
        except Refused as error:
            # every generation that has such drivers reads as the oldest does
            taken = GENERATIONS[0].misread(meant.kind, piece) if isinstance(meant.kind, Mac) else None
            does = f"the guest takes it for {taken}" if taken else meant.wrong
            severity = Severity.REFUSED if does == _UNOPENED else Severity.FALLBACK
            said = f"{meant.doc}: {error.message}{'; ' * bool(does)}{does}"
            effect = Effect(severity, said, error.instead)
            if taken:
                self.fields[meant.name] = taken
        self.tokens.append(Token(piece, column, effect))
        return meant.name in self.fields

    @property
    def mac(self) -> Given:
        return {"mac": self.fields["mac"]} if "mac" in self.fields else {}

    @property
    def device(self) -> VecDevice | None:
        """The vector device that does the same."""
        if self.same is None:
            return None
        try:
            options = {**self.same.options, **self.mac}
            return VecDevice(self.unit, TRANSPORTS[self.same.transport](**options))  # type: ignore[arg-type]
        except VecStringError:
            return None  # a path that no vec string can carry
