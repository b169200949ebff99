"""One trial: so many frames of one size go out at a rate, or as fast as they go; then nothing is sent, and what came is
counted. Sending takes no longer than twice its time and `LONGEST` beside it, waiting for what comes slowly `_SLOWEST`.

    generate ── port ══ the wire ══ port ── drain          both in C; of a thousand frames the moments are kept

Source: RFC 2544, sections 23 and 26.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from vecnet.datapath.loops import Loop, drain, generate
from vecnet.datapath.port import Port
from vecnet.loopback.codes import Code
from vecnet.loopback.exchange import drain as take_away
from vecnet.loopback.numbered import SMALLEST, Run, runs
from vecnet.loopback.verdict import Failed

CHECKSUM = 4  # bytes of a frame that RFC 2544 counts and that no port is given
LONGEST = 2.0  # seconds without a frame, after which no more will come, RFC 2544 section 23
_SLOWEST = 20.0  # seconds, of what keeps coming: a thousand large frames at a megabit a second
QUIET = 0.1  # the same of a wire that takes less than a third of that
_LEARNING, _PAUSE = 10, 0.2  # frames, each way, that are sent before any trial until one comes; seconds between two
_TURN = 0.002  # seconds between two looks
_MOMENTS = 2000  # frames whose moments are kept; RFC 8219 asks for 500 and more
_LATE = 0.01  # of the time for it: what sending, or coming, may take longer and still be at the rate
_AWAY = 0.002  # seconds that a busy machine may keep somebody away, besides
_ENDS = 10  # the part of the frames at the beginning, and at the end, whose latencies are compared


@dataclass(frozen=True)
class Way:
    """One direction of a wire: what it is called, in words and in figures, and its ends."""

    words: str
    key: str
    sender: Port
    receiver: Port
    to: bytes
    source: bytes
    quiet: float = QUIET


@dataclass(frozen=True)
class Trial:
    """What came of frames."""

    sent: int
    received: int
    offered: float  # frames a second that did go
    shortfall: float  # the share of what was to be sent that was not, or that was sent, or came, later and later
    latencies: Sequence[float]  # seconds, of the frames whose moments were kept
    reordered: int
    doubled: int

    @property
    def lost(self) -> float:
        """The share of the frames that was sent and did not come."""
        return 1 - self.received / self.sent if self.sent else 1.0

    @property
    def missing(self) -> float:
        """The share of the intended load that did not come: lost, or held back, or still waiting in a queue that grew.

        A queue that takes what a wire does not carry hides it from a short trial: in the RFC's, it would be full.
        """
        return self.lost + (1 - self.lost) * self.shortfall


def learn(way: Way, size: int = SMALLEST + CHECKSUM) -> float:
    """Let the wire learn the addresses, RFC 2544 section 23; the seconds that a frame took. Raises Failed."""
    run = Run(way.to, way.source)
    take_away(way.receiver)
    sent_at: list[float] = []
    for number in range(_LEARNING):
        sent_at.append(time.monotonic())
        way.sender.send([run.build(size - CHECKSUM)], timeout=_PAUSE)
        pause = LONGEST if number == _LEARNING - 1 else _PAUSE
        while (left := sent_at[-1] + pause - time.monotonic()) > 0:
            if run.take(way.receiver.recv(timeout=left)):
                return time.monotonic() - sent_at[run.last]
    raise Failed(Code.NO_FRAME, f"{way.words}: no frame came")


def tried(way: Way, size: int, count: int, *, rate: float = 0.0, seconds: float = 0.0) -> Trial:
    """`count` frames of `size` bytes, their checksum counted: at a rate, or as fast as they go in `seconds`.

    Raises Failed where frames come changed, PortError, and TimeoutError.
    """
    stream, to, source = next(runs) & 0xFFFFFFFF, way.to.hex(":"), way.source.hex(":")
    moments = (max(1, math.ceil(count / _MOMENTS)), _MOMENTS)
    longest = seconds or 2 * count / rate + LONGEST
    take_away(way.receiver)
    with (
        drain(way.receiver, stream=stream, moments=moments) as seen,
        generate(
            way.sender,
            count=count,
            seconds=longest,
            size=size - CHECKSUM,
            rate=max(1, round(rate)) if rate else None,
            stream=stream,
            target=to,
            source=source,
            moments=moments,
        ) as sending,
    ):
        sent = sending.wait()["frames"]
        _wait_for_the_rest(seen, sent, way.quiet)
        seen.stop()
        seen.wait(LONGEST)
    found, out, came = seen.stats, sending.moments[: -(-sent // moments[0])], seen.moments
    if found["changed"]:
        raise Failed(Code.CHANGED, f"{way.words}: under load {found['changed']} frames of {size} bytes came changed")
    took = (out[-1] - out[0]) / 1e9 if out else 0.0
    latencies = [(at - since) / 1e9 for since, at in zip(out, came, strict=False) if since and at]
    return Trial(
        sent,
        found["frames"],
        (len(out) - 1) * moments[0] / took if took else 0.0,
        max(1 - sent / count, _late(took, count / rate), _late(took + _growth(latencies), took)) if rate else 0.0,
        latencies,
        found["reordered"],
        found["doubled"],
    )


def _wait_for_the_rest(seen: Loop, sent: int, quiet: float) -> None:
    """Until all have come, or none has for a while."""
    before, since = 0, time.monotonic()
    end = since + _SLOWEST
    while (stats := seen.stats)["frames"] < sent and time.monotonic() < min(since + quiet, end):
        now = stats["frames"] + stats["foreign"]  # those of the trial before are on their way first
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(_TURN)


def _growth(latencies: Sequence[float]) -> float:
    """How much longer the last frames were on their way than the first ones."""
    some = -(-len(latencies) // _ENDS)
    return max(0.0, median(latencies[-some:]) - median(latencies[:some])) if some else 0.0


def _late(took: float, time_for_it: float) -> float:
    """The share that is not done in time, where it takes longer."""
    slack = _LATE * time_for_it + _AWAY
    return 1 - time_for_it / took if took > time_for_it + slack else 0.0
