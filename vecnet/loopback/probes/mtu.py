"""mtu: the largest frame passes whole; one byte more is refused, counted or passes whole, but is never cut.

With a VLAN's tag a frame of the MTU is 4 bytes longer. Not every path has room for these, a tunnel's least of all; what
comes must be whole, with its tag. Source: IEEE 802.1Q.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import PATIENCE, send_and_judge
from vecnet.loopback.numbered import Run, failed
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire
from vecnet.transports.base import ETHERNET_HEADER

if TYPE_CHECKING:
    from vecnet.datapath.port import Port

_TRIES = 3
_PATIENCE = 0.1  # seconds: what is refused never comes
_TAG = bytes.fromhex("8100 0064")  # VLAN 100
_ADDRESSES = 12  # bytes before it


def mtu(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """Frames at the MTU and just above it, both ways."""
    size = wire.subject.mtu
    said, tagged = [], []
    for words, sender, receiver, to, source in wire.directions:
        run = send_and_judge(sender, receiver, to, source, [size + ETHERNET_HEADER] * _TRIES, 1)
        if faults := run.faults():
            raise failed(faults, f"{words}, with packets of {size} bytes, the MTU: ")
        before = {**sender.stats, **{f"far_{name}": count for name, count in receiver.stats.items()}}
        over = send_and_judge(
            sender, receiver, to, source, [size + ETHERNET_HEADER + 1] * _TRIES, 1, patience=_PATIENCE
        )
        if over.cut:
            raise Failed(Code.CUT, f"{words}: a packet of {size + 1} bytes, one more than the MTU, comes cut short")
        after = {**sender.stats, **{f"far_{name}": count for name, count in receiver.stats.items()}}
        counted = any("drop" in name and after[name] > before[name] for name in after)
        passed = len(over.sent) - len(over.lost)
        said.append("passes whole" if passed else "is refused and counted" if counted else "is dropped by the host")
        if _passes_tagged(words, sender, receiver, to, source, size):
            tagged.append(words)
    one_more = said[0] if said[0] == said[1] else f"{said[0]} one way and {said[1]} the other"
    vlan = ("with a VLAN's tag they do not pass", f"with a VLAN's tag only {''.join(tagged)}", "with a VLAN's tag too")
    return f"{size} bytes pass both ways, {vlan[len(tagged)]}; one more {one_more}", {"mtu_bytes": size}


def _passes_tagged(words: str, sender: Port, receiver: Port, to: bytes, source: bytes, size: int) -> bool:
    """Whether frames of the MTU pass with a tag. Raises Failed where one comes changed."""
    run = Run(to, source)
    plain = [run.build(size + ETHERNET_HEADER) for _ in range(_TRIES)]
    sender.send([frame[:_ADDRESSES] + _TAG + frame[_ADDRESSES:] for frame in plain], timeout=PATIENCE)
    end = time.monotonic() + _PATIENCE
    while run.lost and (left := end - time.monotonic()) > 0:
        for frame in receiver.recv(timeout=left):
            if run.take([frame]):
                raise Failed(Code.TAG_LOST, f"{words}: a frame with a VLAN's tag comes without it")
            if frame[_ADDRESSES:].startswith(_TAG):
                run.take([frame[:_ADDRESSES] + frame[_ADDRESSES + len(_TAG) :]])
    if run.cut or run.changed:
        raise failed(run.faults(), f"{words}, with a VLAN's tag and packets of {size} bytes, the MTU: ")
    return len(run.lost) < _TRIES
