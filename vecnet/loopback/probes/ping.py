"""ping: the real stacks at both ends resolve and ping each other at the inner addresses, up to the full MTU."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.inner import joined_stacks
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
                    answer = ends[this].stack.ask("ping", to=pair[other], interface=ends[this].interface, packet=packet)
                    if "error" in answer:
                        who = f"{ends[this].name} pings {pair[other]} at {ends[other].name}"
                        raise Failed(f"{who} with a packet of {packet} bytes: {answer['error']}")
                    slowest = max(slowest, answer["seconds"])
                    count += 1
    families = " and ".join(sorted({"IPv6" if ":" in pair[0] else "IPv4" for pair in pairs}))
    return f"{families}, both ways, up to {wire.subject.mtu} bytes", {"pings": count, "slowest_ms": slowest * 1e3}
