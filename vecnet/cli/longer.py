"""vecnet loopback for longer than it takes to prove wires: measured by the book, and over and over for a time."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vecnet.cli.common import GuestName, ReportFile, once, require_guest, write_report
from vecnet.errors import InputError, Refused

if TYPE_CHECKING:
    from vecnet.columns import Line
    from vecnet.loopback.book.standards import Criteria
    from vecnet.loopback.subject import Subject
    from vecnet.loopback.verdict import Verdicts
    from vecnet.progress import Progress
    from vecnet.topology import Topology

    SpanType = click.ParamType[float]
else:
    SpanType = click.ParamType  # click takes a parameter there from 8.4 on

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORTEST_TRIAL, _LONGEST_TRIAL = 0.01, 3600.0  # seconds
_SIZES = click.IntRange(64, 9216)  # bytes of a frame


class Span(SpanType):
    """A time, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)", str(value))
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is no time; write it such as 500ms, 2s, 10m or 1h.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True)
class Longer:
    """What is asked for beyond proving once."""

    by_the_book: bool
    trial: float | None
    pdr: str | None
    sizes: tuple[int, ...]
    through: str | None
    svg: str | None
    span: float | None

    @property
    def name(self) -> str:
        """The option that asks for it; "" where none does."""
        return "--rfc2544" if self.by_the_book else "--for" if self.span is not None else ""

    def refuse(self, others: Sequence[str]) -> None:
        """Raise InputError where options do not go together; `others` are those of proving once that are given."""
        own: dict[str, object] = {
            "--trial": self.trial,
            "--pdr": self.pdr,
            "--size": self.sizes,
            "--through": self.through,
        }
        given = [option for option, value in {**own, "--svg": self.svg}.items() if value]
        if given and not self.by_the_book:
            raise InputError(f"{given[0]} is of measuring by the book", "give --rfc2544 as well")
        if self.by_the_book and self.span is not None:
            raise InputError("--rfc2544 measures once, and --for proves for a time", "give one of them")
        if others and self.name:
            raise InputError(f"{others[0]} does not go with {self.name}", "leave it out")

    def measure(
        self,
        name: str,
        subjects: Sequence[Subject],
        topology: Topology | None,
        links: Sequence[str],
        live: bool,
        progress: Progress,
    ) -> Verdicts:
        """Measure by the book: the subjects, or what is through a guest. Raises InputError, HostError."""
        from vecnet.loopback.book import measure
        from vecnet.loopback.book.through import subject_through

        criteria = self.criteria()
        if self.through is not None:
            if topology is None:
                raise InputError("--through goes with a topology, which says what links a guest has", "give a FILE")
            require_guest(topology, self.through)
            subjects = [subject_through(topology, self.through, links)]
        through = self.through or ""
        return measure(name, subjects, criteria, topology=topology, live=live, through=through, progress=progress)

    def soak(
        self,
        name: str,
        subjects: Sequence[Subject],
        topology: Topology | None,
        probes: Sequence[str],
        live: bool,
        jobs: int,
        progress: Progress,
    ) -> Verdicts:
        """Prove over and over. Raises InputError, HostError."""
        from vecnet.loopback.probes import MEASURED
        from vecnet.loopback.soak import soak

        assert self.span is not None
        if measured := [probe for probe in probes if probe in MEASURED]:
            raise InputError(f"--for measures nothing, and so no --probe {measured[0]}", "leave one of them out")
        return soak(
            name, subjects, self.span, topology=topology, probes=probes, live=live, jobs=jobs, progress=progress
        )

    def lines(self, report: Verdicts, verbose: bool, width: int | None) -> list[Line]:
        """The report for people."""
        from vecnet.loopback.book import table
        from vecnet.loopback.report import as_lines

        return table.as_lines(report, width) if self.by_the_book else as_lines(report, verbose=verbose, width=width)

    def draw(self, report: Verdicts) -> None:
        """The chart, where one is asked for. Raises HostError."""
        if self.svg is not None:
            from vecnet.loopback.book.chart import as_svg

            write_report(self.svg, as_svg(report))

    def criteria(self) -> Criteria:
        """How it is measured. Raises InputError."""
        from vecnet.expectation import Share
        from vecnet.loopback.book.standards import PDR, TRIAL, Criteria

        if self.trial is not None and not _SHORTEST_TRIAL <= self.trial <= _LONGEST_TRIAL:
            raise InputError(f"--trial {self.trial:g}s", "give 10ms to 1h")
        try:
            pdr = Share().parse(self.pdr) if self.pdr is not None else PDR
        except Refused as error:
            raise InputError(f"--pdr: {error.message}", error.instead) from None
        return Criteria(self.trial or TRIAL, pdr, tuple(sorted(set(self.sizes))))


_OPTIONS = (
    click.option(
        "--rfc2544", "by_the_book", is_flag=True, help="Measure by the book: throughput, latency, loss, bursts."
    ),
    once("--trial", type=Span(), metavar="TIME", help="… for so long a trial; 200ms if left out."),
    once("--pdr", metavar="SHARE", help="… with so much loss allowed for PDR; 0.5% if left out."),
    click.option(
        "--size", "sizes", type=_SIZES, multiple=True, help="… with frames of so many bytes; may be repeated."
    ),
    once("--through", type=GuestName("subject"), metavar="GUEST", help="… through this guest, which runs and bridges."),
    once("--svg", type=ReportFile(), metavar="F", help="… and draw a chart."),
    once("--for", "span", type=Span(), metavar="TIME", help="Prove over and over for so long: what drifts fails."),
)


def longer_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options, as the one argument `longer`."""

    @functools.wraps(command)
    def with_longer(
        *words: object,
        by_the_book: bool,
        trial: float | None,
        pdr: str | None,
        sizes: tuple[int, ...],
        through: str | None,
        svg: str | None,
        span: float | None,
        **rest: object,
    ) -> None:
        command(*words, longer=Longer(by_the_book, trial, pdr, sizes, through, svg, span), **rest)

    decorated: Callable[..., None] = with_longer
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
