"""What the probes found: plain data, which the reports print.

Verdicts ── one LinkReport a link ── one Result a probe
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from vecnet.errors import KernelLacksError, PermissionMissing, Position, ResourceMissing
from vecnet.loopback.codes import Code
from vecnet.text import shown

_LONGEST = 4000  # characters of a reason, which is a diagnosis of many sentences
LOW, HIGH = "_low", "_high"  # after a figure's name: the extremes of the pieces that it was measured in
BRIDGE = "bridge"  # in the place of a report's transport: it is of a bridge, from member to member
SOAK = "soak"  # … of what was watched while the probes were tried over and over
EXIT_UNTESTED = 3  # nothing failed, and not everything could be tested
EXIT_INTERRUPTED = 130  # 128 and SIGINT, as a shell gives it


class Verdict(StrEnum):
    """Of a probe, of a link, of all links."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNTESTED = "untested"  # it should have been tested and could not be
    ABSENT = "n/a"  # this wire has no such thing: no inner addresses, say


@dataclass(frozen=True)
class Result:
    """One probe on one link. `reason` is a sentence, fit to be shown; `figures` are what it measured, each unit in its
    name; `tried` is False where an earlier probe's verdict left nothing to find out. Up to `beside` other links were
    probed meanwhile. `at_first`: why it failed at first, where it passed when it was tried again. `where`: what is not
    as a file says, in that file. `codes`: the kinds of what failed, and of what was found of its causes."""

    probe: str
    verdict: Verdict
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    tried: bool = True
    beside: int = 0
    where: Position | None = None
    codes: tuple[Code, ...] = ()
    at_first: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", shown(self.reason, _LONGEST))

    def as_json(self) -> dict[str, object]:
        return {
            "probe": self.probe,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "codes": list(self.codes),
            "figures": dict(self.figures),
            "seconds": round(self.seconds, 3),
            "beside": self.beside,
            "at_first": self.at_first or None,
            "where": str(self.where) if self.where else None,
        }


def worst(verdicts: list[Verdict]) -> Verdict:
    """One failure fails all. If nothing was tested, that is not a pass."""
    for verdict in (Verdict.FAIL, Verdict.UNTESTED, Verdict.PASS):
        if verdict in verdicts:
            return verdict
    return Verdict.UNTESTED


@dataclass(frozen=True)
class LinkReport:
    """One link, with the results in the order of the probes."""

    link: str
    transport: str
    results: tuple[Result, ...]
    far_end: str = ""  # what the other end was: the host, or something simulated
    note: str = ""  # a sentence for people about it
    where: Position | None = None  # of the link, in the topology's file
    hosts: tuple[str, ...] = ()  # those that its ends are on, where the topology names hosts

    @property
    def label(self) -> str:
        """The link, and where it is."""
        return f"{self.link} ({' to '.join(self.hosts)})" if self.hosts else self.link

    @property
    def verdict(self) -> Verdict:
        return worst([result.verdict for result in self.results])

    @property
    def reason(self) -> str:
        """The first sentence that says why the verdict is what it is."""
        return next((result.reason for result in self.results if result.verdict is self.verdict), "nothing was tested")

    def as_json(self) -> dict[str, object]:
        return {
            "link": self.link,
            **({"hosts": list(self.hosts)} if self.hosts else {}),
            "transport": self.transport,
            "far_end": self.far_end,
            "where": str(self.where) if self.where else None,
            "verdict": str(self.verdict),
            "probes": [result.as_json() for result in self.results],
        }


@dataclass(frozen=True)
class Verdicts:
    """All links under the name of their topology. `note` is what must be known of how they were tested; `interrupted`:
    there was more to be tested."""

    name: str
    links: tuple[LinkReport, ...]
    note: str = ""
    interrupted: bool = False

    @property
    def verdict(self) -> Verdict:
        return worst([link.verdict for link in self.links])

    @property
    def exit_code(self) -> int:
        """0 only if every link was tested and passed."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(self.verdict, EXIT_UNTESTED)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "verdict": str(self.verdict),
            **({"note": self.note} if self.note else {}),
            **({"interrupted": True} if self.interrupted else {}),
            "links": [link.as_json() for link in self.links],
        }


def lacks(error: BaseException | None) -> bool:
    """Whether the tester's own machine lacks what it takes to test: a right, a device, a descriptor, memory."""
    if isinstance(error, (PermissionMissing, ResourceMissing, KernelLacksError)):
        return True
    short = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return short or (error is not None and lacks(error.__cause__ or error.__context__))


class Outcome(Exception):
    """What ends a probe: a verdict and the sentence for it."""

    verdict = Verdict.FAIL
    codes: tuple[Code, ...] = ()
    figures: Mapping[str, float] = MappingProxyType({})
    where: Position | None = None


class Failed(Outcome):
    """The wire does not do what it should: the kinds of failure, the sentence, what was measured all the same, and the
    place in a file that says otherwise."""

    def __init__(
        self,
        codes: Code | Iterable[Code],
        reason: str,
        figures: Mapping[str, float] | None = None,
        where: Position | None = None,
    ) -> None:
        super().__init__(reason)
        self.codes = (codes,) if isinstance(codes, Code) else tuple(dict.fromkeys(codes))
        self.figures, self.where = figures or {}, where


class Untested(Outcome):
    """It could not be found out."""

    verdict = Verdict.UNTESTED


class Absent(Outcome):
    """This wire has no such thing."""

    verdict = Verdict.ABSENT
