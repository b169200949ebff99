"""What is to be sent for a set of steps, ordered in stages, and the sending of it in batches.

Stages, each for all interfaces before the next begins (those of l2tp, whose local address must be there, in a second
turn after all others):

1. DELETE  stale interfaces go, those of one namespace by their group in one call
2. GONE    what the kernel deletes in its own time is waited for
3. MAKE    interfaces are made, marked with the topology's group
4. SETTLE  alias; what must be set before an interface is up
5. RAISE   up, and into its bridge
6. PEER    a pair's second end up, once all the first are; a few at a time, each time until the first ends send: a
           worker of the kernel gives them their queues, and does 100 a second where it finds more than 200
7. ADDRESS addresses, for which the interface must be up
8. FINISH  at the very end, what a bridge's members would change: its mtu
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vecnet.errors import HostError
from vecnet.host import mark
from vecnet.host.plan import Node
from vecnet.host.refusals import refused
from vecnet.kernel import genl, netlink
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.rtnl import read_links, sends

if TYPE_CHECKING:
    from vecnet.host.snapshot import Snapshot

Progress = Callable[[int, int], None]
Check = Callable[[], None]

_ORDER = {"route": 0, "call": 1, "generic": 2}  # within a stage; offloads need the interface that route has marked
_LAST_TURN = 9
_RETRY_FOR = 3.0  # seconds: an l2tp tunnel's ids and port are free about 0.1 s after the kernel has said so
_GONE_WITHIN = 60.0  # seconds; thousands of tunnels take some
_RETRY_PAUSE = 0.02  # seconds
_PAIRS = 64  # whose ends come up at a time
_SENDS_WITHIN = 2.0  # seconds, for these; a pair whose worker is later than that is not waited for
_SENDS_PAUSE = 0.002  # seconds


class Stage(IntEnum):
    DELETE = 1
    GONE = 2
    MAKE = 3
    SETTLE = 4
    RAISE = 5
    PEER = 6
    ADDRESS = 7
    FINISH = 8


@dataclass(slots=True)
class Op:
    """One message or call. `build` gets the encoders and returns the message; a call returns nothing."""

    node: Node
    place: Namespace
    what: str
    build: Callable[[Any], Any]
    by: str  # "route", "generic", or "call"
    forgive: frozenset[int] = frozenset()  # errors that mean that it is so already
    retry: frozenset[int] = frozenset()  # errors that pass by themselves


class Work:
    """The operations that some steps need. `world` is the host as it was seen before."""

    def __init__(self, topology: str, world: Snapshot) -> None:
        self.topology = topology
        self.world = world
        self._stages: dict[tuple[int, Stage], list[Op]] = {}
        self._doomed: dict[str | None, list[Node]] = {}
        self._going: dict[str | None, list[Node]] = {}
        self._indices: dict[str | None, dict[str, int]] = {}  # read after the interfaces are made
        self._families: dict[str, int] = {}  # of generic netlink, the same in every namespace

    def group(self, netns: str | None) -> int:
        return self.world.group(self.topology, netns)

    def family(self, name: str, netns: str | None) -> int:
        """The number of a generic netlink family that is there, asked for once."""
        if name not in self._families:
            number = genl.load_family(self.world.place(netns), name)
            assert number is not None, f"a plan without the netlink family {name} is refused before it is carried out"
            self._families[name] = number
        return self._families[name]

    def mark(self, node: Node, *, peer: bool = False, netns: str | None = None) -> mark.Mark:
        """The mark of a node's interface; a peer lies at home and needs no word of where that is."""
        from vecnet.host.kinds import KINDS

        home = self.world.home_cookie if node.netns is not None and not peer else None
        notes = {key: str(node.values[key]) for key in KINDS[node.kind].noted if node.values[key] is not True}
        return mark.Mark(self.topology, node.link, peer, home, notes)

    def _add(self, stage: Stage, op: Op) -> None:
        from vecnet.host.kinds import KINDS

        if stage in (Stage.DELETE, Stage.GONE):
            turn = 0
        elif stage is Stage.FINISH:
            turn = _LAST_TURN
        else:
            turn = KINDS[op.node.kind].turn
        self._stages.setdefault((turn, stage), []).append(op)

    def route(self, stage: Stage, node: Node, netns: str | None, what: str, build: Callable[[Any], bytes]) -> None:
        self._add(stage, Op(node, self.world.place(netns), what, build, "route"))

    def generic(
        self,
        stage: Stage,
        node: Node,
        what: str,
        build: Callable[[Any], bytes],
        *,
        netns: str | None = None,
        forgive: frozenset[int] = frozenset(),
        retry: frozenset[int] = frozenset(),
    ) -> None:
        self._add(stage, Op(node, self.world.place(netns), what, build, "generic", forgive, retry))

    def call(self, stage: Stage, node: Node, netns: str | None, what: str, call: Callable[[Any], None]) -> None:
        self._add(stage, Op(node, self.world.place(netns), what, call, "call"))

    def new_link(self, node: Node, kind: str, data: Callable[[Any], Any] | None = None) -> None:
        """Make an interface by rtnetlink, marked by its group."""
        group = self.group(node.netns)
        self.route(
            Stage.MAKE,
            node,
            node.netns,
            "make it",
            lambda n: n.new_link(
                node.ifname,
                kind,
                data=data(n) if data else None,
                mtu=node.values["mtu"],
                mac=node.values.get("mac"),
                group=group,
            ),
        )

    def wait_until_gone(self, node: Node, left: Callable[[Namespace, list[Node]], list[Node]]) -> None:
        """Wait for what the kernel deletes in its own time, until `left` gives none of a namespace's such nodes."""
        place = self.world.place(node.netns)
        going = self._going.setdefault(node.netns, [])
        if not going:
            self.call(Stage.GONE, node, node.netns, "remove it", lambda _: _wait(place, going, left))
        going.append(node)

    def delete(self, netns: str | None, node: Node) -> None:
        """Remove an interface, together with the others of its namespace."""
        self._doomed.setdefault(netns, []).append(node)

    def index(self, netns: str | None, ifname: str) -> int:
        """The number of an interface that is there, or was made by an earlier stage. Raises HostError."""
        if netns not in self._indices or ifname not in self._indices[netns]:
            self._indices[netns] = {link.ifname: link.index for link in read_links(self.world.place(netns))}
        try:
            return self._indices[netns][ifname]
        except KeyError:
            raise HostError(f"{ifname} went away meanwhile; try again") from None

    @property
    def size(self) -> int:
        return sum(map(len, self._stages.values())) + sum(map(len, self._doomed.values()))

    def run(self, check: Check, progress: Progress) -> None:
        """Do it all. `check` is called between batches and may raise. Raises HostError at the first refusal."""
        if not self.size:
            return
        from vecnet.host import messages

        done, total = 0, self.size
        for netns, nodes in self._doomed.items():
            check()
            self._delete(messages, netns, nodes)
            done += len(nodes)
            progress(done, total)
        for (_, stage), ops in sorted(self._stages.items(), key=lambda item: item[0]):
            ops.sort(key=lambda op: (_ORDER[op.by], op.place.cookie))
            for (by, _), run in groupby(ops, key=lambda op: (op.by, op.place)):
                size = 1 if by == "call" else _PAIRS if stage is Stage.PEER else netlink.BATCH
                rest = list(run)
                for start in range(0, len(rest), size):
                    check()
                    some = rest[start : start + size]
                    self._send(messages, by, some)
                    if stage is Stage.PEER:
                        self._wait_until_they_send([op.node for op in some if _is_to_be_up(op.node)])
                    done += len(some)
                    progress(done, total)

    def _send(self, messages: ModuleType, by: str, ops: list[Op]) -> None:
        place = ops[0].place
        if by == "call":
            try:
                ops[0].build(messages)
            except OSError as error:
                raise refused(ops[0].node, ops[0].what, netlink.Refusal(error.errno or 0, _words(error))) from error
            return
        until = time.monotonic() + _RETRY_FOR
        while ops:
            try:
                answers = (place.route if by == "route" else place.generic).batch([op.build(messages) for op in ops])
            except OSError as error:
                raise refused(ops[0].node, ops[0].what, netlink.Refusal(error.errno or 0)) from error
            again = []
            for op, answer in zip(ops, answers, strict=True):
                if answer is None or answer.errno in op.forgive:
                    continue
                if answer.errno not in op.retry or time.monotonic() >= until:
                    raise refused(op.node, op.what, answer)
                again.append(op)
            if again:
                time.sleep(_RETRY_PAUSE)
            ops = again

    def _wait_until_they_send(self, pairs: list[Node]) -> None:
        until = time.monotonic() + _SENDS_WITHIN
        for node in pairs:
            with suppress(OSError):  # it went away meanwhile
                while not sends(self.world.place(node.netns), node.ifname) and time.monotonic() < until:
                    time.sleep(_SENDS_PAUSE)

    def _delete(self, messages: ModuleType, netns: str | None, nodes: list[Node]) -> None:
        """One interface by its name; several by a group of their own, since each deletion alone takes 20 ms."""
        place = self.world.place(netns)
        gone = frozenset({errno.ENODEV})
        if len(nodes) == 1:
            name = nodes[0].ifname
            self._send(
                messages, "route", [Op(nodes[0], place, "remove it", lambda n: n.delete_link(name), "route", gone)]
            )
            return
        group = self.group(netns)
        names = {end for node in nodes for end in self.world.interfaces(node, netns)}
        members = {link.ifname for link in self.world.view(netns).links if link.group == group}
        if members and members <= names and {node.ifname for node in nodes} <= members:
            victims = group
        else:
            victims = mark.doomed(group)
            marking = [Op(node, place, "remove it", _into(node.ifname, victims), "route", gone) for node in nodes]
            for start in range(0, len(marking), netlink.BATCH):
                self._send(messages, "route", marking[start : start + netlink.BATCH])
        removal = Op(nodes[0], place, "remove it", lambda n: n.delete_group(victims), "route", gone)
        self._send(messages, "route", [removal])


def _is_to_be_up(pair: Node) -> bool:
    """Both of its ends; with one that is down, none sends."""
    return bool(pair.values.get("up") and pair.values.get("peer_up"))


def _wait(place: Namespace, nodes: list[Node], left: Callable[[Namespace, list[Node]], list[Node]]) -> None:
    until = time.monotonic() + _GONE_WITHIN
    while nodes := left(place, nodes):
        if time.monotonic() >= until:
            raise HostError(
                f"{nodes[0].kind} {nodes[0]}: the kernel has not removed it after {_GONE_WITHIN:.0f} s; try again"
            )
        time.sleep(_RETRY_PAUSE)


def _into(ifname: str, group: int) -> Callable[[Any], bytes]:
    return lambda n: n.set_link(ifname, group=group)


def _words(error: OSError) -> str:
    """What an OSError says beyond its number's usual text."""
    usual = netlink.Refusal(error.errno or 0)
    return "" if error.strerror in (None, str(usual)) else str(error.strerror)
