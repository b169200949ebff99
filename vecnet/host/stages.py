"""Operations as data, in stages, and the sending of them in batches.

Stages, each for all interfaces before the next begins (those of l2tp, whose local address must be there, in a second
turn after all others):

1. DOOM    stale interfaces are gathered in a group of their own, since each deletion alone takes 20 ms
2. DELETE  they go, those of one namespace in one call
3. GONE    what the kernel deletes in its own time is waited for
4. MAKE    interfaces are made, marked with the topology's group
5. SETTLE  alias; what must be set before an interface is up
6. RAISE   up, and into its bridge
7. PEER    a pair's second end up, once all the first are. A few at a time, until their first ends send: a worker of the
           kernel gives them their queues, which does 100 a second where it finds more than 200
8. ADDRESS addresses, for which the interface must be up
9. FINISH  at the very end, what a bridge's members would change: its mtu
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum
from itertools import groupby
from typing import Protocol

from vecnet.errors import HostError
from vecnet.host.plan import Node
from vecnet.host.refusals import refused
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.netlink import BATCH, Refusal
from vecnet.kernel.rtnl import read_links, sends
from vecnet.kernel.template import Unindexed
from vecnet.records import record

Progress = Callable[[int, int], None]
Check = Callable[[], None]

_RETRY_FOR = 3.0  # seconds: an l2tp tunnel's ids and port are free about 0.1 s after the kernel has said so
_RETRY_PAUSE = 0.02  # seconds
_PAIRS = 64  # whose ends come up at a time
_SENDS_WITHIN = 2.0  # seconds, for these; a pair whose worker is later than that is not waited for
_SENDS_PAUSE = 0.002  # seconds


class Stage(IntEnum):
    DOOM = 1
    DELETE = 2
    GONE = 3
    MAKE = 4
    SETTLE = 5
    RAISE = 6
    PEER = 7
    ADDRESS = 8
    FINISH = 9


class Way(IntEnum):
    """How an operation reaches the kernel; within a stage in this order, since features need a marked interface."""

    ROUTE = 0
    CALL = 1
    GENERIC = 2


class Call(Protocol):
    """What netlink cannot do: a frozen dataclass that is called with the namespace. It raises OSError or HostError."""

    def __call__(self, place: Namespace) -> None: ...


@record(frozen=True, slots=True)
class ToIndex:
    """A message with the number of an interface that may not be there yet: it is looked up when the message is sent."""

    ifname: str
    message: Unindexed


@record(frozen=True, slots=True)
class Op:
    """One message or call, for `node`. `what` says in words what the kernel is asked to do."""

    stage: Stage
    node: Node
    place: Namespace
    what: str
    do: bytes | ToIndex | Call
    way: Way = Way.ROUTE
    turn: int = 0  # those of a later turn come after all of an earlier one's
    forgive: frozenset[int] = frozenset()  # errors that mean that it is so already
    retry: frozenset[int] = frozenset()  # errors that pass by themselves
    until_sends: tuple[Namespace, str] | None = None  # an interface that is to send before the next ones are raised

    @property
    def who(self) -> str:
        return f"{self.node.kind} {self.node}"

    @property
    def order(self) -> tuple[bool, int, Stage]:
        """Deletions first, whatever their turn, and last what finishes all."""
        turn = 0 if self.stage < Stage.MAKE else self.turn
        return self.stage is Stage.FINISH, turn, self.stage


def send(ops: Sequence[Op], check: Check, progress: Progress) -> None:
    """Do it all. `check` is called between batches and may raise. Raises HostError at the first refusal."""
    numbers = _Numbers()
    done = 0
    ordered = sorted(ops, key=lambda op: (op.order, op.way, op.place.cookie))
    for (_, way, _), alike in groupby(ordered, key=lambda op: (op.order, op.way, op.place.cookie)):
        rest = list(alike)
        size = 1 if way is Way.CALL else _PAIRS if rest[0].stage is Stage.PEER else BATCH
        for start in range(0, len(rest), size):
            check()
            some = rest[start : start + size]
            if way is Way.CALL:
                _call(some[0])
            else:
                _send(some, numbers)
            _wait_until_they_send([op.until_sends for op in some if op.until_sends])
            done += len(some)
            progress(done, len(ops))


def _call(op: Op) -> None:
    assert callable(op.do)
    try:
        op.do(op.place)
    except OSError as error:
        usual = str(Refusal(error.errno or 0))
        words = "" if error.strerror in (None, usual) else str(error.strerror)
        raise refused(op.who, op.what, Refusal(error.errno or 0, words)) from error


def _send(ops: list[Op], numbers: _Numbers) -> None:
    place = ops[0].place
    until = time.monotonic() + _RETRY_FOR
    while ops:
        socket = place.route if ops[0].way is Way.ROUTE else place.generic
        try:
            answers = socket.batch([numbers.filled(op) for op in ops])
        except OSError as error:
            raise refused(ops[0].who, ops[0].what, Refusal(error.errno or 0)) from error
        again = []
        for op, answer in zip(ops, answers, strict=True):
            if answer is None or answer.errno in op.forgive:
                continue
            if answer.errno not in op.retry or time.monotonic() >= until:
                raise refused(op.who, op.what, answer)
            again.append(op)
        if again:
            time.sleep(_RETRY_PAUSE)
        ops = again


class _Numbers:
    """The interfaces' numbers, read once interfaces have been made."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {}  # by the namespace's cookie

    def filled(self, op: Op) -> bytes:
        """An operation's message, with the number that it lacks. Raises HostError where that interface is not there."""
        if isinstance(op.do, bytes):
            return op.do
        assert isinstance(op.do, ToIndex)
        return op.do.message.of(self._of(op.place, op.do.ifname))

    def _of(self, place: Namespace, ifname: str) -> int:
        if ifname not in self._known.get(place.cookie, {}):
            self._known[place.cookie] = {link.ifname: link.index for link in read_links(place)}
        try:
            return self._known[place.cookie][ifname]
        except KeyError:
            raise HostError(f"{ifname} went away meanwhile", "try again") from None


def _wait_until_they_send(interfaces: Sequence[tuple[Namespace, str]]) -> None:
    until = time.monotonic() + _SENDS_WITHIN
    for place, ifname in interfaces:
        with suppress(OSError):  # it went away meanwhile
            while not sends(place, ifname) and time.monotonic() < until:
                time.sleep(_SENDS_PAUSE)
