"""mtu: the largest frame passes whole; one byte more is refused, counted or passes whole, but is never cut."""

from __future__ import annotations

from collections.abc import Mapping

from vecnet.loopback.exchange import send_and_judge
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

_TRIES = 3
_PATIENCE = 0.1  # seconds: what is refused never comes


def mtu(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Frames at the MTU and just above it, both ways."""
    size = wire.subject.mtu
    said = []
    for words, sender, receiver, to, source in wire.directions:
        run = send_and_judge(sender, receiver, to, source, [size + ETHERNET_HEADER] * _TRIES, 1)
        if faults := run.faults():
            raise Failed(f"{words}, with packets of {size} bytes, the MTU: {'; '.join(faults)}")
        before = {**sender.stats, **{f"far_{name}": count for name, count in receiver.stats.items()}}
        over = send_and_judge(
            sender, receiver, to, source, [size + ETHERNET_HEADER + 1] * _TRIES, 1, patience=_PATIENCE
        )
        if over.cut:
            raise Failed(f"{words}: a packet of {size + 1} bytes, one more than the MTU, comes cut short")
        after = {**sender.stats, **{f"far_{name}": count for name, count in receiver.stats.items()}}
        counted = any("drop" in name and after[name] > before[name] for name in after)
        passed = len(over.sent) - len(over.lost)
        said.append("passes whole" if passed else "is refused and counted" if counted else "is dropped by the host")
    one_more = said[0] if said[0] == said[1] else f"{said[0]} one way and {said[1]} the other"
    return f"{size} bytes pass both ways; one more {one_more}", {"mtu_bytes": size}
