"""gre: Ethernet over GRE on a raw IP socket, protocol 47, Ethertype 0x6558.

Source: RFC 2784, RFC 2890 (key, sequence); HOWTO, "GRE socket transport".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Self

from vecnet.options import Effect, Reading, Severity, option
from vecnet.transports import outer
from vecnet.transports.base import ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, Transport, other_mac
from vecnet.transports.link import Claim, GreAttributes, HostInterface, Key, Link, Mistake, host_interface
from vecnet.values import Choice, Flag, Integer

_KEY = Integer(0, 0xFFFFFFFF)
_KEYLESS = Effect(
    Severity.DROPS, "the parse fails and both keys are dropped in silence: every packet of the peer is refused"
)
_PANICS = Effect(Severity.PANIC, f"the parse fails, {outer.PANICS}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gre(Transport):
    """An Ethernet over GRE tunnel. Privilege: CAP_NET_RAW. Only one tunnel per pair of addresses and key."""

    name: ClassVar[str] = "gre"
    link_keys = {
        "key": Key(Flag(), "whether packets carry a key, chosen unless an end states its own"),
        "sequence": Key(Choice(("off", "on", "pinned")), "sequence numbers: none, rising, or always 0"),
    }
    guest_keys = host_keys = {**outer.LOCAL, "key": Key(_KEY, "the key that this end receives")}

    src: str = outer.src_option()
    dst: str = outer.dst_option()
    v6: bool = outer.v6_option()
    rx_key: int | None = option(_KEY, Reading.SIGNED32, "the key that this end receives", _KEYLESS, default=None)
    tx_key: int | None = option(_KEY, Reading.SIGNED32, "the key that this end sends", _PANICS, default=None)
    sequence: bool = option(Flag(), Reading.SIGNED32, "send sequence numbers", default=False)
    pin_sequence: bool = option(Flag(), Reading.SIGNED32, "send 0 in every sequence number", default=False)

    @classmethod
    def derived(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return outer.derived_v6(values)

    @classmethod
    def effects(cls, values: Mapping[str, Any]) -> Iterator[Effect]:
        yield from outer.family_effects(values)
        yield from outer.pair_effects(values, "rx_key", "tx_key")
        if values["pin_sequence"] and not values["sequence"]:
            yield Effect(
                Severity.IGNORED,
                "pin_sequence without sequence has no effect",
                "give sequence=1 too, or leave it out",
                ("sequence", "pin_sequence"),
            )

    @classmethod
    def unread(cls, key: str, others: Collection[str]) -> Effect:
        """Without an rx_key that it can read, the driver does not look at tx_key."""
        return _KEYLESS if key == "tx_key" and "rx_key" in others else super().unread(key, others)

    @property
    def header_size(self) -> int:
        return 4 + 4 * (self.rx_key is not None) + 4 * self.sequence

    @property
    def overhead(self) -> int:
        return (IPV6_HEADER if self.v6 else IPV4_HEADER) + self.header_size + ETHERNET_HEADER

    def mirror(self) -> Self:
        return dataclasses.replace(
            self, mac=other_mac(self.mac), src=self.dst, dst=self.src, rx_key=self.tx_key, tx_key=self.rx_key
        )

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from outer.mistakes(link)
        if link.given.get("key") is False:
            yield from outer.stray(link, "key", "the link has key: off", "write key: on at the link, or leave it out")

    @classmethod
    def strung(cls, link: Link, end: int) -> dict[str, Any]:
        here, there = link.ends[end], link.ends[1 - end]
        keyed = link.given.get("key", "key" in here.given or "key" in there.given)
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
        if link.host is None:
            return ()
        here = ends[link.host]
        attributes = GreAttributes(
            local=here.src, remote=here.dst, ikey=here.rx_key, okey=here.tx_key, oseq=here.sequence, ttl=64
        )
        # the guest's gre takes neither large frames nor open checksums
        return (host_interface(link, "ip6gretap" if here.v6 else "gretap", here.mtu, attributes, offload=False),)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        """The kernel tells tunnels apart by both addresses and the key.

        A guest looks at the key alone: its raw socket receives every GRE packet of its address, whoever sent it, and
        those that are meant for a tunnel of the kernel's too.
        """
        keyed = "no key" if options.rx_key is None else f"key {options.rx_key}"
        key = "local" if options.rx_key is None else "key"
        host = link.ends[end].is_host
        text = f"GRE to {options.src} with {keyed}"
        claims = [Claim("gre", (options.src, options.rx_key), text, key, shared=host)]
        if host:
            text = f"the GRE tunnel from {options.dst} to {options.src} with {keyed}"
            claims.append(Claim("gre kernel", (options.src, options.dst, options.rx_key), text, key))
        return tuple(claims)


def _key(link: Link, end: int) -> int:
    stated = link.ends[end].given.get("key")
    return link.choose("key", end, 1, 0xFFFFFFFF) if stated is None else int(stated)
