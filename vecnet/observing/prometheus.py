"""A state in Prometheus' text format, version 0.0.4.

A counter that is not known is left out. What a name has that is no UTF-8 is replaced: the format knows no other.

Source: prometheus.io/docs/instrumenting/exposition_formats, "Text format details"; practices/naming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vecnet.host.health import Report
from vecnet.observing.state import State
from vecnet.plugging.report import DeviceState
from vecnet.serving.control import PortState

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


def text(state: State) -> str:
    """All of it, to its last newline."""
    families = [*_interfaces(state.reports), *_ports(state.ports), *_devices(state.devices)]
    return "".join(f"{line}\n" for family in families if family.samples for line in family.lines())


def _interfaces(reports: Iterable[Report]) -> Iterator[_Family]:
    every = [
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
    ]

    def gauge(name: str, what: str, values: Iterable[float]) -> _Family:
        samples = [(labels, value) for (_, labels), value in zip(every, values, strict=True)]
        return _Family(f"vecnet_interface_{name}", "gauge", what, samples)

    yield gauge("healthy", "Whether the host's interface is as it should be.", (one.healthy for one, _ in every))
    yield gauge("in_use", "Whether somebody is known to use it.", (bool(one.in_use) for one, _ in every))
    yield gauge("impaired", "Whether netem impairs what it sends.", (bool(one.impairment) for one, _ in every))
    yield gauge("mtu_bytes", "The largest packet inside a frame.", (one.mtu for one, _ in every))
    for name, (key, what) in _INTERFACE_COUNTERS.items():
        yield _Family(
            f"vecnet_interface_{name}_total", "counter", what, [(labels, getattr(one, key)) for one, labels in every]
        )
    yield _Family(
        "vecnet_tunnel_events_total",
        "counter",
        "What the kernel counts of an L2TP session, by its own words.",
        [({**labels, "event": event}, count) for one, labels in every for event, count in one.tunnel.items()],
    )


def _ports(states: Iterable[PortState]) -> Iterator[_Family]:
    every = [
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
    ]

    def gauge(name: str, what: str, values: Iterable[float]) -> _Family:
        samples = [(labels, value) for (_, labels), value in zip(every, values, strict=True)]
        return _Family(f"vecnet_port_{name}", "gauge", what, samples)

    yield gauge("healthy", "Whether the switch's port has its wire.", (one.healthy for one, _ in every))
    yield gauge("connected", "Whether somebody is at the port.", (one.connected for one, _ in every))
    yield gauge("impaired", "Whether the port impairs what goes out of it.", (bool(one.impairment) for one, _ in every))
    yield gauge("addresses", "Ethernet addresses that are known behind it.", (one.addresses for one, _ in every))
    for name, (key, what) in _PORT_COUNTERS.items():
        counted = [(labels, one.counters[key]) for one, labels in every if key in one.counters]
        yield _Family(f"vecnet_port_{name}_total", "counter", what, counted)
    dropped = [
        ({**labels, "cause": key.replace("drop_", "")}, count)
        for one, labels in every
        for key, count in one.counters.items()
        if "drop_" in key
    ]
    yield _Family("vecnet_port_drops_total", "counter", "Frames that were dropped, by their cause.", dropped)


def _devices(states: Iterable[DeviceState]) -> Iterator[_Family]:
    every = [
        (one, {"topology": one.topology, "guest": one.guest, "device": one.device, "link": one.link}) for one in states
    ]
    yield _Family(
        "vecnet_device_up",
        "gauge",
        "Whether the guest has its device up.",
        [(labels, one.woken is not None) for one, labels in every],
    )
    yield _Family(
        "vecnet_device_as_wanted",
        "gauge",
        "Whether the guest was given it as the topology says.",
        [(labels, one.as_wanted) for one, labels in every],
    )
    yield _Family(
        "vecnet_device_wakeups_total",
        "counter",
        "How often the device has woken the guest's kernel.",
        [(labels, one.woken) for one, labels in every if one.woken is not None],
    )


def _escaped(text: str) -> str:
    clean = text.encode(errors="surrogateescape").decode(errors="replace")
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
