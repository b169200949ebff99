"""A link between two hosts under test: both ends, each opened by the agent on its own host."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

from vecnet.loopback.across import answers
from vecnet.loopback.across.far import FarEnd, FarStack
from vecnet.loopback.across.line import Line
from vecnet.loopback.exchange import Way
from vecnet.loopback.joined import Pair, StackEnd, pairs_of
from vecnet.loopback.subject import Side, Subject, own_end
from vecnet.loopback.verdict import Outcome
from vecnet.topology import ResolvedLink, Topology
from vecnet.transports import Transport

_MAC = 6  # bytes


@dataclass(frozen=True)
class Crossing:
    """Such a link. Of each pair the near end's comes first: its host, its options, its outer address."""

    subject: Subject
    hosts: tuple[str, str]
    options: tuple[Transport, Transport]
    outer: tuple[str, str]
    claims: frozenset[Hashable]  # what must be its own on each host while it is proved

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def far_end(self) -> str:
        """What the other end is, and where."""
        return f"{self.subject.far.words} on {self.hosts[1]}"

    @property
    def outer_size(self) -> int:
        """Bytes of the outer packet with a full frame in it."""
        return self.subject.mtu + self.options[0].overhead


def crosses(link: ResolvedLink, topology: Topology) -> bool:
    """Whether a link's ends are on two of the topology's hosts."""
    near, far = (end.host for end in link.spec.ends)
    return near != far and near in topology.hosts and far in topology.hosts


def of_link(link: ResolvedLink, parts: Mapping[str, Topology]) -> Crossing:
    """A link as what is to be proved; `parts` are the hosts' of its topology."""
    ends = link.spec.ends
    own = {end.host: own_end(parts[end.host], link.name) for end in ends}
    near, far = (_named(own[end.host][1], end.host) for end in ends)
    subject = Subject(
        name=link.name,
        transport=link.transport,
        mtu=link.mtu,
        near=near,
        far=far,
        impairment=link.impairment,
        expected=link.expected,
    )
    return Crossing(
        subject,
        (ends[0].host, ends[1].host),
        link.options,
        (ends[0].given["local"], ends[1].given["local"]),
        frozenset((host, claim) for host, (part, side) in own.items() for claim in part.claims_of(side)),
    )


def _named(side: Side, host: str) -> Side:
    """With its host in its name: two hosts may have a guest's end each that is called alike."""
    return side if side.is_host else dataclasses.replace(side, name=f"{side.name} on {host}")


@dataclass(frozen=True)
class Opened:
    """Both ends, open: a wire as the probes see it."""

    crossing: Crossing
    lines: tuple[Line, Line]
    macs: tuple[bytes, bytes]

    @property
    def subject(self) -> Subject:
        return self.crossing.subject

    @cached_property
    def ends(self) -> tuple[FarEnd, FarEnd]:
        near, far = map(FarEnd, self.lines)
        return near, far

    @property
    def directions(self) -> tuple[Way, Way]:
        """Both ways, as those of a wire on one machine."""
        (here, there), (near, far) = self.ends, self.macs
        names = self.subject.near.name, self.subject.far.name
        return (
            (f"{names[0]} to {names[1]}", here, there, far, near),
            (f"{names[1]} to {names[0]}", there, here, near, far),
        )

    @contextmanager
    def joined(self) -> Iterator[tuple[tuple[StackEnd, StackEnd], list[Pair]]]:
        """Both ends' IP stacks, and their pairs of addresses. Raises Absent where there is no such pair."""
        subject = self.subject
        pairs = pairs_of(subject.near, subject.far)
        with ExitStack() as stack:
            found = []
            for line, side in zip(self.lines, (subject.near, subject.far), strict=True):
                interface = line.told(answers.Joined, "join").interface
                stack.callback(_leave, line, "leave")
                found.append(StackEnd(side.name, FarStack(line), interface))
            yield (found[0], found[1]), pairs


@contextmanager
def opened(crossing: Crossing, lines: Mapping[str, Line], live: bool) -> Iterator[Opened]:
    """Both ends, open within the block. Raises Failed and Untested."""
    macs = {}
    with ExitStack() as stack:
        for host in crossing.hosts:
            stack.callback(_leave, lines[host], "close")
            macs[host] = lines[host].told(answers.Opened, "open", link=crossing.name, live=live).mac
            if len(macs[host]) != _MAC:
                raise lines[host].nonsense()
        near, far = crossing.hosts
        yield Opened(crossing, (lines[near], lines[far]), (macs[near], macs[far]))


def _leave(line: Line, do: str) -> None:
    with suppress(Outcome):  # it is lost, which the next question says
        line.ask(do)
