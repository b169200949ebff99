"""Real guests with other settings than a topology chooses: what each carries, next to a guest with what it chooses.

One setting is varied at a time. In each turn a guest boots for each of them, and another begins the next turn, so that
what else the machine does meanwhile disturbs all alike. Each sends small packets, then a TCP stream, and then
takes one in (guests.py). One that cannot be measured is told with its reason, and the others go on.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from vecnet.bench import guests, place
from vecnet.bench.figures import IN, OUT, PACKETS, Booted, Effort, Figures
from vecnet.bench.wires import samples, stated
from vecnet.errors import InputError, VecnetError
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import Outcome
from vecnet.loopback.wire import opened
from vecnet.progress import Progress, quiet
from vecnet.topology import Topology, loads

CHOSEN = "as chosen"  # by the topology
_LENGTH = 64  # bytes of a small packet
_LOOPBACK_MTU = 65536  # of the way between the tunnels' ends, all on this host


@dataclass(frozen=True)
class Setting:
    """`words` are what the file states at the link; `pinned` where guest and far end have a processor each."""

    name: str
    words: str = ""
    pinned: bool = False


def of(transport: str, varied: Collection[str]) -> list[Setting]:
    """The topology's own choice, and what differs from it in one of `varied`, as far as the transport has it."""
    gro = "off" if samples()[transport][1].vnet else "on"
    every = {
        "depth": [Setting(f"depth={depth}", f"depth: {depth}") for depth in (128, 256, 512, 1024)],
        "gro": [Setting(f"gro={int(gro == 'on')}", f"gro: {gro}")],
        "mtu": [Setting("mtu=9000", "mtu: 9000")],
        "pinned": [Setting("pinned", pinned=True)],
    }
    found = [Setting(CHOSEN), *(setting for one in varied for setting in every[one])]
    return [setting for setting in found if _possible(transport, setting)]


def _possible(transport: str, setting: Setting) -> bool:
    try:
        topology({transport: [setting]}, "/tmp")  # noqa: S108 - nothing is made there
    except InputError:
        return False
    return True


def topology(wanted: dict[str, list[Setting]], folder: str) -> Topology:
    """A link of each transport with each of its settings; `folder` is for sockets."""
    every = [(name, setting) for name, settings in wanted.items() for setting in settings]
    links = [
        stated(name, unit, folder, f"name: {_link(name, setting)}, {setting.words}".rstrip(", "))
        for unit, (name, setting) in enumerate(every, 1)
    ]
    return loads("\n".join(["name: bench", "links:", *links]), underlay=lambda _here, _there: _LOOPBACK_MTU)


def _link(transport: str, setting: Setting) -> str:
    return f"{transport}-{setting.name}".replace(" ", "-").replace("=", "-")


def version(kernel: str) -> str:
    """What a guest's kernel calls itself. Raises InputError where it is none."""
    try:
        done = subprocess.run([kernel, "--version"], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    raise InputError(f"{kernel} is not the kernel of a guest that runs here", "name the binary of one")


def measured(
    lab: Topology,
    kernels: Sequence[str],
    wanted: dict[str, list[Setting]],
    effort: Effort,
    progress: Progress = quiet,
) -> Figures:
    """What guests of these kernels carry in `lab`, where `topology(wanted, …)` is up."""
    found: list[Booted] = []
    failed: list[str] = []
    total = steps(kernels, wanted, effort)
    done = 0
    for kernel in kernels:
        name = version(kernel)
        for transport, settings in wanted.items():
            turns: dict[str, list[dict[str, float]]] = {setting.name: [] for setting in settings}
            for turn in range(effort.slow_runs):
                first = turn % len(settings)
                for setting in settings[first:] + settings[:first]:
                    progress(done, total)
                    done += 1
                    try:
                        turns[setting.name].append(_carried(lab, transport, setting, kernel, effort))
                    except (VecnetError, Outcome) as error:
                        failed.append(f"{name}, {transport}, {setting.name}: {error}")
                        turns[setting.name].append({})
            if not any(turns[CHOSEN]):
                failed.append(f"{name}, {transport}: its other settings have nothing to be compared with")
            found += _figures(name, transport, turns)
    return Figures(place.machine(), 0, [], guests=found, unmeasured=failed)


def steps(kernels: Sequence[str], wanted: dict[str, list[Setting]], effort: Effort) -> int:
    """How many guests boot."""
    return len(kernels) * effort.slow_runs * sum(map(len, wanted.values()))


def _figures(kernel: str, transport: str, turns: dict[str, list[dict[str, float]]]) -> Iterator[Booted]:
    """Of the turns in which both were measured."""
    for setting, ours in turns.items():
        for what in (OUT, IN, PACKETS):
            both = [(one[what], other[what]) for one, other in zip(ours, turns[CHOSEN], strict=True) if one and other]
            if both:
                here, there = zip(*both, strict=True)
                yield Booted(kernel, transport, setting, what, here, there)


def _carried(lab: Topology, transport: str, setting: Setting, kernel: str, effort: Effort) -> dict[str, float]:
    """Bits a second of TCP, both ways, and packets a second."""
    near, far = (
        (place.NEAR_PROCESSOR, place.FAR_PROCESSOR)
        if setting.pinned
        else (place.EVERY_PROCESSOR, place.EVERY_PROCESSOR)
    )
    (subject,) = of_topology(lab, [_link(transport, setting)])
    with place.on(set(far)), opened(subject, guest_follows=True) as wire:
        wire.near.close()
        with guests.booted(wire, [_LENGTH], effort, kernel, near) as (process, folder):
            packet = guests.counted(wire.far, _LENGTH, process, effort.seconds / 2)
            (folder / str(_LENGTH)).touch()
            with guests.far_stack(wire, far):
                out, taken = guests.both_ways(folder, far)
                return {OUT: out, IN: taken, PACKETS: 1e9 / packet.wall}
