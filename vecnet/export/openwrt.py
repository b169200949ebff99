"""openwrt: the far end of a link as sections for /etc/config/network; the package gre, or grev6, is needed.

1. It has no protocol for static L2TPv3.
2. Its GRE does not ignore the don't-fragment bit of what is inside; df '0' says only what is true of the rest.
3. A device is called gre4t- or gre6t- and its section's name, and an interface's name has 15 bytes.

Source: openwrt, package/network/config/gre/files/gre.sh; netifd, config.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export.base import Limit, Made, Target
from vecnet.transports.base import DEFAULT_MTU
from vecnet.transports.link import GreAttributes, chosen

HIGHEST = 0x7FFFFFFF  # netifd reads numbers by strtol, whose type has 32 bits on most routers


class Openwrt(Target):
    name = "openwrt"
    elsewhere = True
    kinds = ("gretap", "ip6gretap")
    otherwise = {"l2tp": "write transport: gre"}

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        return {f"{topology}.network": "\n".join("".join(_sections(one)) for one in made)}

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        mtu = made.interface.mtu
        size = mtu + made.overhead
        if size > DEFAULT_MTU:  # the way of this side may be wider than that of the device
            message = f"mtu {mtu} makes packets of {size} bytes, and OpenWrt has no ignore-df to cut them"
            yield message, f"write mtu: {DEFAULT_MTU - made.overhead} at the link"
        if made.gre:
            for end, key in ("elsewhere", made.gre.ikey), ("here", made.gre.okey):
                if key is not None and key > HIGHEST:
                    message = f"the key {key} of the end {end} is higher than {HIGHEST}, where OpenWrt's numbers end"
                    yield message, f"write key: at that end, from 0 to {HIGHEST}"


def _sections(made: Made) -> Iterator[str]:
    one, values = made.interface, made.interface.attributes
    assert isinstance(values, GreAttributes)
    v6 = one.kind == "ip6gretap"
    name = f"vn{chosen(0, 2**24 - 1, 'openwrt', one.link):06x}"
    keys = [] if values.ikey is None else [("ikey", values.ikey), ("okey", values.okey)]
    yield f"# {one.link}\nconfig interface '{name}'\n"
    options = [
        ("proto", "grev6tap" if v6 else "gretap"),
        ("ip6addr" if v6 else "ipaddr", values.local),
        ("peer6addr" if v6 else "peeraddr", values.remote),
        ("mtu", one.mtu),
        ("ttl", values.ttl),
        *([("encaplimit", "ignore")] if v6 else [("df", 0)]),
        *keys,
        *([("oseqno", 1)] if values.oseq else []),
    ]
    yield from (f"\toption {key} '{value}'\n" for key, value in options)
    if one.addresses:
        yield f"\nconfig interface '{name}a'\n\toption proto 'static'\n"
        yield f"\toption device '{'gre6t' if v6 else 'gre4t'}-{name}'\n"
        for address in one.addresses:
            yield f"\tlist {'ip6addr' if ':' in address else 'ipaddr'} '{address}'\n"
