"""The kinds of values that several programs take."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from vecnet.errors import Refused
from vecnet.values import Kind, Schema

_V4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_FORWARD = re.compile(rf"(?:({_V4}):)?([0-9]{{1,5}}):(?:({_V4}):)?([0-9]{{1,5}})(?:/(tcp|udp))?")


@dataclass(frozen=True)
class Forward:
    """A port of the host that leads to a guest's. `guest` is None where the program has one guest alone."""

    address: str
    port: int
    guest: str | None
    guest_port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol}"


class ForwardText(Kind[Forward]):
    """`2222:22`: the host's port before the guest's, each with an address before it where one is meant."""

    expects = "a forwarded port such as 2222:22, 127.0.0.1:2222:10.0.2.15:22 or 5353:53/udp"

    def parse(self, text: str) -> Forward:
        found = _FORWARD.fullmatch(text)
        if found is None:
            raise self._refuse(text)
        address, port, guest, guest_port, protocol = found.groups()
        for number in (port, guest_port):
            if not 1 <= int(number) <= 65535:
                raise Refused(f"{text!r}: a port is from 1 to 65535, and {number} is not", "choose another")
        try:
            for one in filter(None, (address, guest)):
                ipaddress.IPv4Address(one)
        except ValueError:
            raise self._refuse(text) from None
        return Forward(address or "127.0.0.1", int(port), guest, int(guest_port), protocol or "tcp")

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^{_FORWARD.pattern}$"}


class Subnet(Kind[ipaddress.IPv4Network]):
    """An IPv4 network with room for a gateway, a name server and guests: 10.0.2.0/24."""

    expects = "an IPv4 network of 8 to 25 bits such as 10.0.2.0/24"

    def parse(self, text: str) -> ipaddress.IPv4Network:
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError:
            raise self._refuse(text) from None
        if not 8 <= network.prefixlen <= 25:
            raise self._refuse(text)
        return network

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^{_V4}/(2[0-5]|1[0-9]|[89])$"}
