"""From drafts to the model: options of both ends, what was left out chosen from names, and MTUs.

1. A choice follows from names alone (`Link.choose`). Where one is found taken, as a port of an address may be, it is
   made again with a count: stated values come first, then chosen ones in the order of their links' names. So neither
   the order in the file nor a link that is added elsewhere moves it without need.
2. An MTU that is left out is 1500, or what the underlay leaves. The underlay is the route that the kernel has, or a
   bridge of this very topology that holds one of the addresses: `up` will make it, and must not change what was said.
   Where the file names hosts, the underlay is what it states of them (`Places.path_mtu`).
3. An interface that exists has the MTU that the kernel tells, unless one is stated, or the file names hosts.
4. A bridge drops in silence what is larger than the member it leaves by. So the members of a bridge have one MTU: the
   one that is stated at the bridge, else that of a bridge that exists, else the smallest of its members'. It is so with
   all bridges that links join, and where the file names hosts with switches, too: they are one LAN.
5. A bridge takes the lowest MAC address among its members for its own, unless it is set. So what joins a bridge that
   exists has a high one, as libvirt's taps have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

from yaml.nodes import Node

from vecnet.errors import VecStringError
from vecnet.options import Value
from vecnet.topology.document import Document, Stated
from vecnet.topology.read import Draft, LinkDraft
from vecnet.transports.base import DEFAULT_MTU, MAX_MTU, MIN_MTU, Transport
from vecnet.transports.link import HOST, OUTSIDE, Claim, End, HostInterface, Link, Mistake, chosen_mac, end_of, named_on

if TYPE_CHECKING:
    from vecnet.expectation import Expected
    from vecnet.impairment import Impairment

Underlay = Callable[[str, str], int | None]
InterfaceMtu = Callable[[str], int | None]

_TRIES = 64  # choices for one value, before a range counts as full


Judged = dict[Hashable, Transport]  # a transport of each shape that was found right, see `Transport.shape`
_COMMON = ("depth", "gro", "headroom", "vec")


class Wire:
    """A link while it is being resolved."""

    __slots__ = ("draft", "interfaces", "limit", "mtu", "options", "spec")

    def __init__(self, draft: LinkDraft, spec: Link, options: tuple[Transport, Transport]) -> None:
        self.draft, self.spec, self.options = draft, spec, options
        self.limit = MAX_MTU  # the largest MTU that fits, in bytes
        self.mtu = DEFAULT_MTU
        self.interfaces: tuple[HostInterface, ...] = ()

    @property
    def bridges(self) -> Iterator[tuple[int, str]]:
        """The bridges that interfaces of its ends are members of, each with the end's index."""
        for index, end in enumerate(self.spec.ends):
            if end.bridge is not None:
                yield index, end.bridge


def wires(doc: Document, draft: Draft) -> list[Wire]:
    """The links whose values go together, with the options of both ends; MTUs are still to be found."""
    found = []
    judged: Judged = {}
    for link in draft.links:
        mistakes = [*link.transport.mistakes(link.spec)]
        if link.spec.ends[1].kind == OUTSIDE:
            mistakes += _of_program(link.spec)
        for mistake in mistakes:
            stated: Stated = link if mistake.end is None else link.ends[mistake.end]
            doc.wrong(stated.at(mistake.key), mistake.message, mistake.instead)
        if mistakes:
            continue
        try:
            found.append(Wire(link, link.spec, _options(draft, link, link.spec, judged)))
        except VecStringError as error:
            for problem in error.problems:
                doc.wrong(_place(draft, link, "vec"), problem.message, problem.instead)
    _contradictions(doc, found)
    _settle_claims(doc, draft, found, judged)
    return found


def expected(doc: Document, draft: Draft, wire: Wire) -> tuple[Expected, ...]:
    """What is expected of a link, by itself or as of all; what its probes cannot tell may not be stated of it."""
    own, of_all = wire.draft.given.get("expect", {}), draft.defaults.given.get("expect", {})
    if not own and not of_all:
        return ()
    from vecnet.expectation import measured
    from vecnet.programs import PROGRAMS

    far = wire.spec.ends[1]
    told = measured(far.kind == OUTSIDE and far.ifname in PROGRAMS)
    for key in own.keys() - told:
        node, instead = wire.draft.at("expect"), f"leave it out; what can be expected is {', '.join(sorted(told))}"
        doc.wrong(node, f"{key} is not measured of a program outside, such as {far}", instead)
    return tuple(one for key, one in (of_all | own).items() if key in told)


