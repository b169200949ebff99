"""Why packets do not come: sentences that name the cause, from three places.

1. The host next to the topology: what `plan` would change on this link's interfaces.
2. The outer side: the sender's packets next to what the receiving string expects (outer.py).
3. The counters: what the receiver dropped, and what the kernel refused to send; and the host's packet filters.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from vecnet.datapath.native import counter_meanings
from vecnet.errors import VecnetError
from vecnet.loopback.frames import SMALLEST, Run
from vecnet.loopback.inner import address_pairs
from vecnet.loopback.outer import differences, watch
from vecnet.loopback.verdict import Outcome
from vecnet.transports.gre import Gre
from vecnet.transports.l2tpv3 import L2tpv3

if TYPE_CHECKING:
    from vecnet.datapath.port import Port
    from vecnet.loopback.wire import Side, Subject, Wire
    from vecnet.topology import Topology

_TRIES = 3  # frames sent to be looked at

_DROPS = {name: meaning for name, meaning in counter_meanings().items() if "_drop_" in name}


def diagnosis(subject: Subject, wire: Wire | None, probe: str, topology: Topology | None) -> Sequence[str]:
    """What was found, the surest first."""
    found = list(_host_differs(subject, topology)) if topology is not None else []
    if wire is not None:
        found += _ends(wire)
    if probe in ("ping", "tcp"):
        found += _stack(subject)
    if not found or probe in ("ping", "tcp"):
        found += _filters(subject)
    return list(dict.fromkeys(found))


def _host_differs(subject: Subject, topology: Topology) -> Iterator[str]:
    """What `vecnet plan` would change at this link's interfaces and its bridge."""
    from vecnet import host

    names = {interface.ifname for interface in subject.interfaces} | {subject.far.bridge, subject.near.bridge}
    try:
        steps = host.plan(topology).changes
    except VecnetError as error:
        yield str(error)
        return
    for step in steps:
        if step.node.ifname not in names:
            continue
        if step.before is None:
            yield f"{step.node} is not there: run vecnet up"
        for key in step.changed:
            before = step.before.values.get(key) if step.before else None
            after = step.after.values.get(key) if step.after else None
            yield f"{step.node}: {key} is {_said(before)}, and should be {_said(after)}"


def _said(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _ends(wire: Wire) -> Iterator[str]:
    """Send a few frames each way, and look at the outer side and at the counters."""
    sides = (wire.subject.near, wire.subject.far)
    try:
        directions = wire.directions
    except Outcome:
        return
    for (words, sender, receiver, to, source), side in zip(directions, reversed(sides), strict=True):
        run = Run(to, source)
        before = {**receiver.stats}, {**sender.stats}

        act = partial(_send_some, sender, run)
        options = side.device.transport if side.device else None
        tunnel = next(
            (one.device.transport for one in sides if one.device and isinstance(one.device.transport, Gre | L2tpv3)),
            None,
        )
        outers = []
        if tunnel is not None:
            try:
                outers = watch(act)
            except PermissionError:
                act()
        else:
            act()
        arrived = run.take(receiver.recv(timeout=0.2))
        if arrived == _TRIES and not run.faults():
            continue
        for name, what in _DROPS.items():
            count = receiver.stats.get(name, 0) - before[0].get(name, 0) if name.startswith("rx") else 0
            count += sender.stats.get(name, 0) - before[1].get(name, 0) if name.startswith("tx") else 0
            if count:
                yield f"{words}: {count} dropped, {what}"
        if tunnel is None:
            continue
        if not outers:
            yield f"{words}: the sender's packets are seen on no interface"
        elif isinstance(options, Gre | L2tpv3):
            told = [sentence for outer in outers for sentence in differences(outer, options)]
            yield from (f"{words}: {sentence}" for sentence in told)
            if not told and not arrived:
                yield f"{words}: the sender's packets are right and are seen on the way: something drops them"
                yield from _filters(wire.subject)
        elif not arrived:
            yield f"{words}: the guest's packets are seen on the way, and the host's interface takes none of them"


def _stack(subject: Subject) -> Iterator[str]:
    """How the host's own stack would reach the guest: its interface, its neighbours, its routes."""
    far = subject.far
    if not far.is_host:
        return
    flags = [flag for link in _ip(far, "link", "show", "dev", far.stack) for flag in link.get("flags", ())]
    if "NOARP" in flags:
        yield f"{far.stack} does not resolve neighbours: ip link set {far.stack} arp on"
    mac = subject.near.device.transport.mac if subject.near.device else None
    for guest, _ in address_pairs(subject.near, far):
        for neighbour in _ip(far, "neigh", "show", guest, "dev", far.stack):
            there = neighbour.get("lladdr")
            if "FAILED" in neighbour.get("state", ()) or there is None:
                yield f"the host asks for {guest} on {far.stack} and gets no answer"
            elif mac and there != mac:
                yield f"the host holds {guest} to be at {there}, and the guest is at {mac}: ip neigh del"
        for route in _ip(far, "route", "get", guest) or [{"type": "unreachable"}]:
            if route.get("dev") != far.stack:
                way = route.get("type") or route.get("dev")
                yield f"the host's route to {guest} does not leave by {far.stack}: {way}"


def _ip(side: Side, *words: str) -> list[dict[str, Any]]:
    """What `ip -j` says in the side's network namespace; nothing where it is not installed."""
    where = ["-n", side.netns] if side.netns else []
    try:
        done = subprocess.run(["ip", *where, "-j", *words], capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else []
    except FileNotFoundError:
        return []


def _send_some(sender: Port, run: Run) -> None:
    sender.send([run.build(SMALLEST) for _ in range(_TRIES)], timeout=1.0)


def _filters(subject: Subject) -> Iterator[str]:
    """Rules of this host that drop packets."""
    if shutil.which("nft"):
        done = subprocess.run(["nft", "-j", "list", "ruleset"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout:
            for entry in json.loads(done.stdout)["nftables"]:
                rule, chain = entry.get("rule", {}), entry.get("chain", {})
                if any(word in expression for expression in rule.get("expr", ()) for word in ("drop", "reject")):
                    yield f"a packet filter may drop them: nftables, {rule['family']} {rule['table']} {rule['chain']}"
                if chain.get("policy") == "drop":
                    yield f"a packet filter may drop them: nftables, {chain['table']} {chain['name']}, policy drop"
    ifname = subject.far.ifname
    if ifname and shutil.which("tc"):
        for place in ("ingress", "egress"):
            done = subprocess.run(
                ["tc", "filter", "show", "dev", ifname, place], capture_output=True, text=True, check=False
            )
            if done.stdout.strip():
                yield f"a packet filter may drop them: tc filter show dev {ifname} {place}"
