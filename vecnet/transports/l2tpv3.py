"""l2tpv3: Ethernet over static L2TPv3, over UDP or straight on IP, protocol 115.

Source: RFC 3931 (sections 4.1.1 and 4.1.2: the session headers), RFC 4719 (Ethernet); HOWTO, "l2tpv3 socket transport".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from vecnet.guests import Case, Situation
from vecnet.options import Reading, Value, option
from vecnet.transports.answers import TUNNEL_SAMPLE, TUNNEL_SAMPLE_V6, FarEnd, Protocol, Receiver, Sample
from vecnet.transports.base import UDP_HEADER
from vecnet.transports.link import ELSEWHERE, Claim, HostInterface, Key, L2tpAttributes, Link, Mistake, host_interface
from vecnet.transports.tunnel import CLEARED, LOCAL, Tunnel, alone, idle, stray, unpinned
from vecnet.values import Choice, Flag, Integer, IntegerChoice

_SESSION = Integer(1, 0xFFFFFFFF)  # 0 is the control channel, RFC 3931 section 4.1
_COOKIE = Integer(0, 2**64 - 1)
_PORT = Integer(1, 65535)

_END = {
    **LOCAL,
    "port": Key(_PORT, "this end's UDP port"),
    "session": Key(_SESSION, "the session that this end receives"),
    "cookie": Key(_COOKIE, "the cookie that this end receives"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class L2tpv3(Tunnel):
    """An Ethernet over L2TPv3 tunnel. Privilege: CAP_NET_RAW without udp, none with it."""

    name: ClassVar[str] = "l2tpv3"
    far_end = FarEnd.OTHER_STRING
    samples = (
        Sample("l2tpv3 udp", f"cookie: 64, counter: on, {TUNNEL_SAMPLE}", both_ends=True),
        Sample("l2tpv3 udp v6", TUNNEL_SAMPLE_V6, both_ends=True),
        Sample("l2tpv3 ip", f"encap: ip, cookie: 64, counter: on, {TUNNEL_SAMPLE}"),
    )
    howto = "> 3"
    link_keys = {
        "encap": Key(Choice(("udp", "ip")), "over UDP, or straight on IP"),
        "cookie": Key(IntegerChoice((0, 32, 64)), "the cookies' length in bits"),
        "counter": Key(Choice(("off", "on", "pinned")), "packet counters: none, rising, or always 0"),
    }
    varying = Tunnel.varying | {"srcport", "dstport", "rx_session", "tx_session"}
    guest_keys = host_keys = elsewhere_keys = _END

    udp: bool = option(Flag(), Reading.TWICE, "over UDP; otherwise straight on IP", default=False)
    srcport: int | None = option(_PORT, Reading.DECIMAL, "the local UDP port", other="dstport", default=None)
    dstport: int | None = option(_PORT, Reading.DECIMAL, "the remote UDP port", other="srcport", default=None)
    rx_session: int = option(_SESSION, Reading.SIGNED32, "the session that this end receives", other="tx_session")
    tx_session: int = option(_SESSION, Reading.SIGNED32, "the session that this end sends", other="rx_session")
    rx_cookie: int | None = option(
        _COOKIE, Reading.UNSIGNED64, "the cookie that this end receives", other="tx_cookie", default=None
    )
    tx_cookie: int | None = option(
        _COOKIE, Reading.UNSIGNED64, "the cookie that this end sends", other="rx_cookie", default=None
    )
    cookie64: bool = option(Flag(), Reading.SIGNED32, "cookies of 64 bits instead of 32", default=False)
    counter: bool = option(Flag(), Reading.SIGNED32, "send a packet counter", default=False)
    pin_counter: bool = option(Flag(), Reading.SIGNED32, "send 0 in every counter", default=False)

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        yield from alone(values, "rx_cookie", "tx_cookie")
        yield from _ports(values)
        yield from idle(values, "pin_counter", "counter")
        yield from unpinned(values, "counter", "pin_counter")
        if not values["udp"] and not values["v6"]:
            instead = f"{CLEARED}; udp=1, or IPv6, does without"
            yield Case(Situation.UNCLEARED, "udp", "straight on IPv4, without udp: ", instead, ("udp", "v6"))
        yield from _cookies(values)

    @property
    def cookie_size(self) -> int:
        """Bytes of cookie in each packet: 0, 4 or 8."""
        return 0 if self.rx_cookie is None else 8 if self.cookie64 else 4

    @property
    def header_size(self) -> int:
        return 4 * self.udp + 4 + self.cookie_size + 4 * self.counter

    @property
    def overhead(self) -> int:
        return super().overhead + UDP_HEADER * self.udp

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from super().mistakes(link)
        if link.given.get("encap") == "ip":
            why, instead = "straight on IP there are no ports", "leave it out, or write encap: udp at the link"
            yield from stray(link, "port", why, instead)
        bits = link.given.get("cookie")
        if bits == 0:
            why, instead = "the link has cookie: 0", "write cookie: 64 at the link, or leave it out there"
            yield from stray(link, "cookie", why, instead)
        elif bits:
            for end in (0, 1):
                if link.ends[end].given.get("cookie", 0) >> bits:
                    message = f"the cookie {link.ends[end].given['cookie']:#x} has more than {bits} bits"
                    yield Mistake(message, "write cookie: 64 at the link, or a smaller cookie", "cookie", end)

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
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
        found = []
        for index in link.hosts:
            here = ends[index]
            attributes = L2tpAttributes(
                encap="udp" if here.udp else "ip",
                local=here.src,
                remote=here.dst,
                udp_sport=here.srcport,
                udp_dport=here.dstport,
                tunnel_id=_tunnel(link, index),
                session_id=here.rx_session,
                peer_session_id=here.tx_session,
                cookie=here.tx_cookie,
                peer_cookie=here.rx_cookie,
                cookie_size=here.cookie_size,
                l2spec_type="default" if here.counter else "none",
            )
            found.append(host_interface(link, "l2tp", here.mtu, attributes, offload=False, index=index))
        return tuple(found)

    @classmethod
    def claims(cls, link: Link, end: int, options: Self) -> tuple[Claim, ...]:
        """Over UDP a port, on IP a session; the kernel's tunnel has an id besides."""
        claims = []
        if options.udp:
            text = f"UDP port {options.srcport} on {options.src}"
            elsewhere = link.ends[end].where == ELSEWHERE  # where one port may well serve all tunnels
            claims.append(Claim("udp", (options.src, options.srcport), text, "port", shared=elsewhere))
        else:
            text = f"the L2TPv3 session {options.rx_session} to {options.src}"
            claims.append(Claim("l2tp ip", (options.src, options.rx_session), text, "session"))
        if link.ends[end].is_host:
            tunnel = _tunnel(link, end)
            claims.append(Claim("l2tp tunnel", (tunnel,), f"the L2TP tunnel {tunnel}", "tunnel"))
        return tuple(claims)

    def settings(self) -> dict[str, str | int]:
        """RFC 3931, in the words that most routers have."""
        found: dict[str, str | int] = {
            "tunnel": f"Ethernet over L2TPv3 over {'UDP' if self.udp else 'IP, protocol 115'}, static",
            "local": self.src,
            "remote": self.dst,
        }
        if self.srcport is not None and self.dstport is not None:
            found |= {"local port": self.srcport, "remote port": self.dstport}
        found |= {"local session": self.rx_session, "remote session": self.tx_session}
        for name, cookie in ("local cookie", self.rx_cookie), ("remote cookie", self.tx_cookie):
            if cookie is not None:
                found[name] = f"0x{cookie:0{2 * self.cookie_size}x}"
        return {**found, "L2-specific sublayer": "default, 4 bytes" if self.counter else "none"}

    def capabilities(self) -> tuple[str, ...]:
        return () if self.udp else ("NET_RAW",)

    def receives_at(self) -> Receiver | None:
        if self.udp:
            return Receiver(Protocol.UDP, self.src, self.srcport, self.rx_session)
        return Receiver(Protocol.L2TP, self.src, number=self.rx_session)

    def misfits(self, header: bytes) -> Iterator[str]:
        header = header[4 * self.udp :]  # flags and version, RFC 3931 section 4.1.2.1
        session, rest = int.from_bytes(header[:4], "big"), header[4:]
        if session != self.rx_session:
            yield f"the sender sends session {session}, this string expects {self.rx_session}"
        size, sublayer = self.cookie_size, 4 * self.counter
        cookie = (self.rx_cookie or 0).to_bytes(8, "big")[8 - size :]
        longer = len(rest) - size - sublayer
        if longer == 0 and rest[:size] != cookie:
            yield f"the sender sends cookie {rest[:size].hex()}, this string expects {cookie.hex()}"
        elif longer in (4, -4) and rest[:size] == cookie and (size or _is_sublayer(rest)):
            yield (
                "the sender's l2spec adds 4 bytes: set counter=1, or l2spec_type none at the kernel's session"
                if longer > 0
                else "the sender sends no l2spec word: leave counter out, or use the default l2spec at the kernel's "
                "session"
            )
        elif longer:
            yield f"the sender sends a cookie of {len(rest) - sublayer} bytes, this string expects {size}"


