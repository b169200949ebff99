"""What gre and l2tpv3 share: the outer addresses, and the rule that both are of one family.

Not a transport itself: it registers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from vecnet.options import Effect, Reading, Severity, option
from vecnet.transports.link import Key, Link, Mistake
from vecnet.values import Flag, Host, IpAddress, is_v6

LOCAL = {"local": Key(IpAddress(), "this end's outer address", required=True)}
CANNOT_OPEN = Effect(Severity.REFUSED, "opening the device fails: Invalid argument")
PANICS = "opening the device fails and the guest kernel panics"
_LOOKS_FOR_V4 = "the guest looks for IPv4 addresses, and opening the device fails: Invalid argument"


def src_option(missing: Effect = CANNOT_OPEN) -> Any:
    return option(Host(), Reading.TEXT, "the local outer address", CANNOT_OPEN, missing=missing)


def dst_option(missing: Effect = CANNOT_OPEN) -> Any:
    return option(Host(), Reading.TEXT, "the remote outer address", CANNOT_OPEN, missing=missing)


def v6_option() -> Any:
    return option(
        Flag(),
        Reading.TWICE,
        "IPv6 outside; follows from the addresses unless they are names",
        Effect(Severity.REFUSED, f"read as 0: {_LOOKS_FOR_V4}"),
        missing=Effect(Severity.REFUSED, _LOOKS_FOR_V4),
        default=False,
    )


def derived_v6(values: Mapping[str, Any]) -> dict[str, Any]:
    """`v6` where an address says so."""
    known = {is_v6(values["src"]), is_v6(values["dst"])} - {None}
    return {"v6": True} if known == {True} else {}


def family_effects(values: Mapping[str, Any]) -> Iterator[Effect]:
    """Both addresses and `v6` speak of one family."""
    src, dst = is_v6(values["src"]), is_v6(values["dst"])
    if src is not None and dst is not None and src != dst:
        message = f"src {values['src']} and dst {values['dst']} are of different families, so opening the device fails"
        yield Effect(Severity.REFUSED, message, "give two IPv4 or two IPv6 addresses", ("src", "dst"))
    elif values["v6"] and False in (src, dst):
        address = values["src"] if src is False else values["dst"]
        message = f"v6=1 with the IPv4 address {address}: opening the device fails"
        yield Effect(Severity.REFUSED, message, "leave v6 out, or give IPv6 addresses", ("v6", "src", "dst"))


def pair_effects(values: Mapping[str, Any], rx: str, tx: str) -> Iterator[Effect]:
    """Two options that need each other: the driver looks for `tx` only once it has found `rx`."""
    if values[rx] is not None and values[tx] is None:
        yield Effect(Severity.PANIC, f"{rx} without {tx}: {PANICS}", f"give {tx} too, or leave both out", (rx, tx))
    elif values[rx] is None and values[tx] is not None:
        message = f"{tx} without {rx}: the guest sends none and expects none"
        yield Effect(Severity.DROPS, message, f"give {rx} too, or leave both out", (rx, tx))


def mistakes(link: Link) -> Iterator[Mistake]:
    """Both ends' outer addresses are of one family, and are addresses of one machine each."""
    local = [end.given["local"] for end in link.ends]
    if is_v6(local[0]) != is_v6(local[1]):
        message = f"the outer addresses {local[0]} and {local[1]} are of different families"
        yield Mistake(message, "give two IPv4 or two IPv6 addresses", "local", 1)
    for end, address in enumerate(map(ip_address, local)):
        if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
            yield Mistake(f"{address} is not the address of one machine", "give this end's own address", "local", end)
        elif address.version == 6 and address.is_link_local:
            message = f"{address} is link-local, and says nothing without the interface"
            yield Mistake(message, "use an address of global scope", "local", end)
    for end in (0, 1):
        for inner in link.ends[end].given.get("ip", ()):
            if inner.partition("/")[0] in local:
                message = f"the inner address {inner} is an outer one of the same link: the tunnel would carry itself"
                yield Mistake(message, "give the wire a network of its own", "ip", end)


def stray(link: Link, key: str, why: str, instead: str) -> Iterator[Mistake]:
    """An end's key that the link's own values leave without effect."""
    for end in (0, 1):
        if key in link.ends[end].given:
            yield Mistake(f"{key} has no effect: {why}", instead, key, end)
