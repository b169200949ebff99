"""A report as text: a table for people, JSON, JUnit XML for CI servers, Markdown for a CI summary."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from vecnet.columns import Line, Styled, grouped, paragraph, plain
from vecnet.loopback.ci import as_github, as_tap
from vecnet.loopback.verdict import SOAK, LinkReport, Result, Verdict, Verdicts

_SIGNS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.UNTESTED: "?", Verdict.ABSENT: "·"}
_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNTESTED: "yellow", Verdict.ABSENT: None}
_INDENT = " " * 9  # of a reason


def as_json(report: Verdicts) -> str:
    return json.dumps(report.as_json(), indent=2)


def as_text(report: Verdicts, *, verbose: bool = False) -> str:
    """`as_lines`, without colours and as wide as it takes."""
    return plain(as_lines(report, verbose=verbose))


def as_lines(report: Verdicts, *, verbose: bool = False, width: int | None = None) -> list[Line]:
    """One line a link with a sign for each probe; below it what is wrong or was not tested, or all of it.

    Lines fit `width`, in columns of a terminal.
    """
    if not report.links:
        return [f"{report.name}: no links"]
    rows = [
        (
            (f"{link.verdict.upper():8}", link.label),
            f"{link.transport:6}",
            [Styled(f"{_SIGNS[result.verdict]} {result.probe}", _COLOURS[result.verdict]) for result in link.results],
        )
        for link in report.links
    ]
    lines: list[Line] = []
    for link, row in zip(report.links, grouped(rows, width), strict=True):
        lines += row
        if link.note:
            lines += paragraph(link.note, width, indent=_INDENT)
        for result in link.results:
            if verbose or link.transport == SOAK or _worth_saying(link, result):
                lines += paragraph(f"{result.probe}: {_told(result)}", width, indent=_INDENT)
    return [*lines, *paragraph(summary(report), width), *(paragraph(report.note, width) if report.note else [])]


def _told(result: Result) -> str:
    """The reason, with the codes that `vecnet explain` explains."""
    return f"{result.reason} [{', '.join(result.codes)}]" if result.codes else result.reason


def _worth_saying(link: LinkReport, result: Result) -> bool:
    if result.verdict is Verdict.UNTESTED:
        return link.verdict is not Verdict.FAIL and result.tried
    return result.verdict is Verdict.FAIL


def summary(report: Verdicts) -> str:
    """One line: how many passed, failed, could not be tested."""
    count = {verdict: sum(link.verdict is verdict for link in report.links) for verdict in Verdict}
    parts = [f"{count[Verdict.PASS]} of {len(report.links)} links pass"]
    if count[Verdict.FAIL]:
        parts.append(f"{count[Verdict.FAIL]} fail")
    if count[Verdict.UNTESTED]:
        parts.append(f"{count[Verdict.UNTESTED]} could not be tested")
    return f"{report.name}: {', '.join(parts)}"


def as_junit(report: Verdicts) -> str:
    """JUnit XML: a suite a link, a case a probe. What could not be tested is an error, never a skip."""
    suites = ElementTree.Element("testsuites", name=f"vecnet loopback {report.name}")
    for link in report.links:
        verdicts = [result.verdict for result in link.results]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=link.link,
            tests=str(len(verdicts)),
            failures=str(verdicts.count(Verdict.FAIL)),
            errors=str(verdicts.count(Verdict.UNTESTED)),
            skipped=str(verdicts.count(Verdict.ABSENT)),
            time=f"{sum(result.seconds for result in link.results):.3f}",
        )
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="far end", value=link.far_end)
        for host in link.hosts:
            ElementTree.SubElement(properties, "property", name="host", value=host)
        for result in link.results:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"{report.name}.{link.link}",
                name=result.probe,
                time=f"{result.seconds:.3f}",
            )
            kind = {Verdict.FAIL: "failure", Verdict.UNTESTED: "error", Verdict.ABSENT: "skipped"}.get(result.verdict)
            if kind:
                told = ElementTree.SubElement(case, kind, message=result.reason)
                told.text = result.reason
                if result.codes:
                    told.set("type", " ".join(result.codes))
            else:
                ElementTree.SubElement(case, "system-out").text = result.reason
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def as_markdown(report: Verdicts) -> str:
    """A table with a row a link and a column a probe, and the reasons below it."""
    probes = list(dict.fromkeys(result.probe for link in report.links for result in link.results))
    rows = [["link", "transport", "verdict", *probes]]
    for link in report.links:
        by_probe = {result.probe: result for result in link.results}
        signs = [_SIGNS[by_probe[probe].verdict] if probe in by_probe else "" for probe in probes]
        rows.append([link.label, link.transport, f"**{link.verdict}**", *signs])
    lines = [f"## {summary(report)}", ""]
    lines += ["| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])]
    notes = [f"- **{link.label}**, {link.note}" for link in report.links if link.note]
    reasons = [
        f"- **{link.label}**, {result.probe}: {_told(result)}"
        for link in report.links
        for result in link.results
        if _worth_saying(link, result)
    ]
    told = ["", report.note] if report.note else []
    return "\n".join([*lines, *([""] if notes or reasons else []), *notes, *reasons, *told]) + "\n"


WRITERS = {"json": as_json, "junit": as_junit, "markdown": as_markdown, "github": as_github, "tap": as_tap}
