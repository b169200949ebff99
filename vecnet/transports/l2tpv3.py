"""l2tpv3: Ethernet over static L2TPv3, over UDP or straight on IP, protocol 115.

Source: RFC 3931 (sections 4.1.1 and 4.1.2: the session headers), RFC 4719 (Ethernet); HOWTO, "l2tpv3 socket transport".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from vecnet.options import Effect, Reading, Severity, option
from vecnet.transports import outer
from vecnet.transports.base import ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER, UDP_HEADER, Transport, other_mac
from vecnet.transports.link import Claim, HostInterface, Key, L2tpAttributes, Link, Mistake, host_interface
from vecnet.values import Choice, Flag, Integer, IntegerChoice

_SESSION = Integer(1, 0xFFFFFFFF)  # 0 is the control channel, RFC 3931 section 4.1
_COOKIE = Integer(0, 2**64 - 1)
_PORT = Integer(1, 65535)
_PANICS = Effect(Severity.PANIC, f"the parse fails, {outer.PANICS}")
_LACKING = Effect(Severity.PANIC, outer.PANICS)
_CONTROL = Effect(Severity.DROPS, "the guest takes it; a kernel's or router's end takes 0 for the control channel")
_LOOPBACK = Effect(Severity.REFUSED, "opening the device fails, or over UDP takes the loopback address")
_GARBAGE = Effect(Severity.DROPS, "the parse fails and leaves garbage for a cookie: packets are refused")

_END = {
    **outer.LOCAL,
    "port": Key(_PORT, "this end's UDP port"),
    "session": Key(_SESSION, "the session that this end receives"),
    "cookie": Key(_COOKIE, "the cookie that this end receives"),
}


def _port_option(doc: str) -> Any:
    outside = Effect(Severity.DROPS, "the guest takes the rest of its division by 65536, and for 0 a port by chance")
    return option(_PORT, Reading.DECIMAL, doc, outer.CANNOT_OPEN, outside=outside, default=None)


def _session_option(doc: str) -> Any:
    return option(_SESSION, Reading.SIGNED32, doc, _PANICS, missing=_LACKING, outside=_CONTROL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class L2tpv3(Transport):
    """An Ethernet over L2TPv3 tunnel. Privilege: CAP_NET_RAW without udp, none with it."""

    name: ClassVar[str] = "l2tpv3"
    link_keys = {
        "encap": Key(Choice(("udp", "ip")), "over UDP, or straight on IP"),
        "cookie": Key(IntegerChoice((0, 32, 64)), "the cookies' length in bits"),
        "counter": Key(Choice(("off", "on", "pinned")), "packet counters: none, rising, or always 0"),
    }
    guest_keys = host_keys = _END

    src: str = outer.src_option(_LOOPBACK)
    dst: str = outer.dst_option(_LOOPBACK)
    v6: bool = outer.v6_option()
    udp: bool = option(
        Flag(),
        Reading.TWICE,
        "over UDP; otherwise straight on IP",
        Effect(Severity.REFUSED, "read as 0: straight on IP, where a port makes opening the device fail"),
        default=False,
    )
    srcport: int | None = _port_option("the local UDP port")
    dstport: int | None = _port_option("the remote UDP port")
    rx_session: int = _session_option("the session that this end receives")
    tx_session: int = _session_option("the session that this end sends")
    rx_cookie: int | None = option(
        _COOKIE, Reading.UNSIGNED64, "the cookie that this end receives", _GARBAGE, default=None
    )
    tx_cookie: int | None = option(
        _COOKIE, Reading.UNSIGNED64, "the cookie that this end sends", _GARBAGE, default=None
    )
    cookie64: bool = option(Flag(), Reading.SIGNED32, "cookies of 64 bits instead of 32", default=False)
    counter: bool = option(Flag(), Reading.SIGNED32, "send a packet counter", default=False)
    pin_counter: bool = option(Flag(), Reading.SIGNED32, "send 0 in every counter", default=False)

    @classmethod
    def derived(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        return outer.derived_v6(values)

    @classmethod
    def effects(cls, values: Mapping[str, Any]) -> Iterator[Effect]:
        yield from outer.family_effects(values)
        yield from outer.pair_effects(values, "rx_cookie", "tx_cookie")
        yield from _port_effects(values)
        if values["pin_counter"] and not values["counter"]:
            yield Effect(
                Severity.IGNORED,
                "pin_counter without counter has no effect",
                "give counter=1 too, or leave it out",
                ("counter", "pin_counter"),
            )
        cookies = [name for name in ("rx_cookie", "tx_cookie") if values[name] is not None]
        if values["cookie64"] and not cookies:
            yield Effect(
                Severity.IGNORED,
                "cookie64 without cookies has no effect",
                "give rx_cookie and tx_cookie, or leave it out",
                ("cookie64", "rx_cookie", "tx_cookie"),
            )
        for name in cookies:
            if values[name] > 0xFFFFFFFF and not values["cookie64"]:
                yield Effect(
                    Severity.DROPS,
                    f"{name} {values[name]:#x} has more than 32 bits, and only 32 are sent and compared",
                    "give cookie64=1 too, or a smaller cookie",
                    ("cookie64", name),
                )

    @property
    def cookie_size(self) -> int:
        """Bytes of cookie in each packet: 0, 4 or 8."""
        return 0 if self.rx_cookie is None else 8 if self.cookie64 else 4

    @property
    def header_size(self) -> int:
        return 4 * self.udp + 4 + self.cookie_size + 4 * self.counter

    @property
    def overhead(self) -> int:
        ip = IPV6_HEADER if self.v6 else IPV4_HEADER
        return ip + UDP_HEADER * self.udp + self.header_size + ETHERNET_HEADER

    def mirror(self) -> Self:
        return dataclasses.replace(
            self,
            mac=other_mac(self.mac),
            src=self.dst,
            dst=self.src,
            srcport=self.dstport,
            dstport=self.srcport,
            rx_session=self.tx_session,
            tx_session=self.rx_session,
            rx_cookie=self.tx_cookie,
            tx_cookie=self.rx_cookie,
        )

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from outer.mistakes(link)
        if link.given.get("encap") == "ip":
            why, instead = "straight on IP there are no ports", "leave it out, or write encap: udp at the link"
            yield from outer.stray(link, "port", why, instead)
        bits = link.given.get("cookie")
        if bits == 0:
            why, instead = "the link has cookie: 0", "write cookie: 64 at the link, or leave it out there"
            yield from outer.stray(link, "cookie", why, instead)
        elif bits:
            for end in (0, 1):
                if link.ends[end].given.get("cookie", 0) >> bits:
                    message = f"the cookie {link.ends[end].given['cookie']:#x} has more than {bits} bits"
                    yield Mistake(message, "write cookie: 64 at the link, or a smaller cookie", "cookie", end)

    @classmethod
    def strung(cls, link: Link, end: int) -> dict[str, Any]:
        here, there = link.ends[end], link.ends[1 - end]
        udp = link.given.get("encap", "udp") == "udp"
        bits = _cookie_bits(link)
        counter = link.given.get("counter", "off")
        return {
            "src": here.given["local"],
            "dst": there.given["local"],
            "udp": udp,
            "srcport": _port(link, end) if udp else None,
            "dstport": _port(link, 1 - end) if udp else None,
            "rx_session": _session(link, end),
            "tx_session": _session(link, 1 - end),
            "rx_cookie": _cookie(link, end, bits) if bits else None,
            "tx_cookie": _cookie(link, 1 - end, bits) if bits else None,
            "cookie64": bits == 64,
            "counter": counter != "off",
            "pin_counter": counter == "pinned",
        }

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        """An l2tp session's interface. Its l2spec word stands where the guest's counter does."""
        if link.host is None:
            return ()
        here = ends[link.host]
        attributes = L2tpAttributes(
            encap="udp" if here.udp else "ip",
            local=here.src,
            remote=here.dst,
            udp_sport=here.srcport,
            udp_dport=here.dstport,
            tunnel_id=_tunnel(link, link.host),
            session_id=here.rx_session,
            peer_session_id=here.tx_session,
            cookie=here.tx_cookie,
            peer_cookie=here.rx_cookie,
            cookie_size=here.cookie_size,
            l2spec_type="default" if here.counter else "none",
        )
        return (host_interface(link, "l2tp", here.mtu, attributes, offload=False),)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        """Over UDP a port, on IP a session; the kernel's tunnel has an id besides."""
        claims = []
        if options.udp:
            text = f"UDP port {options.srcport} on {options.src}"
            claims.append(Claim("udp", (options.src, options.srcport), text, "port"))
        else:
            text = f"the L2TPv3 session {options.rx_session} to {options.src}"
            claims.append(Claim("l2tp ip", (options.src, options.rx_session), text, "session"))
        if link.ends[end].is_host:
            tunnel = _tunnel(link, end)
            claims.append(Claim("l2tp tunnel", (tunnel,), f"the L2TP tunnel {tunnel}", "tunnel"))
        return tuple(claims)


