"""ping: the real stacks at both ends resolve and ping each other at the inner addresses, up to the full MTU."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.codes import Code
from vecnet.loopback.joined import joined_stacks
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire


def ping(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Small and full-size echoes, each way, for each pair of inner addresses."""
    slowest, count = 0.0, 0
    with joined_stacks(wire, stacks) as (ends, pairs):
        for pair in pairs:
            for this, other in ((0, 1), (1, 0)):
                for packet in (84, wire.subject.mtu):
                    here, there, address = ends[this], ends[other], pair[other]
                    try:
                        seconds = here.stack.ping(address, here.interface, packet)
                    except Failed as error:
                        who = f"{here.name} pings {address} at {there.name} with a packet of {packet} bytes"
                        raise Failed(Code.NO_ECHO, f"{who}: {error}") from None
                    slowest, count = max(slowest, seconds), count + 1
    families = " and ".join(sorted({"IPv6" if ":" in pair[0] else "IPv4" for pair in pairs}))
    return f"{families}, both ways, up to {wire.subject.mtu} bytes", {"pings": count, "slowest_ms": slowest * 1e3}
