"""tcp: a transfer in both directions at once through the real stacks at both ends, with their offloads, compared."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from vecnet.loopback.agent import digest_of
from vecnet.loopback.codes import Code
from vecnet.loopback.joined import StackEnd, joined_stacks
from vecnet.loopback.stack import Stacks
from vecnet.loopback.verdict import Failed
from vecnet.loopback.wire import Wire

_SIZE, _LEAST = 2 << 20, 256 << 10  # bytes each way; of many links


def tcp(wire: Wire, stacks: Stacks) -> tuple[str, Mapping[str, float]]:
    """2 MiB each way for each pair of inner addresses, less of many links; what arrives is what was sent."""
    size, seconds = max(_LEAST, int(_SIZE * wire.share)), 0.0
    before = _dropped(wire)
    with joined_stacks(wire, stacks) as (ends, pairs):
        for seed, pair in enumerate(pairs):
            started = time.monotonic()
            _transfer(ends[0], ends[1], pair[1], size, 2 * seed)
            seconds += time.monotonic() - started
    dropped = {cause: count - before[cause] for cause, count in _dropped(wire).items() if count > before[cause]}
    if dropped:
        what = ", ".join(f"{count} {cause.removeprefix('rx_drop_')}" for cause, count in dropped.items())
        raise Failed(Code.TCP_RESENT, f"the content arrived only because TCP sent again what the wire dropped: {what}")
    megabits = len(pairs) * 2 * size * 8 / seconds / 1e6
    return f"{size >> 10} KiB each way, content equal", {"bytes": len(pairs) * 2 * size, "mbit_per_s": megabits}


def _dropped(wire: Wire) -> dict[str, int]:
    """What the ports under test refused, by cause; a full queue is TCP's own business."""
    return {
        name: wire.near.stats[name] + wire.far.stats[name]
        for name in wire.near.stats
        if name.startswith("rx_drop_") and name != "rx_drop_queue_full"
    }


def _transfer(client: StackEnd, server: StackEnd, address: str, size: int, seed: int) -> None:
    """Both send and receive. Raises Failed naming the side that did not get what was sent."""
    try:
        port = server.stack.listen(address, server.interface)
    except Failed as error:
        raise Failed(Code.TCP_FAILED, f"{server.name} cannot listen at {address}: {error}") from None
    server.stack.serve(size, seed)
    connected = partial(client.stack.connect, address, port, client.interface, size, seed + 1)
    for end, sent, done in ((client, seed, connected), (server, seed + 1, server.stack.served)):
        try:
            got = done()
        except Failed as error:
            raise Failed(Code.TCP_FAILED, f"{end.name}, TCP with {address}: {error}") from None
        fault, code = got.failure, Code.TCP_FAILED
        if not fault and got.digest != digest_of(sent, size):
            fault, code = (
                f"{got.received} of {size} bytes came, and they are not those that were sent",
                Code.TCP_CHANGED,
            )
        if fault:
            raise Failed(code, f"{end.name}, TCP with {address}: {fault}")
