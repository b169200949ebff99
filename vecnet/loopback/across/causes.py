"""Why packets do not come from one host to another: what both hosts have seen, in one sentence each.

A few small frames go each way, and both hosts look at their interfaces meanwhile:

    sent ── refused by the sender's own host? ── seen to leave it? ── seen to come to the other? ── taken there?
               its counters, its filters             its route            between the two        its counters, filters,
                                                                                                 keys that do not fit
Where small frames come and large ones do not, the way between the hosts is narrower than it should be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vecnet.loopback import exchange
from vecnet.loopback.across.answers import Looked, Sniffed, Way
from vecnet.loopback.across.crossing import Opened
from vecnet.loopback.across.line import Line
from vecnet.loopback.across.probes import narrow_ways, told_narrow
from vecnet.loopback.codes import Code
from vecnet.loopback.diagnose import DROPS, Finding
from vecnet.loopback.exchange import drain, send_and_judge
from vecnet.loopback.numbered import SMALLEST, Run
from vecnet.loopback.sniff import Outer, differences
from vecnet.loopback.verdict import Outcome
from vecnet.transports.base import ETHERNET_HEADER

_TRIES = 3  # frames sent to be looked at
_LAST = 0.3  # seconds for them to come
_PATIENCE = 0.2  # seconds, of frames of one size
_TWICE = 2  # of each size; that one is lost by chance says nothing


def diagnosed(wire: Opened, probe: str) -> list[Finding]:
    """What was found, the surest first. What cannot be found out for want of a machine is left out."""
    looked = [_Look(line) for line in wire.lines]
    found = _kept(*(_what_differs(look, probe) for look in looked))
    lost = _kept(_way(wire, 0, looked[0], looked[1]), _way(wire, 1, looked[1], looked[0]))
    found += lost or _kept(_narrow(wire))
    if not found or probe in ("ping", "tcp"):
        found += _kept(*(_filters(look) for look in looked))
    return list(dict.fromkeys(found))


@dataclass
class _Look:
    """A host as it is now; it is asked once."""

    line: Line
    differs: Sequence[Finding] | None = None
    filters: Sequence[Finding] = ()

    def at(self, probe: str) -> Sequence[Finding]:
        if self.differs is None:
            told = self.line.told(Looked, "look", probe=probe)
            self.differs, self.filters = told.found, told.filters
        return self.differs


def _kept(*looks: Iterator[Finding]) -> list[Finding]:
    found: list[Finding] = []
    for look in looks:
        with suppress(Outcome):
            found += look
    return found


def _what_differs(look: _Look, probe: str) -> Iterator[Finding]:
    for found in look.at(probe):
        yield _on(look, found)


def _filters(look: _Look) -> Iterator[Finding]:
    for found in look.filters:
        yield _on(look, found)


def _on(look: _Look, found: Finding) -> Finding:
    return Finding(found.code, f"on {look.line.name}, {found.sentence}")


@dataclass(frozen=True)
class _Seen:
    """Of a few frames one way: what both hosts saw, and how many were taken."""

    left: Sequence[Outer]
    came: Sequence[Outer]
    taken: int
    drops: tuple[dict[str, int], dict[str, int]]  # the sender's and the receiver's, by their meaning


def _way(wire: Opened, index: int, sender: _Look, receiver: _Look) -> Iterator[Finding]:
    """Where the frames of one direction end, if they do not arrive."""
    way = wire.directions[index]
    here, there = sender.line.name, receiver.line.name
    seen = _sent(way, sender.line, receiver.line)
    if seen.taken == _TRIES:
        return
    words = way[0]
    counts = f"seen {len(seen.left)} times on {here}'s interfaces and {len(seen.came)} times on {there}'s"
    yield Finding(_place(seen), f"{words}: {_TRIES} packets sent, {counts}, {seen.taken} taken")
    for name, drops in zip((here, there), seen.drops, strict=True):
        for what, count in drops.items():
            yield Finding(Code.DROPPED, f"on {name}, {count} dropped, {what}")
    if not seen.left and not seen.came:
        yield Finding(Code.NOT_SENT, f"the packets do not leave {here}")
        yield from _route(wire, index, sender.line)
        yield from _filters(sender)
    elif not seen.came:
        what = "what is between the two hosts drops them"
        yield Finding(Code.LOST_ON_THE_WAY, f"the packets leave {here} and do not come to {there}: {what}")
    elif not seen.taken:
        told = [text for outer in seen.came for text in differences(outer, wire.crossing.options[1 - index])]
        for text in dict.fromkeys(told):
            yield Finding(Code.MISFIT, f"the packets come to {there} and do not fit: {text}")
        if not told:
            yield Finding(Code.NOT_TAKEN, f"the packets come to {there} and are right, and are dropped there")
            yield from _filters(receiver)


def _place(seen: _Seen) -> Code:
    """What is found by where the packets end."""
    return Code.NOT_TAKEN if seen.came else Code.LOST_ON_THE_WAY if seen.left else Code.NOT_SENT


def _sent(way: exchange.Way, sender: Line, receiver: Line) -> _Seen:
    """Send a few frames that way, with both hosts looking on."""
    _, source_end, target_end, to, source = way
    drain(target_end)
    before = source_end.stats, target_end.stats
    for line in (sender, receiver):
        line.ask("sniff")
    run = Run(to, source)
    for _ in range(_TRIES):
        source_end.send([run.build(SMALLEST)], timeout=1.0)  # together they could be seen as one large packet
    while run.lost and (frames := target_end.recv(timeout=_LAST)):
        run.take(frames)
    left, came = (line.told(Sniffed, "sniffed", run=run.run, seconds=_LAST).outers for line in (sender, receiver))
    after = source_end.stats, target_end.stats
    drops = tuple(
        {
            what: count
            for name, what in DROPS.items()
            if name.startswith(kind) and (count := new.get(name, 0) - old.get(name, 0)) > 0
        }
        for kind, old, new in zip(("tx", "rx"), before, after, strict=True)
    )
    return _Seen(left, came, _TRIES - len(run.lost), (drops[0], drops[1]))


def _route(wire: Opened, index: int, sender: Line) -> Iterator[Finding]:
    local, remote = wire.crossing.outer[index], wire.crossing.outer[1 - index]
    way = sender.told(Way, "way", local=local, remote=remote)
    if not way.mtu:
        yield Finding(Code.WRONG_ROUTE, f"{sender.name} has no route from {local} to {remote}")
    elif way.unanswered:
        yield Finding(Code.NO_NEIGHBOUR, f"{sender.name} asks its neighbours for {remote}, and none answers")


def _narrow(wire: Opened) -> Iterator[Finding]:
    """How large a frame comes through, where small ones do and full ones do not."""
    crossing = wire.crossing
    full = wire.subject.mtu + ETHERNET_HEADER
    sizes = []
    for way in wire.directions:
        low, high = SMALLEST, full + 1  # the first comes through, the second does not
        if _passes(way, full):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _passes(way, middle) else (low, middle)
        outer = low - ETHERNET_HEADER + crossing.options[0].overhead
        sizes.append(outer)
        between = f"the way between {crossing.hosts[0]} and {crossing.hosts[1]} is narrower"
        told = (
            f"{way[0]}: frames of up to {low} bytes pass, packets of {outer} on the way, and those of {full} do not, "
            f"{crossing.outer_size} on the way: {between}"
        )
        yield Finding(Code.NARROW_WAY, told)
    ways = narrow_ways(wire)
    yield from (Finding(Code.NARROW_WAY, told_narrow(wire, way)) for way in ways)
    if sizes:
        size = min([*sizes, *(way.size for way in ways)])  # a bridge takes 4 bytes more, for a VLAN's tag
        mend = f"give one of the two hosts mtu: {size} in the topology, or widen the way"
        yield Finding(Code.NARROW_WAY, mend)


def _passes(way: exchange.Way, size: int) -> bool:
    # not both at once: a bridge lets a large packet of several pass that it would refuse one by one
    return any(not send_and_judge(*way[1:], [size], 1, patience=_PATIENCE).lost for _ in range(_TWICE))
