"""Interfaces that are there already, and are not vecnet's: what they must be, and what is to be known of them.

Nothing of theirs is changed, not even indirectly: a bridge has the MTU of its smallest member and the MAC address of
its lowest one, unless somebody has set them (net/bridge/br_if.c, br_stp_if.c). So what joins one has the bridge's MTU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.errors import HostError, NotOursError, Problem
from vecnet.host.kinds import KINDS
from vecnet.host.plan import Key, Node
from vecnet.host.snapshot import Snapshot
from vecnet.kernel.rtnl import Interface
from vecnet.transports.link import HostInterface, named_on


def errors(interfaces: Sequence[HostInterface], found: Mapping[Key, Node], snapshot: Snapshot) -> Iterator[HostError]:
    """Why those of `interfaces` that exist cannot be used as they are, each at its place in the file."""
    for interface in interfaces:
        if interface.existing:
            yield from _errors(interface, found, snapshot)


def _errors(interface: HostInterface, found: Mapping[Key, Node], snapshot: Snapshot) -> Iterator[HostError]:
    name, key = _name(interface), _key(interface)
    there = snapshot.at(key)
    if there is None:
        renamed = snapshot.named(key)
        instead = f"write {renamed.ifname}, which has that for its alternative name" if renamed else _make(interface)
        yield HostError([Problem(f"{name} is not there, and vecnet does not make it", instead, interface.where)])
    elif key in found or any(key in node.keys for node in found.values()):
        message = f"{name} was made by this topology, and an interface that exists is somebody else's"
        instead = "leave existing: on out, or run vecnet down before"
        yield NotOursError([Problem(message, instead, interface.where)])
    elif why := KINDS[interface.kind].unfit(there):
        yield HostError([Problem(f"{name} {why}", "name another interface", interface.where)])
    elif interface.kind == "bridge" and there.mtu != interface.mtu:
        message = f"{name} has mtu {there.mtu}, and what joins it here {interface.mtu}"
        instead = f"write mtu: {there.mtu} at the bridge, under bridges; vecnet does not change the bridge's"
        yield HostError([Problem(message, instead, interface.where)])


def notes(interfaces: Sequence[HostInterface], snapshot: Snapshot) -> Iterator[str]:
    """What keeps frames from passing one that exists, or what its kernel does of itself: said, and not changed."""
    for interface in interfaces:
        there = snapshot.at(_key(interface)) if interface.existing else None
        if there is not None:
            yield from _notes(interface, there, snapshot)


def _notes(interface: HostInterface, there: Interface, snapshot: Snapshot) -> Iterator[str]:
    name, view = _name(interface), snapshot.view(interface.netns)
    within = f"-n {interface.netns} " if interface.netns else ""
    if not there.up:
        yield f"{name} is down, and carries nothing until it is up: ip {within}link set {there.ifname} up"
    if interface.impairment is not None:
        yield f"{name} is not vecnet's to impair: no frame of {interface.link} suffers {interface.impairment.words}"
    if interface.kind == "bridge":
        if not any(link.master == there.index for link in view.links):
            yield f"{name} has no other member, and takes the first one's MAC address, unless its own was set"
        return
    if there.mtu < interface.mtu:
        yield f"{name} has mtu {there.mtu}, and drops what is larger: write mtu: {there.mtu} at {interface.link}"
    if interface.kind == "tap":
        if not interface.offload and there.gso_max_segs != 1:
            mend = f"ip {within}link set {there.ifname} gso_max_segs 1"
            yield f"{name} makes large frames, for which a guest without gro has no room: {mend}"
        return
    if not there.kind and not there.promiscuous:
        mend = f"ip {within}link set {there.ifname} promisc on"
        yield f"{name} may drop what is for the guest's own MAC address, unless it takes all: {mend}"
    if not interface.offload and there.kind == "veth":
        mend = "ethtool -K … tx off, at its other end"
        yield f"{name} may bring large frames, for which a guest without gro has no room: {mend}"
    if not interface.offload and (joins := view.joins(there)):
        mend = f"ethtool -K {there.ifname} {' '.join(f'{feature} off' for feature in joins)}"
        yield f"{name} joins frames, and a guest without gro has no room for them: {mend}"


def _name(interface: HostInterface) -> str:
    return f"{interface.ifname} in {interface.netns}" if interface.netns else interface.ifname


def _key(interface: HostInterface) -> Key:
    return interface.netns or "", interface.ifname


def _make(interface: HostInterface) -> str:
    if interface.kind == "bridge":
        name = named_on(interface.host, interface.ifname)
        return f"for vecnet to make it, write {name}: {{}} under bridges; or name one that is there"
    return "name one that is there, or leave existing: on out for vecnet to make it"