def _of_program(link: Link) -> Iterator[Mistake]:
    """What does not go together at an end outside."""
    from vecnet.programs import PROGRAMS  # for such ends alone

    far = link.ends[1]
    if far.ifname in PROGRAMS:
        yield from PROGRAMS[far.ifname].mistakes(link)


def _options(draft: Draft, link: LinkDraft, spec: Link, judged: Judged) -> tuple[Transport, Transport]:
    common: dict[str, Value] = {"gro": link.transport.vnet}
    for given in (draft.defaults.given, link.given):
        if given:
            common |= {key: given[key] for key in _COMMON if key in given}

    def one(end: int) -> Transport:
        this = spec.ends[end]
        mac = None if this.switch else this.given.get("mac") or spec.choose_mac(end)
        options = {**common, **link.transport.options_for(spec, end)}
        shape = link.transport.shape(options)
        if shape not in judged:
            judged[shape] = link.transport(mac=mac, **options)  # type: ignore[arg-type]
        return judged[shape].alike(mac, options)

    return one(0), one(1)


def _place(draft: Draft, link: LinkDraft, key: str) -> Node:
    """Where a common option is stated: at the link, or for all of them."""
    return link.at(key) if key in link.given or key not in draft.defaults.given else draft.defaults.at(key)


def _contradictions(doc: Document, found: list[Wire]) -> None:
    """A common option stated at a link, that its transport must have otherwise."""
    for wire in found:
        for key in ("gro", "vec"):
            value = wire.draft.given.get(key)
            if value is not None and value != getattr(wire.options[0], key):
                written = f"{key}: {'on' if value else 'off'}"
                message = f"{written} is not possible: {wire.options[0].name} to the host needs it otherwise"
                doc.wrong(wire.draft.at(key), message, "leave it out")


def _settle_claims(doc: Document, draft: Draft, found: list[Wire], judged: Judged) -> None:
    """Give every claim one owner: choose again what was chosen, and report what was stated twice."""

    def claims(wire: Wire, end: int) -> tuple[Claim, ...]:
        return wire.draft.transport.claims(wire.spec, end, wire.options[end])

    def stated_at(wire: Wire, end: int, claim: Claim) -> Node:
        return wire.draft.ends[end].at(claim.key)

    def identity(wire: Wire, end: int, claim: Claim) -> tuple[object, ...]:
        return (wire.spec.ends[end].host, claim.what, *claim.value)

    every = [
        (wire, end, index, claim)
        for wire in found
        for end in (0, 1)
        for index, claim in enumerate(wire.draft.transport.claims(wire.spec, end, wire.options[end]))
    ]
    stated = [entry for entry in every if entry[3].key in entry[0].spec.ends[entry[1]].given]
    stated.sort(key=lambda entry: doc.at(stated_at(entry[0], entry[1], entry[3])))
    taken: dict[tuple[object, ...], tuple[Wire, int, bool]] = {}

    def clashes(wire: Wire, end: int, claim: Claim) -> bool:
        one = identity(wire, end, claim)
        return one in taken and not (claim.shared and taken[one][2])

    for wire, end, _, claim in stated:
        if clashes(wire, end, claim):
            other, at, _ = taken[identity(wire, end, claim)]
            line = stated_at(other, at, claim).start_mark.line + 1
            message = f"{claim.text} is used twice, first by {other.spec.ends[at]} in line {line}"
            doc.wrong(stated_at(wire, end, claim), message, f"choose another {claim.key}")
        taken.setdefault(identity(wire, end, claim), (wire, end, claim.shared))
    rest = [entry for entry in every if entry[3].key not in entry[0].spec.ends[entry[1]].given]
    for wire, end, index, _ in sorted(rest, key=lambda entry: (entry[0].spec.name, entry[1], entry[2])):
        claim = claims(wire, end)[index]
        for again in range(1, _TRIES):
            if not clashes(wire, end, claim):
                break
            wire.spec = dataclasses.replace(wire.spec, again={**wire.spec.again, (claim.key, end): again})
            wire.options = _options(draft, wire.draft, wire.spec, judged)
            claim = claims(wire, end)[index]
        else:
            doc.wrong(stated_at(wire, end, claim), f"{claim.text} is taken, and no other is free", f"state {claim.key}")
        taken.setdefault(identity(wire, end, claim), (wire, end, claim.shared))


