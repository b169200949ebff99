"""A real guest's TCP through the switch, next to the same guest's on a tap of the host's, both ways.

::

    guest ══ raw's veth pair ══ port ─ the switch ─ port ══ a tap with the far address: the host, iperf3
    guest ════════════════════════════════════════════════ a tap with the far address: the host, iperf3

A guest boots for each turn of either. Large frames stay whole on both ways. All may run on every processor.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from vecnet.bench import guests, place
from vecnet.bench.figures import IN, OUT, Effort, Stream
from vecnet.bench.wires import single
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch
from vecnet.topology import Topology

THROUGH, REFERENCE = "raw", "tap"  # the guest's wires: to a port of the switch, and to the host


def streams(lab: Topology, effort: Effort) -> list[Stream]:
    """What the guest sends, and what it takes in; nothing without iperf3. `lab` has both wires' samples."""
    if shutil.which("iperf3") is None:
        return []
    turns = [(_carried(lab, THROUGH, effort), _carried(lab, REFERENCE, effort)) for _ in range(effort.slow_runs)]
    return [
        Stream(
            THROUGH,
            f"a guest's {what} through the switch",
            "a guest on a tap",
            tuple(ours[what] for ours, _ in turns),
            tuple(theirs[what] for _, theirs in turns),
        )
        for what in (OUT, IN)
    ]


def _carried(lab: Topology, name: str, effort: Effort) -> dict[str, float]:
    """Bits a second of either way."""
    with single(lab, name) as wire:
        wire.near.close()
        far = guests.far_stack(wire, place.EVERY_PROCESSOR, _switched if name == THROUGH else None)
        with guests.booted(wire, [], effort, processors=place.EVERY_PROCESSOR) as (_, folder), far:
            out, taken = guests.both_ways(folder, place.EVERY_PROCESSOR)
            return {OUT: out, IN: taken}


@contextmanager
def _switched(one: Port, other: Port) -> Iterator[None]:
    with Switch() as lan:
        for port in (one, other):
            lan.add(port, storm=None)
        yield
