"""gre: Ethernet over GRE on a raw IP socket, protocol 47, Ethertype 0x6558.

Source: RFC 2784, RFC 2890 (key, sequence); HOWTO, "GRE socket transport".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar, Self

from vecnet.guests import Case, Situation
from vecnet.options import Reading, Value, option
from vecnet.transports.answers import TUNNEL_SAMPLE, TUNNEL_SAMPLE_V6, FarEnd, Protocol, Receiver, Sample
from vecnet.transports.link import Claim, GreAttributes, HostInterface, Key, Link, Mistake, host_interface
from vecnet.transports.tunnel import CLEARED, LOCAL, Tunnel, alone, idle, stray, unpinned
from vecnet.values import Choice, Flag, Integer

_KEY = Integer(0, 0xFFFFFFFF)
_CHECKSUM, _KEYED, _SEQUENCED = 0x8000, 0x2000, 0x1000  # the flags, RFC 2784 section 2.1, RFC 2890 section 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gre(Tunnel):
    """An Ethernet over GRE tunnel. Privilege: CAP_NET_RAW. Only one tunnel per pair of addresses and key."""

    name: ClassVar[str] = "gre"
    far_end = FarEnd.OTHER_STRING
    samples = (Sample("gre", f"key: on, sequence: on, {TUNNEL_SAMPLE}"), Sample("gre v6", TUNNEL_SAMPLE_V6))
    howto = "> 3"
    link_keys = {
        "key": Key(Flag(), "whether packets carry a key, chosen unless an end states its own"),
        "sequence": Key(Choice(("off", "on", "pinned")), "sequence numbers: none, rising, or always 0"),
    }
    varying = Tunnel.varying | {"rx_key", "tx_key"}
    guest_keys = host_keys = elsewhere_keys = {**LOCAL, "key": Key(_KEY, "the key that this end receives")}

    rx_key: int | None = option(_KEY, Reading.SIGNED32, "the key that this end receives", other="tx_key", default=None)
    tx_key: int | None = option(_KEY, Reading.SIGNED32, "the key that this end sends", other="rx_key", default=None)
    sequence: bool = option(Flag(), Reading.SIGNED32, "send sequence numbers", default=False)
    pin_sequence: bool = option(Flag(), Reading.SIGNED32, "send 0 in every sequence number", default=False)

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        yield from alone(values, "rx_key", "tx_key")
        yield from idle(values, "pin_sequence", "sequence")
        yield from unpinned(values, "sequence", "pin_sequence")
        if values["rx_key"] is not None and not values["sequence"]:
            instead = f"{CLEARED}; sequence=1 does without"
            yield Case(Situation.UNCLEARED, "sequence", "keys without sequence: ", instead, ("rx_key", "sequence"))

    @classmethod
    def unread(cls, key: str, unreadable: Collection[str]) -> Situation:
        """Without an rx_key that it can read, the driver does not look at tx_key."""
        return Situation.UNREADABLE_TOO if key == "tx_key" and "rx_key" in unreadable else Situation.UNREADABLE

    @property
    def header_size(self) -> int:
        return 4 + 4 * (self.rx_key is not None) + 4 * self.sequence

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from super().mistakes(link)
        if link.given.get("key") is False:
            yield from stray(link, "key", "the link has key: off", "write key: on at the link, or leave it out")

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        here, there = link.ends[end], link.ends[1 - end]
        # machines that the file names may have many tunnels between two addresses
        keyed = link.given.get("key", "key" in here.given or "key" in there.given or link.crosses)
        sequence = link.given.get("sequence", "off")
        return {
            "src": here.given["local"],
            "dst": there.given["local"],
            "rx_key": _key(link, end) if keyed else None,
            "tx_key": _key(link, 1 - end) if keyed else None,
            "sequence": sequence != "off",
            "pin_sequence": sequence == "pinned",
        }

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        """A gretap or ip6gretap. Never iseq: a guest's numbers start again with every boot."""
        found = []
        for index in link.hosts:
            here = ends[index]
            attributes = GreAttributes(
                local=here.src, remote=here.dst, ikey=here.rx_key, okey=here.tx_key, oseq=here.sequence, ttl=64
            )
            kind = "ip6gretap" if here.v6 else "gretap"
            # the guest's gre takes neither large frames nor open checksums
            found.append(host_interface(link, kind, here.mtu, attributes, offload=False, index=index))
        return tuple(found)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        """The kernel tells tunnels apart by both addresses and the key.

        A guest looks at the key alone: its raw socket receives every GRE packet of its address, whoever sent it, and
        those that are meant for a tunnel of the kernel's too.
        """
        keyed = "no key" if options.rx_key is None else f"key {options.rx_key}"
        key = "local" if options.rx_key is None else "key"
        host = link.ends[end].node is None  # a router tells them apart as the kernel does
        text = f"GRE to {options.src} with {keyed}"
        claims = [Claim("gre", (options.src, options.rx_key), text, key, shared=host)]
        if host:
            text = f"the GRE tunnel from {options.dst} to {options.src} with {keyed}"
            claims.append(Claim("gre kernel", (options.src, options.dst, options.rx_key), text, key))
        return tuple(claims)

    def settings(self) -> dict[str, str | int]:
        """RFC 2784 and 2890, in the words that most routers have."""
        keys = (
            {} if self.rx_key is None or self.tx_key is None else {"local key": self.rx_key, "remote key": self.tx_key}
        )
        return {
            "tunnel": "Ethernet over GRE, protocol type 0x6558",
            "local": self.src,
            "remote": self.dst,
            **keys,
            "sequence numbers": "sent" if self.sequence else "off",
            "checksum": "off",
        }

    def capabilities(self) -> tuple[str, ...]:
        return ("NET_RAW",)

    def receives_at(self) -> Receiver | None:
        return Receiver(Protocol.GRE, self.src, number=self.rx_key)

    def misfits(self, header: bytes) -> Iterator[str]:
        if len(header) < 4:
            yield f"the sender's header is only {len(header)} bytes"
            return
        flags = int.from_bytes(header[:2], "big")
        keyed, sequenced, summed = flags & _KEYED, flags & _SEQUENCED, flags & _CHECKSUM
        if summed:
            yield "the sender adds GRE checksums, which no guest takes: turn csum off"
        if bool(keyed) != (self.rx_key is not None):
            yield "the sender sends a key, this string has none" if keyed else "the sender sends no key"
        if sequenced and not self.sequence:
            yield "the sender sends sequence numbers, this string has no sequence=1"
        elif self.sequence and not sequenced:
            yield "the sender sends no sequence numbers, this string has sequence=1 (at a kernel's tunnel: oseq)"
        key = int.from_bytes(header[8:12] if summed else header[4:8], "big")
        if keyed and self.rx_key not in (None, key):
            yield f"the sender sends key {key}, this string expects {self.rx_key}"


def _key(link: Link, end: int) -> int:
    stated = link.ends[end].given.get("key")
    return link.choose("key", end, 1, 0xFFFFFFFF) if stated is None else int(stated)