def settle_mtus(
    doc: Document, draft: Draft, found: list[Wire], underlay: Underlay, interface_mtu: InterfaceMtu
) -> dict[str, int]:
    """Find the MTU of every link and so its interfaces, and return the MTUs of the bridges."""

    def known(end: Mapping[str, object], ifname: str) -> int | None:
        """That of an interface which exists; in another network namespace it cannot be asked."""
        asked = end.get("existing") and "netns" not in end and not draft.places.hosts
        there = interface_mtu(ifname) if asked else None
        return None if there is None else max(MIN_MTU, min(MAX_MTU, there))

    for wire in found:
        path = _path_mtu(draft, wire, underlay)
        if path is not None:
            wire.limit = min(MAX_MTU, path - wire.options[0].overhead)
            wire.mtu = min(DEFAULT_MTU, wire.limit)
        if wire.spec.existing:
            wire.mtu = known(wire.spec.ends[1].given, wire.spec.ends[1].ifname) or DEFAULT_MTU
        mtu = _stated_mtu(draft, wire)
        if wire.limit < MIN_MTU:
            message = f"the underlay leaves {wire.limit} bytes for a packet, and a guest needs {MIN_MTU}"
            doc.wrong(wire.draft.node, message, "use addresses with a larger MTU on the way")
        elif mtu is not None:
            if mtu > wire.limit:
                reason = f"{path} bytes on the way less {wire.options[0].overhead} for {wire.options[0].name}"
                message = f"mtu {mtu} does not fit {wire.draft.name}: {reason} leave {wire.limit}"
                where = _place(draft, wire.draft, "mtu")
                doc.wrong(where, message, f"write at most {wire.limit}, or leave it out")
            else:
                wire.mtu = mtu
    there = {name: known(bridge.given, name) for name, bridge in draft.bridges.items()}
    lans = _lans(draft, found)
    for lan in lans:
        _settle_lan(doc, draft, lan, there)
    for wire in found:
        if wire.mtu != DEFAULT_MTU and wire.mtu >= MIN_MTU:
            first, second = wire.options
            wire.options = (first.with_mtu(wire.mtu), second.with_mtu(wire.mtu))
        wire.interfaces = wire.draft.transport.host_interfaces(wire.spec, wire.options)
        _place_interfaces(doc, draft, wire)
    return {name: lan.mtu for lan in lans for name in lan.bridges}


def _place_interfaces(doc: Document, draft: Draft, wire: Wire) -> None:
    """Add what a link's interfaces have of the file, and of the bridges that they join; most have nothing."""
    impairment: Impairment | None = wire.draft.given.get("impair")
    if impairment and wire.interfaces and not any(end.switch for end in wire.spec.ends):  # a switch impairs by itself
        first, *others = wire.interfaces  # of two interfaces one does
        wire.interfaces = (dataclasses.replace(first, impairment=impairment), *others)
    if wire.spec.existing:
        where = doc.at(wire.draft.ends[1].at("existing"))
        wire.interfaces = tuple(dataclasses.replace(one, where=where) for one in wire.interfaces)
    for index, name in wire.bridges if draft.bridges else ():
        end, bridge = wire.spec.ends[index], draft.bridges.get(name)
        if bridge and bridge.given.get("existing") and "mac" not in end.given:
            wire.interfaces = tuple(
                dataclasses.replace(one, mac=f"fe{one.mac[2:]}") if one.mac and end_of(wire.spec, one) == index else one
                for one in wire.interfaces
            )


def _path_mtu(draft: Draft, wire: Wire, underlay: Underlay) -> int | None:
    """Bytes of the largest outer packet on the way between the ends; None where there is no outer packet."""
    if not wire.options[0].overhead:
        return None
    here, there = (end.given["local"] for end in wire.spec.ends)
    outer = {named_on(end.host, end.given["local"]) for end in wire.spec.ends}
    own = [
        bridge.given.get("mtu", DEFAULT_MTU)
        for name, bridge in draft.bridges.items()
        if bridge.given.get("ip") and outer & {named_on(_host_of(name), text) for text in _bare(bridge)}
    ]
    if draft.places.hosts:
        return int(min(*own, draft.places.path_mtu(wire.spec), MAX_MTU))
    if own:
        return int(min(own))
    known = [mtu for mtu in (underlay(here, there), underlay(there, here)) if mtu is not None]
    return min(known, default=DEFAULT_MTU)


