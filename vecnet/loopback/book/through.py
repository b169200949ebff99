"""A guest that runs as what is measured: frames go in at one of its links, and come out at another, if it bridges them.

    the other end of one link ══ the guest ══ the other end of another          both ends are the tester's

The guest has its own ends open, as `vecnet run` has started it. What it forwards has to be frames: a bridge's are, a
router's are not, for the tester's frames are no IP packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vecnet.errors import InputError
from vecnet.loopback.subject import Side, Subject, of_topology
from vecnet.topology import Topology
from vecnet.topology.model import ResolvedLink


def subject_through(topology: Topology, guest: str, names: Sequence[str] = ()) -> Subject:
    """What lies between the other ends of two of the guest's links: those that are named, or all that it has.

    Raises InputError where that are not two, or where the tester cannot open them.
    """
    links = [
        link
        for link in topology.links
        if guest in [end.node for end in link.spec.ends] and (not names or link.name in names)
    ]
    if len(links) != 2:
        instead = "name two of them with --link" if len(links) > 2 else "name a guest with two links"
        message = f"--through {guest}: frames go in at one link and out at another, and it has {len(links)} here"
        raise InputError(message, instead)
    # a switch's port first: from the other side it would be taken for what the guest must not be on
    near, far = sorted((_other(topology, link, guest) for link in links), key=lambda side: side.planned is None)
    return Subject(
        name=f"{near.name}--{guest}--{far.name}",
        transport="/".join(dict.fromkeys(link.transport for link in links)),
        mtu=min(link.mtu for link in links),
        near=near,
        far=far,
        topology=topology.name if near.planned or far.planned else "",
        where=links[0].position,
    )


def _other(topology: Topology, link: ResolvedLink, guest: str) -> Side:
    """The end that is not the guest's."""
    (subject,) = of_topology(topology, [link.name])
    side = next(side for side in (subject.near, subject.far) if side.name.partition(":")[0] != guest)
    inherits = side.device is not None and side.device.transport.inherits() is not None
    if side.is_host and not side.ifname:
        raise InputError(f"--through {guest}: vecnet cannot play {side.name}, the other end of {link.name}")
    if inherits or subject.is_outside:
        message = f"--through {guest}: nobody but who started them has the other end of {link.name}"
        raise InputError(message, f"give that link another transport than {link.transport}")
    return replace(side, addresses=())
