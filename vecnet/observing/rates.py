"""What passed between two moments, a second: of what was there at both, and has not been made anew between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vecnet.observing.state import State
from vecnet.plugging.report import DeviceState

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class WireRate:
    """Of an interface or a switch's port: packets (of a port frames) and bits a second; None where that is not known.

    `drops` is how many there are in all. `why` is empty where it is healthy.
    """

    topology: str
    link: str
    at: str
    rx: float | None
    tx: float | None
    rx_bits: float | None
    tx_bits: float | None
    dropping: float | None
    drops: int
    state: str
    why: str
    impairment: str


@dataclass(frozen=True, slots=True)
class DeviceRate:
    """Of a running guest's device: packets a second that the host sent there, and how often it woke the guest."""

    device: DeviceState
    sent: float | None
    woken: float | None


def wires(before: State, after: State) -> Iterator[WireRate]:
    """The interfaces, then the ports."""
    seconds = after.at - before.at
    for what, counts, old in _both(_interfaces(before), _interfaces(after)):
        yield _wire(what, _rates(old, counts, seconds), counts["drops"])
    for what, counts, old in _both(_ports(before), _ports(after)):
        yield _wire(what, _rates(old, counts, seconds), counts["drops"])


def devices(before: State, after: State) -> Iterator[DeviceRate]:
    """The devices."""
    seconds = after.at - before.at
    sent = {one.link: one.tx_packets for one in after.reports}
    sent_before = {one.link: one.tx_packets for one in before.reports}
    old = {(one.topology, one.guest, one.device): one for one in before.devices}
    for device in after.devices:
        was = old.get((device.topology, device.guest, device.device))
        yield DeviceRate(
            device,
            _rate(sent_before.get(device.link), sent.get(device.link), seconds),
            _rate(was.woken if was else None, device.woken, seconds),
        )


@dataclass(frozen=True, slots=True)
class _What:
    topology: str
    link: str
    at: str
    state: str
    why: str
    impairment: str

    @property
    def key(self) -> tuple[str, str]:
        return self.topology, self.at


def _interfaces(state: State) -> Iterator[tuple[_What, Counts]]:
    for one in state.reports:
        at = f"{one.ifname} in {one.netns}" if one.netns else one.ifname
        counts = {
            "rx": one.rx_packets,
            "tx": one.tx_packets,
            "rx_bytes": one.rx_bytes,
            "tx_bytes": one.tx_bytes,
            "drops": one.drops,
        }
        yield _What(one.topology, one.link, at, "healthy", one.why, one.impairment), counts


def _ports(state: State) -> Iterator[tuple[_What, Counts]]:
    for one in state.ports:
        got = one.counters.get
        counts = {
            "rx": got("rx_frames", 0),
            "tx": got("tx_frames", 0),
            "rx_bytes": got("rx_bytes", 0),
            "tx_bytes": got("tx_bytes", 0),
            "drops": one.drops,
        }
        said = "connected" if one.connected else "waits"
        yield _What(one.topology, one.link, f"{one.switch}:{one.port}", said, one.why, one.impairment), counts


def _both(
    before: Iterator[tuple[_What, Counts]], after: Iterator[tuple[_What, Counts]]
) -> Iterator[tuple[_What, Counts, Counts]]:
    old = {what.key: counts for what, counts in before}
    for what, counts in after:
        yield what, counts, old.get(what.key, {})


def _wire(what: _What, rates: Mapping[str, float | None], drops: int) -> WireRate:
    rx, tx, rx_bytes, tx_bytes, dropping = (rates[key] for key in ("rx", "tx", "rx_bytes", "tx_bytes", "drops"))
    return WireRate(
        topology=what.topology,
        link=what.link,
        at=what.at,
        rx=rx,
        tx=tx,
        rx_bits=None if rx_bytes is None else 8 * rx_bytes,
        tx_bits=None if tx_bytes is None else 8 * tx_bytes,
        dropping=dropping,
        drops=drops,
        state=what.state,
        why=what.why,
        impairment=what.impairment,
    )


def _rates(old: Counts, new: Counts, seconds: float) -> Mapping[str, float | None]:
    return {key: _rate(old.get(key), count, seconds) for key, count in new.items()}


def _rate(old: int | None, new: int | None, seconds: float) -> float | None:
    """None where one is not known, or where it counts anew."""
    return None if old is None or new is None or new < old or seconds <= 0 else (new - old) / seconds
