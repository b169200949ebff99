"""What the kernel would refuse, found before it is touched.

1. The kind: its modules are there, or can be loaded.
2. What an interface needs for itself alone is nobody else's: each kind says so of its own (`InterfaceKind.clashes`).
3. A tunnel's local address is on the host (or will be, on this topology's own interfaces), and a route leads to its
   remote one. Between two guests of this host both addresses are local.
4. An interface can have the addresses that it is to get: IPv6 may be off.
5. What is to be impaired, or no more, has no queueing discipline of somebody else's, and the kernel has netem.
"""

from __future__ import annotations

import errno
import functools
import ipaddress
from collections.abc import Iterator, Sequence

from vecnet.errors import HostError, KernelLacksError, NotOursError
from vecnet.host.kinds import KINDS
from vecnet.host.kinds.base import Intent
from vecnet.host.plan import EndState, Node, Plan, Step
from vecnet.host.refusals import together
from vecnet.host.snapshot import Snapshot
from vecnet.kernel import netem, unforeseen
from vecnet.kernel.probe import lacks_ipv6, udp_error
from vecnet.transports.link import OuterEnd


def refuse_impossible(ends: Sequence[OuterEnd], wanted: Sequence[Node], plan: Plan, snapshot: Snapshot) -> None:
    """Raise HostError, with all that the kernel would refuse of a plan, `ends` being those of all tunnels."""
    new = [step.coming for step in plan.steps if step.coming]
    soon = [ipaddress.ip_interface(text) for node in wanted for text in node.ends[0].addresses]
    here = {str(one.ip) for one in soon}
    guests = [
        end for end in ends if not end.is_host and not end.elsewhere and _is_local(end.address, here, None, snapshot)
    ]
    intent = Intent(wanted, plan, snapshot, guests)
    errors = [*_lacking(new, snapshot)]
    errors += [error for kind in KINDS.values() for error in kind.clashes(intent)]
    errors += _addresses(ends, new, soon, snapshot)
    errors += _without_ipv6(plan, snapshot)
    errors += unimpairable(plan, snapshot)
    if errors:
        raise together(errors)


def _lacking(new: Sequence[Node], snapshot: Snapshot) -> Iterator[HostError]:
    """Kinds that are to be made and for which this kernel lacks a module."""
    for name, netns in sorted({(node.kind, node.netns or "") for node in new}):
        users = [node for node in new if node.kind == name and (node.netns or "") == netns]
        modules = KINDS[name].lacking(netns or None, snapshot, users)
        if modules:
            yield KernelLacksError(
                f"this kernel has no {name} interfaces, which {', '.join(map(str, users))} would be",
                f"load what is missing with: modprobe -a {' '.join(modules)} (or boot a kernel that has "
                f"{' and '.join(modules)})",
            )


def _addresses(
    ends: Sequence[OuterEnd],
    new: Sequence[Node],
    soon: Sequence[ipaddress.IPv4Interface | ipaddress.IPv6Interface],
    snapshot: Snapshot,
) -> Iterator[HostError]:
    """Local addresses that are missing, and remote ones that no route leads to; `soon` are those to come."""
    networks = {one.network for one in soon}
    lengths = {(one.version, one.network.prefixlen) for one in soon}
    here = {str(one.ip) for one in soon}

    @functools.cache
    def reached(netns: str | None, remote: str) -> bool:
        ours = (length for version, length in lengths if version == ipaddress.ip_address(remote).version)
        soon_there = any(ipaddress.ip_network(f"{remote}/{length}", strict=False) in networks for length in ours)
        return soon_there or _routed(netns, remote, snapshot)

    for node in new:
        outer = KINDS[node.kind].outer(node)
        if outer is None:
            continue
        local, remote = outer
        if not _is_local(local, here, node.netns, snapshot):
            yield _missing(str(node), local, "")
        elif not reached(node.netns, remote):
            yield _unreached(str(node), remote)
    to_elsewhere = {end.link for end in ends if end.elsewhere}
    for end in ends:
        if end.here and not _is_local(end.address, here, None, snapshot):
            movable = "" if end.link in to_elsewhere else end.endpoint
            yield _missing(f"link {end.link}", end.address, movable)
        elif end.elsewhere and not reached(None, end.address):
            yield _unreached(f"link {end.link}", end.address)