def _is_sublayer(word: bytes) -> bool:
    """Whether four bytes look like a sublayer's and not like a cookie: zero, or a low number. RFC 3931 section 4.6."""
    return int.from_bytes(word[:4], "big") & 0x3FFFFFFF < 1 << 20


def _ports(values: Mapping[str, Value]) -> Iterator[Case]:
    """Ports and udp=1 need each other."""
    ports = [port for port in ("srcport", "dstport") if values[port] is not None]
    if not values["udp"] and ports:
        both = " and ".join(ports)
        instead = f"give udp=1 too, or leave {both} out"
        yield Case(Situation.PORTS, "udp", f"{both} without udp=1: ", instead, ("udp", *ports))
    for port in ("srcport", "dstport"):
        if values["udp"] and values[port] is None:
            yield Case(Situation.MISSING, port, f"udp=1 without {port}: ", f"give {port} too", ("udp", port))


def _cookies(values: Mapping[str, Value]) -> Iterator[Case]:
    """cookie64 and the cookies' length go together."""
    cookies = {name: value for name in ("rx_cookie", "tx_cookie") if isinstance(value := values[name], int)}
    if values["cookie64"] and not cookies:
        instead = "give rx_cookie and tx_cookie, or leave it out"
        options = ("cookie64", "rx_cookie", "tx_cookie")
        yield Case(Situation.IDLE, "cookie64", "cookie64 without cookies ", instead, options)
    for name, cookie in cookies.items():
        if cookie > 0xFFFFFFFF and not values["cookie64"]:
            lead = f"{name} {cookie:#x} has more than 32 bits, and "
            instead = "give cookie64=1 too, or a smaller cookie"
            yield Case(Situation.TOO_LONG, name, lead, instead, ("cookie64", name))


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
