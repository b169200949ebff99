"""What became worse than in a run before, whose report in JSON was kept.

    vecnet loopback lab.yaml --json good.json
    vecnet loopback lab.yaml --baseline good.json

A figure that is measured in pieces has its spread beside it: `p99_us_low` and `p99_us_high` of `p99_us`. It is worse
where the best piece now is worse than the worst one was then, by a quarter: so much differs from run to run by itself.
What seems worse is measured again, twice. A probe that passed then, and that the link does not have any more, is worse,
too. Links that one of the runs lacks are not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vecnet.errors import InputError
from vecnet.loopback.verdict import HIGH, LOW, Verdict
from vecnet.plain import Senseless, parsed

_AT_MOST = ("_us", "_ms")  # at the end of the names of figures that are better the smaller they are
_LEAST = 1.25  # times worse


@dataclass(frozen=True)
class Before:
    """What a probe came to."""

    passed: bool
    figures: Mapping[str, float]

    def worse(self, now: Mapping[str, float]) -> list[str]:
        """A sentence for each figure that is worse now."""
        then = self.figures if self.passed else {}
        return [
            f"{name} is {_span(now, name)}, and was {_span(then, name)} in the run before"
            for name in now
            if _is_worse(name, now, then)
        ]


Baseline = Mapping[tuple[str, str], Before]  # by link and probe


def read(path: str) -> Baseline:
    """The results in a report. Raises InputError."""
    try:
        report = parsed(_Report, Path(path).read_bytes(), more=True)
    except OSError as error:
        raise InputError(f"--baseline {path}: it cannot be read: {error.strerror}") from None
    except Senseless:
        instead = "give a file that `vecnet loopback --json` has written"
        raise InputError(f"--baseline {path}: it is no report of vecnet loopback", instead) from None
    return {
        (link.link, found.probe): Before(found.verdict is Verdict.PASS, found.figures)
        for link in report.links
        for found in link.probes
    }


@dataclass(frozen=True)
class _Probe:
    probe: str
    verdict: Verdict
    figures: Mapping[str, float]


@dataclass(frozen=True)
class _Link:
    link: str
    probes: tuple[_Probe, ...]


@dataclass(frozen=True)
class _Report:
    links: tuple[_Link, ...]


def _is_worse(name: str, now: Mapping[str, float], then: Mapping[str, float]) -> bool:
    low, high = name + LOW, name + HIGH
    if not {low, high} <= now.keys() & then.keys():
        return False
    return now[low] > then[high] * _LEAST if name.endswith(_AT_MOST) else now[high] * _LEAST < then[low]


def _span(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name + LOW]:.4g} to {figures[name + HIGH]:.4g}"
