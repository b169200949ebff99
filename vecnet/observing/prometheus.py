"""A state in Prometheus' text format, version 0.0.4.

A counter that is not known is left out. What a name has that is no UTF-8 is replaced: the format knows no other.

Source: prometheus.io/docs/instrumenting/exposition_formats, "Text format details"; practices/naming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Generic, TypeVar

from vecnet.host.health import Report
from vecnet.observing.state import State
from vecnet.plugging.report import DeviceState
from vecnet.serving.control import PortState

T = TypeVar("T")
Labels = Mapping[str, str]
Sample = tuple[Labels, float]

_INTERFACE_COUNTERS = {
    "receive_packets": ("rx_packets", "Packets that came in at the host's interface."),
    "transmit_packets": ("tx_packets", "Packets that the host's interface sent."),
    "receive_bytes": ("rx_bytes", "Bytes that came in at the host's interface."),
    "transmit_bytes": ("tx_bytes", "Bytes that the host's interface sent."),
    "errors": ("errors", "Packets with errors, both ways."),
    "drops": ("drops", "Packets that the kernel dropped, both ways."),
}
_PORT_COUNTERS = {
    "receive_frames": ("rx_frames", "Frames that came in at the switch's port."),
    "transmit_frames": ("tx_frames", "Frames that went out of the switch's port."),
    "receive_bytes": ("rx_bytes", "Bytes that came in at the switch's port."),
    "transmit_bytes": ("tx_bytes", "Bytes that went out of the switch's port."),
    "flooded_frames": ("flooded", "Frames from the port that went to every other."),
}


@dataclass(frozen=True)
class _Family:
    """Samples of one name."""

    name: str
    kind: str  # counter, gauge
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            yield f"{self.name}{{{inner}}} {value:.17g}"


@dataclass(frozen=True)
class _Families(Generic[T]):
    """What is told of every one of a kind, under names that begin alike."""

    prefix: str
    every: Sequence[tuple[T, Labels]]

    def gauge(self, name: str, what: str, value: Callable[[T], float]) -> _Family:
        return _Family(f"{self.prefix}_{name}", "gauge", what, [(labels, value(one)) for one, labels in self.every])

    def counter(self, name: str, what: str, value: Callable[[T], int | None]) -> _Family:
        """Of those whose value is known."""
        counted = [(labels, count) for one, labels in self.every if (count := value(one)) is not None]
        return _Family(f"{self.prefix}_{name}_total", "counter", what, counted)


def text(state: State) -> str:
    """All of it, to its last newline."""
    families = [*_interfaces(state.reports), *_ports(state.ports), *_devices(state.devices)]
    return "".join(f"{line}\n" for family in families if family.samples for line in family.lines())


def _interfaces(reports: Iterable[Report]) -> Iterator[_Family]:
    of = _Families(
        "vecnet_interface",
        [
            (
                one,
                {
                    "topology": one.topology,
                    "link": one.link,
                    "interface": one.ifname,
                    "netns": one.netns or "",
                    "kind": one.kind,
                },
            )
            for one in reports
        ],
    )
    yield of.gauge("healthy", "Whether the host's interface is as it should be.", lambda one: one.healthy)
    yield of.gauge("in_use", "Whether somebody is known to use it.", lambda one: bool(one.in_use))
    yield of.gauge("impaired", "Whether netem impairs what it sends.", lambda one: bool(one.impairment))
    yield of.gauge("mtu_bytes", "The largest packet inside a frame.", lambda one: one.mtu)
    for name, (key, what) in _INTERFACE_COUNTERS.items():
        yield of.counter(name, what, attrgetter(key))
    yield _Family(
        "vecnet_tunnel_events_total",
        "counter",
        "What the kernel counts of an L2TP session, by its own words.",
        [({**labels, "event": event}, count) for one, labels in of.every for event, count in one.tunnel.items()],
    )


def _ports(states: Iterable[PortState]) -> Iterator[_Family]:
    of = _Families(
        "vecnet_port",
        [
            (
                one,
                {
                    "topology": one.topology,
                    "switch": one.switch,
                    "port": one.port,
                    "link": one.link,
                    "program": one.program,
                },
            )
            for one in states
        ],
    )
    yield of.gauge("healthy", "Whether the switch's port has its wire.", lambda one: one.healthy)
    yield of.gauge("connected", "Whether somebody is at the port.", lambda one: one.connected)
    yield of.gauge("impaired", "Whether the port impairs what goes out of it.", lambda one: bool(one.impairment))
    yield of.gauge("addresses", "Ethernet addresses that are known behind it.", lambda one: one.addresses)
    for name, (key, what) in _PORT_COUNTERS.items():
        yield of.counter(name, what, partial(_counted, key))
    dropped = [
        ({**labels, "cause": key.replace("drop_", "")}, count)
        for one, labels in of.every
        for key, count in one.counters.items()
        if "drop_" in key
    ]
    yield _Family("vecnet_port_drops_total", "counter", "Frames that were dropped, by their cause.", dropped)


def _counted(key: str, state: PortState) -> int | None:
    return state.counters.get(key)


def _devices(states: Iterable[DeviceState]) -> Iterator[_Family]:
    of = _Families(
        "vecnet_device",
        [
            (one, {"topology": one.topology, "guest": one.guest, "device": one.device, "link": one.link})
            for one in states
        ],
    )
    yield of.gauge("up", "Whether the guest has its device up.", lambda one: one.woken is not None)
    yield of.gauge("as_wanted", "Whether the guest was given it as the topology says.", lambda one: one.as_wanted)
    yield of.counter("wakeups", "How often the device has woken the guest's kernel.", lambda one: one.woken)


def _escaped(text: str) -> str:
    clean = text.encode(errors="surrogateescape").decode(errors="replace")
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
