"""Why packets do not come: sentences that name the cause, from three places.

1. The host next to the topology: what `vecnet plan` would change on this link's interfaces.
2. The outer side: the sender's packets next to what the receiving string expects (sniff.py).
3. The counters: what the receiver dropped, and what the kernel refused to send; and the host's packet filters.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from vecnet.datapath.native import counter_meanings
from vecnet.errors import HostError, PortError, VecnetError
from vecnet.kernel import rtnl
from vecnet.kernel.namespaces import Namespaces
from vecnet.loopback.codes import Code
from vecnet.loopback.joined import address_pairs
from vecnet.loopback.numbered import SMALLEST, Run
from vecnet.loopback.sniff import Outer, differences, watch

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.host import Step
    from vecnet.loopback.subject import Side, Subject
    from vecnet.loopback.wire import Wire
    from vecnet.topology import Topology

_TRIES = 3  # frames sent to be looked at
_PATIENCE = 5.0  # seconds that a program has for its answer

DROPS = {name: meaning for name, meaning in counter_meanings().items() if "_drop_" in name}


@dataclass(frozen=True)
class Finding:
    """What was found of a failure's causes."""

    code: Code
    sentence: str


class Host:
    """The host as it is when the first probe of a run fails; each part is read when it is first asked for, and once.

    For any thread: who asks meanwhile waits.
    """

    def __init__(self, topology: Topology | None) -> None:
        self._topology = topology
        self._turn = Lock()

    @property
    def changes(self) -> Sequence[Step]:
        """What `vecnet plan` would change. Raises HostError where there is no plan."""
        with self._turn:
            return self._changes

    @property
    def users(self) -> Mapping[str, str]:
        """The links whose interfaces somebody uses, and who."""
        with self._turn:
            return self._users

    @property
    def filters(self) -> Sequence[Finding]:
        """The rules of nftables that drop packets, in words."""
        with self._turn:
            return self._filters

    @cached_property
    def _changes(self) -> Sequence[Step]:
        from vecnet import host

        return host.plan(self._topology).changes if self._topology is not None else ()

    @cached_property
    def _users(self) -> Mapping[str, str]:
        from vecnet import host

        found = host.status(self._topology.name) if self._topology is not None else []
        return {one.link: one.in_use for one in found if one.in_use}

    @cached_property
    def _filters(self) -> Sequence[Finding]:
        rules = dict.fromkeys(_dropping_rules(_said_by("nft", "-j", "list", "ruleset")))
        return [Finding(Code.FILTER, f"a packet filter may drop them: nftables, {rule}") for rule in rules]


def diagnosis(subject: Subject, wire: Wire | None, probe: str, host: Host) -> Sequence[Finding]:
    """What was found, the surest first."""
    found = _seen(_host_differs(subject, host), *((_ends(wire, host),) if wire is not None else ()))
    found += _seen(_at_host(subject, probe))
    if not found or probe in ("ping", "tcp"):
        found += _filters(subject, host)
    return list(dict.fromkeys(found))


def of_one_host(subject: Subject, probe: str, host: Host) -> Sequence[Finding]:
    """What is found at this end of a link whose other end is on another machine, but for filters and packets."""
    return _seen(_host_differs(subject, host), _at_host(subject, probe))


def _seen(*looks: Iterator[Finding]) -> list[Finding]:
    found: list[Finding] = []
    for look in looks:
        with suppress(PortError, HostError, OSError):  # the wire is broken, after all; what was found so far is said
            found += look
    return found


def _at_host(subject: Subject, probe: str) -> Iterator[Finding]:
    """What is wrong with the host's IP stack, or its queue, as far as the probe needs it."""
    if probe in ("ping", "tcp"):
        yield from _stack(subject)
    if probe == "burst":
        yield from _queue(subject)


def _host_differs(subject: Subject, host: Host) -> Iterator[Finding]:
    """What `vecnet plan` would change at this link's interfaces and its bridge."""
    names = {interface.ifname for interface in subject.interfaces} | {subject.far.bridge, subject.near.bridge}
    try:
        steps = host.changes
    except VecnetError as error:
        yield Finding(Code.NO_PLAN, str(error))
        return
    for step in steps:
        if step.node.ifname not in names:
            continue
        if step.before is None:
            yield Finding(Code.MISSING, f"{step.node} is not there: run vecnet up")
        for key, before, after in step.differences:
            yield Finding(Code.DIFFERS, f"{step.node}: {key} is {before}, and should be {after}")


