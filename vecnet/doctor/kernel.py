"""What the host's kernel has: kinds of interfaces and protocols by their modules, /dev/net/tun, and its settings.

Source: kernel documentation, networking/tuntap, networking/l2tp, networking/ip-sysctl (rp_filter),
networking/bridge (bridge-nf-call-iptables); modprobe(8).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vecnet.doctor.apart import asked_apart
from vecnet.doctor.finding import Finding, State
from vecnet.host.kinds import KINDS
from vecnet.host.kinds.l2tp import IPPROTO_L2TP
from vecnet.host.kinds.tap import DEVICE
from vecnet.kernel import genl, probe
from vecnet.kernel.capabilities import Capability, has
from vecnet.kernel.namespaces import Namespace, Namespaces
from vecnet.kernel.unforeseen import advice
from vecnet.transports.link import HostInterface, L2tpAttributes

if TYPE_CHECKING:
    from vecnet.topology import Topology

_NETFILTER = Path("/proc/sys/net/bridge")
_RP_FILTER = Path("/proc/sys/net/ipv4/conf/all/rp_filter")


@dataclass(frozen=True)
class _Feature:
    """A module of the kernel: what it is for, how it is asked for, and who needs it."""

    module: str
    config: str
    gives: str
    lacks: Callable[[Namespace], bool | None]  # None where this process may not ask
    used_by: Callable[[HostInterface], bool]


def _kind(name: str, config: str) -> Iterator[_Feature]:
    kind = KINDS[name]
    for module in kind.modules:
        lacks = partial(probe.lacks_kind, kind=kind.kernel_name)
        yield _Feature(module, config, f"{name} interfaces", lacks, lambda one: one.kind == name)


def _l2tp(module: str, config: str, lacks: Callable[[Namespace], bool | None], ipv6: bool | None = None) -> _Feature:
    """`ipv6` where only tunnels straight on IP need it, of that family."""

    def used(one: HostInterface) -> bool:
        its = one.attributes
        return isinstance(its, L2tpAttributes) and (ipv6 is None or (its.encap == "ip" and (":" in its.local) == ipv6))

    straight = "" if ipv6 is None else f" straight on IPv{6 if ipv6 else 4}"
    return _Feature(module, config, f"l2tp interfaces{straight}", lacks, used)


_FEATURES = (
    *_kind("veth", "CONFIG_VETH"),
    *_kind("bridge", "CONFIG_BRIDGE"),
    *_kind("gretap", "CONFIG_NET_IPGRE"),
    *_kind("ip6gretap", "CONFIG_IPV6_GRE"),
    _l2tp("l2tp_netlink", "CONFIG_L2TP_V3", lambda place: genl.load_family(place, "l2tp") is None),
    _l2tp("l2tp_eth", "CONFIG_L2TP_ETH", lambda place: genl.load_family(place, "l2tp") is None or None),
    _l2tp("l2tp_ip", "CONFIG_L2TP_IP", lambda place: probe.lacks_protocol(place, socket.AF_INET, IPPROTO_L2TP), False),
    _l2tp("l2tp_ip6", "CONFIG_L2TP_IP", lambda place: probe.lacks_protocol(place, socket.AF_INET6, IPPROTO_L2TP), True),
)


def examine(topology: Topology | None) -> Iterator[Finding]:
    """What the topology's interfaces ask of the kernel, or all that any could. Raises HostError."""
    made = [one for one in topology.interfaces if not one.existing] if topology else []
    with Namespaces() as namespaces:
        for feature in _FEATURES:
            needed = tuple(one.link for one in made if feature.used_by(one))
            if needed or topology is None:
                yield _feature(feature, namespaces.home, needed)
        taps = tuple(one.link for one in topology.interfaces if one.kind == "tap") if topology else ()
        if taps or topology is None:
            yield _tun(taps)
        six = tuple(one.link for one in made if any(":" in text for text in one.addresses))
        if six or topology is None:
            why, mend = probe.lacks_ipv6(namespaces.home)
            yield Finding("IPv6", State.MISSING if why else State.OK, why or "interfaces can have it", mend, six)
    yield from _settings(any(one.kind == "bridge" for one in topology.interfaces) if topology else True)


def _feature(feature: _Feature, place: Namespace, needed: Sequence[str]) -> Finding:
    lacks, links = feature.lacks(place), tuple(needed)
    if lacks is None and not has(Capability.NET_ADMIN):
        lacks = asked_apart(feature.lacks)
    if lacks is None:
        lacks = _module_is_absent(feature.module)
    if lacks is None:
        said = f"{feature.gives}: the kernel does not say, and its modules cannot be listed"
        return Finding(feature.module, State.UNKNOWN, said, f"modprobe {feature.module}", links)
    if not lacks:
        return Finding(feature.module, State.OK, feature.gives, needed=links)
    mend = f"modprobe {feature.module}"
    if _module_is_absent(feature.module) is not False:
        mend = f"boot a kernel with {feature.config}, or install the modules of {os.uname().release}"
    return Finding(feature.module, State.MISSING, f"this kernel has no {feature.gives}", mend, links)


def _module_is_absent(name: str) -> bool | None:
    """Whether modprobe(8) would not find it either; None where there is no list to look at."""
    if Path("/sys/module", name).exists():
        return False
    if not Path("/lib/modules", os.uname().release, "modules.dep").exists():
        return None
    return probe.lacks_module(name)


def _tun(needed: tuple[str, ...]) -> Finding:
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        said = f"{DEVICE} cannot be opened: {error.strerror}"
        return Finding("tun", State.MISSING, said, advice(error), needed)
    return Finding("tun", State.OK, f"{DEVICE} can be opened", needed=needed)


def _settings(bridges: bool) -> Iterator[Finding]:
    """Settings by which the host's kernel drops what a wire carries: no fault of theirs, and often a surprise."""
    on = [name for name in ("iptables", "ip6tables", "arptables") if _read(_NETFILTER / f"bridge-nf-call-{name}") == 1]
    if on and bridges:
        said = f"frames that cross a bridge pass {', '.join(on)}, whose rules may drop them"
        mend = " ".join(["sysctl -w", *(f"net.bridge.bridge-nf-call-{name}=0" for name in on)])
        yield Finding("br_netfilter", State.NOTE, said, mend)
    if _read(_RP_FILTER) == 1:
        said = "packets are dropped that come in where their answers would not leave"
        yield Finding("rp_filter", State.NOTE, said, "sysctl -w net.ipv4.conf.all.rp_filter=2")


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # it is not there, or this namespace does not show it
        return 0
