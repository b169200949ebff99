"""The probes, one file each, in the order in which they are tried: a later one needs what an earlier one has shown.

A probe is a function of a Wire (and the stacks) that returns a sentence and its figures, or raises an Outcome.

| file | subject |
|---|---|
| any | the probe of its name |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vecnet.loopback.probes.burst import burst
from vecnet.loopback.probes.frames import frames
from vecnet.loopback.probes.impair import impair
from vecnet.loopback.probes.latency import latency
from vecnet.loopback.probes.mtu import mtu
from vecnet.loopback.probes.ping import ping
from vecnet.loopback.probes.tcp import tcp
from vecnet.loopback.probes.throughput import throughput
from vecnet.loopback.stack import Stacks
from vecnet.loopback.wire import Wire

Probe = Callable[[Wire, Stacks], tuple[str, Mapping[str, float]]]

# "open" comes before all of these: without open ends there is no Wire
PROBES: dict[str, Probe] = {
    "frames": frames,
    "mtu": mtu,
    "ping": ping,
    "tcp": tcp,
    "burst": burst,
    "latency": latency,
    "throughput": throughput,
    "impair": impair,
}
FILTER = "filter"  # alone of all it can judge a wire whose guests filter what they receive
NAMES = ("open", *PROBES)
IMPAIR = "impair"  # alone of all it can judge a wire that the kernel impairs
TIMED = ("latency", "throughput", "impair")  # which other links would spoil
MEASURED = ("burst", *TIMED)  # more than whether packets pass