def _ends(wire: Wire, host: Host) -> Iterator[Finding]:
    """Send a few frames each way, and look at the outer side and at the counters."""
    sides = (wire.subject.near, wire.subject.far)
    tunnel = any(side.transport and side.transport.receives_at() for side in sides)
    for (words, sender, receiver, to, source), side in zip(wire.directions, reversed(sides), strict=True):
        run = Run(to, source)
        before = receiver.stats, sender.stats
        act = partial(_send_some, sender, run)
        outers = _watched(act, run) if tunnel else None
        if outers is None:
            act()
        arrived = run.take(receiver.recv(timeout=0.2))
        if arrived == _TRIES and not run.faults():
            continue
        for name, what in DROPS.items():
            port, earlier = (receiver, before[0]) if name.startswith("rx") else (sender, before[1])
            if count := port.stats.get(name, 0) - earlier.get(name, 0):
                yield Finding(Code.DROPPED, f"{words}: {count} dropped, {what}")
        if outers is None:
            continue
        if not outers:
            yield Finding(Code.NOT_SENT, f"{words}: the sender's packets are seen on no interface")
        elif side.transport is not None:
            told = [sentence for outer in outers for sentence in differences(outer, side.transport)]
            yield from (Finding(Code.MISFIT, f"{words}: {sentence}") for sentence in told)
            if not told and not arrived:
                what = "the sender's packets are right and are seen on the way: something drops them"
                yield Finding(Code.LOST_ON_THE_WAY, f"{words}: {what}")
                yield from _filters(wire.subject, host)
        elif not arrived:
            what = "the guest's packets are seen on the way, and the host's interface takes none of them"
            yield Finding(Code.NOT_TAKEN, f"{words}: {what}")


def _watched(act: Callable[[], object], run: Run) -> list[Outer] | None:
    """The run's packets that are seen while `act` sends them; None where they may not be looked at, and it did not."""
    with suppress(PermissionError):
        return watch(act, run.run)
    return None


def _send_some(sender: Port, run: Run) -> None:
    sender.send([run.build(SMALLEST) for _ in range(_TRIES)], timeout=1.0)


def _queue(subject: Subject) -> Iterator[Finding]:
    """Whether the host's interface holds as many packets as the guest takes at once."""
    far, depth = subject.far, subject.near.transport.depth if subject.near.transport else 0
    if not far.is_host:
        return
    with Namespaces() as namespaces:
        queue = rtnl.read_link(namespaces[far.netns], far.ifname).queue
    if queue < depth:
        mend = f"ip link set {far.ifname} txqueuelen {depth}"
        yield Finding(Code.SHORT_QUEUE, f"{far.ifname} holds {queue} packets, fewer than depth={depth}: {mend}")


def _stack(subject: Subject) -> Iterator[Finding]:
    """How the host's own stack would reach the guest: its interface, its neighbours, its routes."""
    far = subject.far
    if not far.is_host:
        return
    flags = [flag for link in _ip(far, "link", "show", "dev", far.stack) for flag in link.get("flags", ())]
    if "NOARP" in flags:
        yield Finding(Code.NO_ARP, f"{far.stack} does not resolve neighbours: ip link set {far.stack} arp on")
    mac = subject.near.transport.mac if subject.near.transport else None
    for guest, _ in address_pairs(subject.near, far):
        for neighbour in _ip(far, "neigh", "show", guest, "dev", far.stack):
            there = neighbour.get("lladdr")
            if "FAILED" in neighbour.get("state", ()) or there is None:
                yield Finding(Code.NO_NEIGHBOUR, f"the host asks for {guest} on {far.stack} and gets no answer")
            elif mac and there != mac:
                told = f"the host holds {guest} to be at {there}, and the guest is at {mac}: ip neigh del"
                yield Finding(Code.WRONG_NEIGHBOUR, told)
        for route in _ip(far, "route", "get", guest) or [{"type": "unreachable"}]:
            if route.get("dev") != far.stack:
                way = route.get("type") or route.get("dev")
                yield Finding(Code.WRONG_ROUTE, f"the host's route to {guest} does not leave by {far.stack}: {way}")


def _ip(side: Side, *words: str) -> list[dict[str, Any]]:
    """What `ip -j` says in the side's network namespace."""
    text = _said_by("ip", *(["-n", side.netns] if side.netns else []), "-j", *words)
    return json.loads(text) if text else []


def is_unanswered(address: str) -> bool:
    """Whether this host asks its neighbours for an address and none answers."""
    text = _said_by("ip", "-j", "neigh", "show", address)
    return any({"FAILED", "INCOMPLETE"} & set(entry.get("state", ())) for entry in (json.loads(text) if text else ()))


def _said_by(*command: str) -> str:
    """What a program prints; nothing where it is not installed, fails, or takes too long."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _filters(subject: Subject, host: Host) -> Iterator[Finding]:
    """Rules of this host that drop packets."""
    yield from host.filters
    for place in ("ingress", "egress") if subject.far.ifname else ():
        if _said_by("tc", "filter", "show", "dev", subject.far.ifname, place):
            command = f"tc filter show dev {subject.far.ifname} {place}"
            yield Finding(Code.FILTER, f"a packet filter may drop them: {command}")


def _dropping_rules(ruleset: str) -> Iterator[str]:
    for entry in json.loads(ruleset)["nftables"] if ruleset else ():
        rule, chain = entry.get("rule", {}), entry.get("chain", {})
        if any(word in expression for expression in rule.get("expr", ()) for word in ("drop", "reject")):
            yield f"{rule['family']} {rule['table']} {rule['chain']}"
        if chain.get("policy") == "drop":
            yield f"{chain['table']} {chain['name']}, policy drop"
