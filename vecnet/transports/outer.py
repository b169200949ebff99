"""What gre and l2tpv3 share: the outer addresses, and the rule that both are of one family.

Not a transport itself: it registers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vecnet.kinds import Flag, Host, IpAddress, is_v6
from vecnet.options import Effect, Reading, Severity, option
from vecnet.transports.link import Key

LOCAL = {"local": Key(IpAddress(), "this end's outer address", required=True)}
CANNOT_OPEN = Effect(Severity.REFUSED, "opening the device fails")


def src_option() -> Any:
    return option(Host(), Reading.TEXT, "the local outer address", CANNOT_OPEN)


def dst_option() -> Any:
    return option(Host(), Reading.TEXT, "the remote outer address", CANNOT_OPEN)


def v6_option() -> Any:
    return option(
        Flag(),
        Reading.TWICE,
        "IPv6 outside; follows from the addresses unless they are names",
        Effect(Severity.DROPS, "read as 0: an IPv4 header is expected before every packet"),
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
        message = (
            f"src {values['src']} and dst {values['dst']} are of different families, so the device cannot be opened"
        )
        yield Effect(Severity.REFUSED, message, "give two IPv4 or two IPv6 addresses", ("src", "dst"))
    elif values["v6"] and False in (src, dst):
        address = values["src"] if src is False else values["dst"]
        message = f"v6=1 with the IPv4 address {address}: the device cannot be opened"
        yield Effect(Severity.REFUSED, message, "leave v6 out, or give IPv6 addresses", ("v6",))


def pair_effects(values: Mapping[str, Any], first: str, second: str, severity: Severity, why: str) -> Iterator[Effect]:
    """Two options that need each other."""
    if (values[first] is None) != (values[second] is None):
        has, lacks = (first, second) if values[second] is None else (second, first)
        yield Effect(severity, f"{has} without {lacks}: {why}", f"give {lacks} too, or leave both out", (has,))
