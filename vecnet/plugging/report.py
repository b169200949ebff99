"""What running guests have of a topology: for `vecnet status`, and for `vecnet up`.

A guest is asked where its umid is its name in the topology, in the folder of this user's guests. It is taken for the
topology's own where it was given at least one device as the topology says: another topology's may have the same name.

The console tells no counters: on none of the kernels can it read a file of /proc/net. It tells which devices are up,
and how often each has woken the guest's kernel, which is at least once where a packet has come in.

Source: kernel documentation, filesystems/proc, "interrupts"; fs/proc/proc_net.c, which has no read_iter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from vecnet.errors import GuestError, GuestRefused
from vecnet.mconsole import Guest
from vecnet.plugging.devices import Given, given, links, up_by_name
from vecnet.topology.model import Topology

_PATIENCE = 1.0  # seconds: who asks for a status has asked for no guest


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device of a running guest. `woken` is how often it has woken the guest's kernel; None where it is not up.

    `as_wanted` is whether the guest was given it as the topology says.
    """

    topology: str
    guest: str
    device: str
    link: str
    as_wanted: bool
    woken: int | None
    state: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def lacking(topology: Topology, guests: Iterable[str]) -> dict[str, list[str]]:
    """The devices that running guests were never given as the topology says, by guests. It leaves no trace in them."""
    found = {}
    for name, _, known in _running(topology, guests):
        devices = [device.ifname for device in topology.devices(name) if not known.is_as(device)]
        if devices:
            found[name] = devices
    return found


def states(topology: Topology) -> list[DeviceState]:
    """The devices of the guests that run and answer."""
    found = []
    for name, guest, known in _running(topology, topology.guests):
        with suppress(GuestError):  # it ends just now
            up, its = up_by_name(guest), links(topology, name)
            for device in topology.devices(name):
                as_wanted = known.is_as(device)
                state = "up" if device.unit in up else _state(guest, device.unit)
                said = state if as_wanted or state == _ABSENT else f"{state}, given otherwise"
                link, woken = its[device.unit].name, up.get(device.unit)
                found.append(DeviceState(topology.name, name, device.ifname, link, as_wanted, woken, said))
    return found


_ABSENT = "not there"


def _state(guest: Guest, unit: int) -> str:
    """Of a device that is not up under its own name."""
    with suppress(GuestRefused):
        guest.proc(f"sys/net/ipv4/conf/vec{unit}/forwarding")
        return "down"
    return "under another name" if guest.has(unit) else _ABSENT


def _running(topology: Topology, guests: Iterable[str]) -> Iterator[tuple[str, Guest, Given]]:
    for name in guests:
        guest = Guest(name, patience=_PATIENCE)
        if guest.socket.exists():
            with suppress(GuestError):
                known = given(guest)
                if known.is_of(topology.devices(name)):
                    yield name, guest, known
