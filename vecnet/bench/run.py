"""A whole run: every transport that is wanted, step by step, and then the making of wires.

All that one thread does runs on one processor, always the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vecnet.bench import commands, from_python, guest_through_switch, guests, measure, place, streams, switch, wires
from vecnet.bench.figures import Case, Effort, Figure, Figures, Stream, Task
from vecnet.progress import Progress, quiet
from vecnet.topology import Topology

LENGTHS = (64, 512, 1400)  # bytes of a frame
_LARGEST_BATCH = 128  # packets; twice as many do not fit the queues that a user without rights has


@dataclass(frozen=True)
class Wanted:
    """What is to be measured: samples by their names, and which figures of them. `depth` is packets a system call."""

    names: tuple[str, ...] = field(default_factory=lambda: tuple(wires.samples()))
    lengths: tuple[int, ...] = LENGTHS
    depth: int = 128
    gso: bool = True  # large frames
    guest: bool = True  # a real guest, where there is one
    streams: bool = True
    making: bool = True
    switch: bool = False

    @property
    def guests(self) -> bool:
        return self.guest and guests.available()

    @property
    def whole(self) -> tuple[str, ...]:
        """The samples that carry large frames whole, whose TCP streams are measured."""
        return tuple(name for name in self.names if wires.samples()[name][1].vnet) if self.streams else ()

    @property
    def switched_guest(self) -> bool:
        return self.switch and self.guests and self.streams

    @property
    def wires(self) -> tuple[str, ...]:
        """The samples that the topology is to have."""
        added = (guest_through_switch.THROUGH, guest_through_switch.REFERENCE) if self.switched_guest else ()
        return tuple(dict.fromkeys((*self.names, *added)))

    @property
    def makes(self) -> bool:
        return self.making and any(wires.samples()[name][1].name == commands.TRANSPORT for name in self.names)

    @property
    def steps(self) -> int:
        each = len(self.lengths) + self.gso + self.guests
        return len(self.names) * each + len(self.whole) + self.makes + self.switch

    @property
    def quick_seconds(self) -> int:
        """About what all of it takes with the effort `QUICK`, on a machine that does nothing else."""
        each = len(self.lengths) + self.gso + 6 * self.guests
        return (
            len(self.names) * each + 2 * len(self.whole) + 8 * self.makes + 5 * self.switch + 12 * self.switched_guest
        )


def run(lab: Topology, wanted: Wanted, effort: Effort, progress: Progress = quiet) -> Figures:
    """Measure in this network, where `lab` (wires.topology) is up. Raises HostError, PortError, loopback's Outcome."""
    results: list[Figure] = []
    found: list[Stream] = []
    tasks: list[Task] = []
    done = 0

    def step() -> None:
        nonlocal done
        progress(done, wanted.steps)
        done += 1

    for name in wanted.names:
        case = Case(name, 0, effort, min(wanted.depth, _LARGEST_BATCH))
        with place.on(place.FAR_PROCESSOR):
            for length in wanted.lengths:
                step()
                results += _small(lab, replace(case, length=length))
            if wanted.gso:
                step()
                results += _large(lab, case)
            if wanted.guests:
                step()
                packets, tcp = guests.next_to_guest(lab, [replace(case, length=length) for length in wanted.lengths])
                results += packets
                found += tcp
        if name in wanted.whole:
            step()
            found.append(streams.stream(name, effort))
    if wanted.switch:
        step()
        with place.on(place.FAR_PROCESSOR):
            results += switch.measured(effort)
        found += [switch.stream(name, effort) for name in switch.STREAMS] if wanted.streams else []
        found += guest_through_switch.streams(lab, effort) if wanted.switched_guest else []
    if wanted.makes:
        step()
        tasks += commands.wires_made(effort)
    return Figures(place.machine(), wanted.depth, results, found, tasks)


def _small(lab: Topology, case: Case) -> Iterator[Figure]:
    with wires.pair(lab, case.name) as (first, second):
        yield from measure.transport(case, first, second)
        if wires.samples()[case.name][0].both_ends:
            yield measure.port_to_port(replace(case, batch=2 * case.batch), first)
        yield from from_python.next_to_c(case, first)
        if ifname := first.near.device.transport.binds():
            yield from from_python.next_to_python(case, first, ifname)


def _large(lab: Topology, case: Case) -> Iterator[Figure]:
    with wires.whole_pair(lab, case.name) as (first, second):
        if wires.samples()[case.name][1].vnet:
            yield from measure.large(case, first, second)
        else:
            yield measure.cut(case, first)
