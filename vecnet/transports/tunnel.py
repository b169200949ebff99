"""What gre and l2tpv3 share: a tunnel on an unconnected IP socket, with the outer addresses of both ends.

Not a transport itself: it registers nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address

from vecnet.guests import Case, Situation
from vecnet.options import Reading, Value, option
from vecnet.transports.base import ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, Transport
from vecnet.transports.link import ELSEWHERE, Key, Link, Mistake
from vecnet.values import Flag, Host, IpAddress, is_v6

_address = lru_cache(maxsize=4096)(ip_address)  # hosts have many tunnels each
CLEARED = "give the guest the word init_on_alloc=1 beside its strings, as vecnet does"
LOCAL = {"local": Key(IpAddress(), "this end's outer address", required=True, by_host=True)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tunnel(Transport):
    """The outer addresses, and the rule that both are of one family."""

    varying = frozenset({"src", "dst"})  # but for their families

    src: str = option(Host(), Reading.TEXT, "the local outer address", other="dst")
    dst: str = option(Host(), Reading.TEXT, "the remote outer address", other="src")
    v6: bool = option(
        Flag(), Reading.TWICE, "IPv6 outside; follows from the addresses unless they are names", default=False
    )

    @classmethod
    def derived(cls, values: Mapping[str, Value]) -> dict[str, Value]:
        """`v6` where an address says so."""
        known = {is_v6(str(values["src"])), is_v6(str(values["dst"]))} - {None}
        return {"v6": True} if known == {True} else {}

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        if not values["vec"]:
            yield Case(Situation.ONE_AT_A_TIME, "vec", "vec=0: ", "leave vec out")
        src, dst = is_v6(str(values["src"])), is_v6(str(values["dst"]))
        if src is not None and dst is not None and src != dst:
            lead = f"src {values['src']} and dst {values['dst']} are of different families, so "
            instead = "give two IPv4 or two IPv6 addresses"
            yield Case(Situation.FAMILIES, "src", lead, instead, ("src", "dst"))
        elif values["v6"] and False in (src, dst):
            lead = f"v6=1 with the IPv4 address {values['src'] if src is False else values['dst']}: "
            instead = "leave v6 out, or give IPv6 addresses"
            yield Case(Situation.NOT_V6, "v6", lead, instead, ("v6", "src", "dst"))

    @classmethod
    def shape(cls, options: Mapping[str, Value]) -> Hashable:
        return super().shape(options), is_v6(str(options["src"])), is_v6(str(options["dst"]))

    @property
    def overhead(self) -> int:
        return (IPV6_HEADER if self.v6 else IPV4_HEADER) + self.header_size + ETHERNET_HEADER

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        """Both ends' outer addresses are of one family, and are addresses of one machine each."""
        local = [end.given["local"] for end in link.ends]
        if link.crosses:
            yield from _between_machines(link)
        elif link.ends[1].where == ELSEWHERE and (local[0] == local[1] or _address(local[1]).is_loopback):
            whose = f"{link.ends[0]}'s" if local[0] == local[1] else "every machine's"
            message = f"{local[1]} is {whose} own address, and not {link.ends[1]}'s"
            yield Mistake(message, "give the outer address of the device there", "local", 1)
        if is_v6(local[0]) != is_v6(local[1]):
            message = f"the outer addresses {local[0]} and {local[1]} are of different families"
            yield Mistake(message, "give two IPv4 or two IPv6 addresses", "local", 1)
        for end, address in enumerate(map(_address, local)):
            if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
                message = f"{address} is not the address of one machine"
                yield Mistake(message, "give this end's own address", "local", end)
            elif address.version == 6 and address.is_link_local:
                message = f"{address} is link-local, and says nothing without the interface"
                yield Mistake(message, "use an address of global scope", "local", end)
        for end in (0, 1):
            for inner in link.ends[end].given.get("ip", ()):
                if inner.partition("/")[0] in local:
                    message = (
                        f"the inner address {inner} is an outer one of the same link: the tunnel would carry itself"
                    )
                    yield Mistake(message, "give the wire a network of its own", "ip", end)


def _between_machines(link: Link) -> Iterator[Mistake]:
    """Each machine's address is its own."""
    addresses = [end.given["local"] for end in link.ends]
    if addresses[0] == addresses[1]:
        message = f"{addresses[1]} is the address of both ends, and they are on two machines"
        yield Mistake(message, "give each end an address of its own host", "local", 1)
    for end, address in enumerate(addresses):
        if _address(address).is_loopback:
            message = f"{address} is every machine's own address, and not reached from another"
            yield Mistake(message, f"give an address of {link.ends[end].host}, or leave it out", "local", end)


def alone(values: Mapping[str, Value], rx: str, tx: str) -> Iterator[Case]:
    """Two options that need each other: the driver looks for `tx` only once it has found `rx`."""
    for here, there in ((rx, tx), (tx, rx)):
        if values[here] is not None and values[there] is None:
            instead = f"give {there} too, or leave both out"
            yield Case(Situation.ALONE, here, f"{here} without {there}: ", instead, (rx, tx))


def idle(values: Mapping[str, Value], key: str, needed: str) -> Iterator[Case]:
    """A flag that has an effect only beside another one."""
    if values[key] and not values[needed]:
        instead = f"give {needed}=1 too, or leave it out"
        yield Case(Situation.IDLE, key, f"{key} without {needed} ", instead, (needed, key))


def unpinned(values: Mapping[str, Value], flag: str, pin: str) -> Iterator[Case]:
    """Numbers that are to rise, where the driver reads a pin from memory."""
    if values[flag] and not values[pin]:
        instead = "a guest does not look at them; where the other end does, give the guest init_on_alloc=1"
        yield Case(Situation.UNCLEARED_PIN, pin, f"{flag}=1 without {pin}: ", instead, (flag, pin))


def stray(link: Link, key: str, why: str, instead: str) -> Iterator[Mistake]:
    """An end's key that the link's own values leave without effect."""
    for end in (0, 1):
        if key in link.ends[end].given:
            yield Mistake(f"{key} has no effect: {why}", instead, key, end)