def _stated_mtu(draft: Draft, wire: Wire) -> int | None:
    stated: int | None = wire.draft.given.get("mtu", draft.defaults.given.get("mtu"))
    return stated


def _host_of(bridge: str) -> str:
    """The host of a bridge, by the bridge's name in the file."""
    return bridge.rpartition(":")[0] or HOST


def _bare(bridge: Stated) -> Iterator[str]:
    return (address.partition("/")[0] for address in bridge.given.get("ip", ()))


class Lan:
    """Bridges and switches that links join, and the links that end at them: all of one MTU."""

    def __init__(self) -> None:
        self.bridges: list[str] = []
        self.members: list[Wire] = []
        self.mtu = DEFAULT_MTU


def _lans(draft: Draft, found: list[Wire]) -> list[Lan]:
    """Every bridge is of one. Switches are, too, where the file names hosts: none but these has a way of less between
    two of them."""
    switches = draft.switches if draft.places.hosts else {}

    def place(end: End) -> str | None:
        return f"switch {end.switch}" if end.switch in switches else end.bridge if end.bridge in draft.bridges else None

    lans = {name: Lan() for name in (*draft.bridges, *(f"switch {name}" for name in switches))}
    for name in draft.bridges:
        lans[name].bridges.append(name)
    for wire in found if lans else ():
        places = [at for end in wire.spec.ends if (at := place(end)) is not None]
        if not places:
            continue
        lan = lans[places[0]]
        lan.members.append(wire)
        if (other := lans[places[-1]]) is not lan:
            lan.bridges += other.bridges
            lan.members += other.members
            lans.update({name: lan for name, one in lans.items() if one is other})
    return list(dict.fromkeys(lans.values()))


def _settle_lan(doc: Document, draft: Draft, lan: Lan, there: Mapping[str, int | None]) -> None:
    """Give a LAN and all its members one MTU; `there` are those of bridges that exist."""
    smallest = min(lan.members, key=lambda wire: (wire.mtu, wire.draft.name), default=None)
    ruling = {name: int(mtu) for name in lan.bridges if (mtu := draft.bridges[name].given.get("mtu", there[name]))}
    lan.mtu = next(iter(ruling.values()), smallest.mtu if smallest else DEFAULT_MTU)
    for name, mtu in ruling.items():
        if mtu != lan.mtu:
            message = f"mtu {mtu} of bridge {name}, which links join to the bridge {next(iter(ruling))} with {lan.mtu}"
            doc.wrong(draft.bridges[name].at("mtu"), message, f"write mtu: {lan.mtu}, or leave it out")
    for wire in lan.members:
        stated = _stated_mtu(draft, wire)
        bridge = next((name for _, name in wire.bridges if name in lan.bridges), "")
        on = f"bridge {bridge}" if bridge else f"switch {wire.spec.ends[0].switch or wire.spec.ends[1].switch}"
        if stated is not None and stated <= wire.limit and stated != lan.mtu:
            follows = smallest and not ruling
            whose = f"{smallest.draft.name} on it has" if smallest and follows else "has"
            message = f"mtu {stated} on {on}, which drops larger frames than its own in silence: {whose} {lan.mtu}"
            doc.wrong(_place(draft, wire.draft, "mtu"), message, f"write mtu: {lan.mtu}, or leave it out")
        elif lan.mtu > wire.limit:
            message = f"mtu {lan.mtu} does not fit the member {wire.draft.name} of {on}: it leaves {wire.limit}"
            ruled = draft.bridges[bridge or next(iter(ruling))]
            doc.wrong(ruled.at("mtu"), message, f"write at most {wire.limit}, or leave it out")
        else:
            wire.mtu = lan.mtu


def bridge_interfaces(doc: Document, draft: Draft, mtus: dict[str, int]) -> Iterator[HostInterface]:
    """The bridges, with an address each that does not change as members come and go."""
    for name, bridge in draft.bridges.items():
        existing = bool(bridge.given.get("existing"))
        yield HostInterface(
            ifname=name.rpartition(":")[2],
            kind="bridge",
            mtu=mtus[name],
            mac=None if existing else bridge.given.get("mac") or chosen_mac(draft.name, "bridge", name),
            addresses=tuple(bridge.given.get("ip", ())),
            netns=bridge.given.get("netns"),
            link=f"bridge {name}",
            existing=existing,
            where=doc.at(bridge.at("existing")),
            host=_host_of(name),
        )