def _port_effects(values: Mapping[str, Any]) -> Iterator[Effect]:
    """Ports and udp=1 need each other."""
    ports = [port for port in ("srcport", "dstport") if values[port] is not None]
    if not values["udp"] and ports:
        message = f"{' and '.join(ports)} without udp=1: opening the device fails: Invalid argument"
        yield Effect(Severity.REFUSED, message, f"give udp=1 too, or leave {' and '.join(ports)} out", ("udp", *ports))
    if values["udp"] and values["srcport"] is None:
        message = "udp=1 without srcport: the guest takes a port by chance, which no peer can know"
        yield Effect(Severity.DROPS, message, "give srcport too", ("udp", "srcport"))
    if values["udp"] and values["dstport"] is None:
        message = "udp=1 without dstport: no packet can be sent"
        yield Effect(Severity.DROPS, message, "give dstport too", ("udp", "dstport"))


def _port(link: Link, end: int) -> int:
    stated = link.ends[end].given.get("port")
    return link.choose("port", end, 49152, 65535) if stated is None else int(stated)  # RFC 6335: the dynamic ports


def _tunnel(link: Link, end: int) -> int:
    return link.choose("tunnel", end, 1, 0xFFFFFFFF)


def _session(link: Link, end: int) -> int:
    stated = link.ends[end].given.get("session")
    return link.choose("session", end, 1, 0xFFFFFFFF) if stated is None else int(stated)


def _cookie_bits(link: Link) -> int:
    """The length stated at the link, or what the largest cookie stated at an end needs."""
    if "cookie" in link.given:
        return int(link.given["cookie"])
    stated = [end.given["cookie"] for end in link.ends if "cookie" in end.given]
    return 0 if not stated else 64 if max(stated) > 0xFFFFFFFF else 32


def _cookie(link: Link, end: int, bits: int) -> int:
    stated = link.ends[end].given.get("cookie")
    return link.choose("cookie", end, 1, 2**bits - 1) if stated is None else int(stated)