def stays_here(ends: Sequence[OuterEnd], snapshot: Snapshot) -> Iterator[str]:
    """Addresses elsewhere that are this host's own: what is sent there does not leave it."""
    for end in ends:
        if end.elsewhere and _is_local(end.address, set(), None, snapshot):
            yield f"{end.address}, which is {end.endpoint}'s, is an address of this host: nothing leaves it"


def _without_ipv6(plan: Plan, snapshot: Snapshot) -> Iterator[HostError]:
    """IPv6 addresses of interfaces that can have none."""

    @functools.cache
    def reason(netns: str | None, ifname: str) -> tuple[str, str]:
        return lacks_ipv6(snapshot.place(netns), ifname)

    for step in plan.steps:
        node = step.after
        if node is None:
            continue
        there = step.before.ends[0].addresses if step.before and not step.coming else ()
        ipv6 = [text for text in node.ends[0].addresses if ":" in text and text not in there]
        if ipv6:
            why, instead = reason(node.netns, "" if step.coming else node.ifname)
            if why:
                yield HostError(f"{node} cannot get {', '.join(ipv6)}: {why}", instead)


def unimpairable(plan: Plan, snapshot: Snapshot) -> Iterator[HostError]:
    """Interfaces with somebody else's queueing discipline that are to be impaired, or to be no more; and all that are
    to be, where the kernel has no netem."""

    @functools.cache
    def lacking(netns: str | None) -> bool | None:
        return netem.lacking(snapshot.place(netns))

    new: list[Node] = []
    for step in plan.changes:
        for end, was in _impaired_anew(step):
            there = snapshot.at(end.key) if was is not None else None
            queue = snapshot.view(end.netns).foreign_queue(there) if there is not None else ""
            if queue:
                within = f"-n {end.netns} " if end.netns else ""
                message = f"{step.node}: {end.ifname} has the queueing discipline {queue}, which is not vecnet's"
                yield NotOursError(message, f"take it away first: tc {within}qdisc del dev {end.ifname} root")
            elif end.impair and lacking(end.netns):
                new.append(step.node)
    if new:
        message = f"this kernel has no netem, which would impair {', '.join(map(str, new))}"
        instead = f"load it with: modprobe {netem.MODULE} (or boot a kernel that has it), or leave impair out"
        yield KernelLacksError(message, instead)


def _impaired_anew(step: Step) -> Iterator[tuple[EndState, EndState | None]]:
    """The ends whose frames are to suffer otherwise than before, each with what it was; None where it is made."""
    if step.after is None:
        return
    before = step.before.ends if step.before and not step.coming else (None,) * len(step.after.ends)
    for end, was in zip(step.after.ends, before, strict=True):
        if end.impair != (was.impair if was else ""):
            yield end, was


def _routed(netns: str | None, remote: str, snapshot: Snapshot) -> bool:
    return udp_error(snapshot.place(netns), connect=(remote, 9)) not in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def _unreached(who: str, remote: str) -> HostError:
    return HostError(f"{who}: no route leads to {remote}", unforeseen.way_to(remote))


def _missing(who: str, local: str, endpoint: str) -> HostError:
    """Nobody is told to add the address, which may be another machine's: this host would be cut off from it."""
    instead = "write an address that this host has, as `ip -br addr` shows"
    if endpoint:
        node, _, _ = endpoint.partition(":")
        instead += "" if ":" in local else ", or one of 127.0.0.0/8"
        instead += f"; if {node} is another machine, write elsewhere:{node} in place of {endpoint}"
    message = f"{who}: the address {local} is on no interface of this host, and the tunnel's end there cannot be opened"
    return HostError(message, instead)


def _is_local(address: str, soon: set[str], netns: str | None, snapshot: Snapshot) -> bool:
    if address in soon or ipaddress.ip_address(address).is_loopback:
        return True
    return address in snapshot.view(netns).every_address
