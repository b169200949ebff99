"""What the RFCs ask for, and how far a run keeps to it: who reads a report must know both.

| source | subject |
|---|---|
| RFC 2544 | throughput, latency, frame loss rate, each at the sizes of an Ethernet |
| RFC 9004 | back-to-back frames, and the buffer that follows from them |
| RFC 5180, RFC 8219 | sizes for IPv6; latency as median and 99.9th percentile, its variation: the way from the least |
| FD.io CSIT | NDR and PDR: the highest rate that loses nothing, and that loses half of a percent at the most |
"""

from __future__ import annotations

from dataclasses import dataclass

from vecnet.loopback.book.search import DOUBT, MOST_TIMES, RESOLUTION, SPREAD
from vecnet.loopback.book.trial import CHECKSUM
from vecnet.loopback.subject import Subject
from vecnet.transports.base import ETHERNET_HEADER
from vecnet.values import is_v6

TRIAL = 0.2  # seconds, where nothing else is asked for
PDR = 0.005  # the share of the frames that may be lost, of FD.io CSIT
_TRIAL = 60.0  # seconds, RFC 2544 section 24
_WAIT = 2.0  # seconds after a trial, section 23
_LATENCIES, _BURSTS = 20, 50  # times that latency, and bursts, are to be measured: sections 26.2, 26.4


@dataclass(frozen=True)
class Standard:
    """What a link is measured by."""

    name: str
    sizes: tuple[int, ...]  # bytes of frames, their checksum counted


ETHERNET = Standard("RFC 2544", (64, 128, 256, 512, 1024, 1280, 1518))  # section 9.1
# section 5.1.1, after RFC 5180
IPV6 = Standard("RFC 8219", (64, 128, 256, 512, 768, 1024, 1280, 1518, 1522, 2048, 4096, 8192, 9216))


@dataclass(frozen=True)
class Criteria:
    """How a run measures: seconds of a trial, the share of PDR, and the sizes: the standard's if none is named."""

    trial: float = TRIAL
    pdr: float = PDR
    sizes: tuple[int, ...] = ()

    def of(self, standard: Standard) -> tuple[int, ...]:
        return self.sizes or standard.sizes

    @property
    def words(self) -> str:
        """What is measured how, and where it is less than the RFCs ask for."""
        shorter = f", where RFC 2544 asks for {_TRIAL:g} s" if self.trial < _TRIAL else ""
        return (
            f"Sizes count {CHECKSUM} bytes of checksum. A trial takes {self.trial:g} s{shorter}; counters are read "
            f"{_WAIT:g} s after it, or as soon as all has come or nothing comes any more. NDR is the highest rate of "
            f"which no frame is lost, PDR of which at most {100 * self.pdr:g} % are, each within {100 * RESOLUTION:g} "
            f"%; what fails by {100 * DOUBT:g} % or less is tried once more. Frames that come later and later are in a "
            "queue that grows, and a longer trial would lose them: they count as lost. All is measured twice to "
            f"{MOST_TIMES} times, until it differs by {100 * SPREAD:g} % at the most, where RFC 2544 asks for "
            f"{_LATENCIES} times of latency and {_BURSTS} of bursts; figures are medians. The load is 100 % where it "
            "is all that this tester sends: a wire of software has no rate of its own, and ≥ is what may be more."
        )


def standard_of(subject: Subject) -> Standard:
    """RFC 8219's where the link's packets, or the packets in it, are IPv6; else RFC 2544's."""
    ends = [side.transport.receives_at() for side in (subject.near, subject.far) if side.transport is not None]
    outer = [at.address for at in ends if at is not None]
    inner = [address.partition("/")[0] for side in (subject.near, subject.far) for address in side.addresses]
    found = outer or inner
    return IPV6 if found and all(map(is_v6, found)) else ETHERNET


def fits(subject: Subject, size: int) -> bool:
    """Whether the link's MTU has room for a frame of this size."""
    return size - CHECKSUM <= subject.mtu + ETHERNET_HEADER
