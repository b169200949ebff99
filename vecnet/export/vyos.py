"""vyos: the far end of a link as `set` commands, for VyOS 1.4 and later.

1. Its L2TPv3 has no cookies, and always the default sublayer; its numbers end at 429496729.
2. Its GRE has one key for both directions, and no sequence numbers.

Source: vyos-1x, interface-definitions/interfaces_l2tpv3.xml.in and interfaces_tunnel.xml.in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export.base import Limit, Made, Target
from vecnet.transports.link import GreAttributes, L2tpAttributes, chosen

HIGHEST = 429496729  # of sessions and tunnels


class Vyos(Target):
    name = "vyos"
    elsewhere = True
    kinds = ("gretap", "ip6gretap", "l2tp")

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        first = chosen(1000, 8999, "vyos", topology)  # beyond those that people number by hand
        lines = (line for number, one in enumerate(made, first) for line in _commands(number, one))
        return {f"{topology}.vyos": "".join(f"set {line}\n" for line in lines)}

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        if made.l2tp:
            yield from _of_l2tp(made.l2tp)
        if made.gre:
            yield from _of_gre(made.gre)


def _of_l2tp(values: L2tpAttributes) -> Iterator[Limit]:
    if values.cookie_size:
        yield "VyOS has no cookies for L2TPv3", "write cookie: 0 at the link, and none at its ends"
    if values.l2spec_type != "default":
        yield "VyOS always sends the default sublayer of 4 bytes, which the guest does not expect", "write counter: on"
    for name, number in ("elsewhere", values.session_id), ("here", values.peer_session_id):
        if number > HIGHEST:
            message = f"the session {number} of the end {name} is higher than {HIGHEST}, where VyOS ends"
            yield message, f"write session: at that end, from 1 to {HIGHEST}"


def _of_gre(values: GreAttributes) -> Iterator[Limit]:
    if values.ikey != values.okey:
        message = f"VyOS has one key for both directions of GRE, and here are {values.ikey} and {values.okey}"
        yield message, "write the same key: at both ends"
    if values.oseq:
        yield "VyOS sends no sequence numbers with GRE", "leave sequence out"


def _commands(number: int, made: Made) -> Iterator[str]:
    one, values = made.interface, made.interface.attributes
    if isinstance(values, L2tpAttributes):
        node = f"interfaces l2tpv3 l2tpeth{number}"
        yield f"{node} encapsulation {values.encap}"
        tunnel = chosen(1, HIGHEST, "vyos", one.link)  # which no packet carries
        yield from (f"{node} {name}tunnel-id {tunnel}" for name in ("", "peer-"))
        yield f"{node} session-id {values.session_id}"
        yield f"{node} peer-session-id {values.peer_session_id}"
        if values.encap == "udp":
            yield f"{node} source-port {values.udp_sport}"
            yield f"{node} destination-port {values.udp_dport}"
    else:
        assert isinstance(values, GreAttributes)
        node = f"interfaces tunnel tun{number}"
        yield f"{node} encapsulation {one.kind}"
        inner = f"{node} parameters {'ip' if one.kind == 'gretap' else 'ipv6'}"
        if values.ikey is not None:
            yield f"{node} parameters ip key {values.ikey}"
        # without path MTU discovery VyOS wants the time to live of the packet inside
        own = ("no-pmtu-discovery", "ignore-df", "ttl 0") if one.kind == "gretap" else ("encaplimit none",)
        yield from (f"{inner} {option}" for option in own)
    yield f"{node} source-address {values.local}"
    yield f"{node} remote {values.remote}"
    yield f"{node} mtu {one.mtu}"
    yield f"{node} description '{one.link}'"
    yield from (f"{node} address {address}" for address in one.addresses)
