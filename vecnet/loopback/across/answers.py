"""What an agent answers to its requests, each as its method in agent.py gives it. What is not so makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vecnet.loopback.codes import Code
from vecnet.loopback.diagnose import Finding
from vecnet.loopback.sniff import Outer
from vecnet.loopback.verdict import LinkReport, Verdict


@dataclass(frozen=True)
class Greeting:
    """Comes unasked: the agent's version."""

    vecnet: str


@dataclass(frozen=True)
class Wrong:
    """In the place of any of the others."""

    error: str
    verdict: Verdict = Verdict.UNTESTED
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True)
class Proved:
    links: tuple[LinkReport, ...]


@dataclass(frozen=True)
class Opened:
    mac: bytes


@dataclass(frozen=True)
class Taken:
    taken: int


@dataclass(frozen=True)
class Counted:
    stats: Mapping[str, int]


@dataclass(frozen=True)
class Joined:
    interface: str


@dataclass(frozen=True)
class Pinged:
    seconds: float


@dataclass(frozen=True)
class Listening:
    port: int


@dataclass(frozen=True)
class RoundTrips:
    us: tuple[float, ...]


@dataclass(frozen=True)
class Sniffed:
    outers: tuple[Outer, ...]


@dataclass(frozen=True)
class Looked:
    found: tuple[Finding, ...]
    filters: tuple[Finding, ...]


@dataclass(frozen=True)
class Way:
    mtu: int  # 0 where there is no way
    unanswered: bool
