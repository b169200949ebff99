"""What a transport says of itself to those who open, diagnose and measure its wires: plain data, no I/O.

Not a transport itself: it registers nothing.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from vecnet.records import record


class FarEnd(Enum):
    """What is at the other end of a wire, as far as one end's string tells."""

    HOST_INTERFACE = "the interface of the host that the string names"
    SWITCH = "the switch that listens at the path that the string names"
    PROGRAM = "a program outside, which has no namespace of the wire's"
    OTHER_STRING = "whoever has the mirrored string"
    UNKNOWN = "nothing that the string names"


class Protocol(IntEnum):
    """What carries a tunnel's packets. Source: IANA, Protocol Numbers."""

    UDP = 17
    GRE = 47
    L2TP = 115

    def __str__(self) -> str:
        return {Protocol.UDP: "UDP", Protocol.GRE: "GRE", Protocol.L2TP: "L2TPv3 over IP"}[self]


@record(frozen=True, slots=True)
class Receiver:
    """Where a tunnel's end receives. `address` may be a name, which the guest looks up.

    `port` is UDP's. `number` tells it from others at the same address: GRE's key, L2TPv3's session; None without a key.
    """

    protocol: Protocol
    address: str
    port: int | None = None
    number: int | None = None


@record(frozen=True, slots=True)
class Sample:
    """A link of a transport as a topology file has it: what `vecnet bench` measures and examples show.

    `link` has gaps for str.format: {unit} is a guest's unit, {near} and {far} are outer IPv4 addresses, {near6} and
    {far6} IPv6 ones, {folder} is a folder for sockets. `both_ends` asks for a figure of two ports, one at either end.
    """

    name: str
    link: str
    both_ends: bool = False


TUNNEL_SAMPLE = "endpoints: {{'a:vec{unit}': {{local: '{near}'}}, 'b:vec{unit}': {{local: '{far}'}}}}"
TUNNEL_SAMPLE_V6 = "endpoints: {{'a:vec{unit}': {{local: '{near6}'}}, 'b:vec{unit}': {{local: '{far6}'}}}}"
