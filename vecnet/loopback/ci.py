"""A report for machines that run tests: annotations of GitHub's Actions, and TAP.

Source: GitHub Docs, "Workflow commands for GitHub Actions", and actions/toolkit, core/src/command.ts, for what is
escaped; the Test Anything Protocol, version 14.
"""

from __future__ import annotations

import json

from vecnet.errors import Position
from vecnet.loopback.verdict import LinkReport, Result, Verdict, Verdicts


def as_github(report: Verdicts) -> str:
    """An annotation for each probe that failed, at its place in the topology's file, or that could not be tried."""
    lines = []
    for link in report.links:
        for result in link.results:
            if result.verdict is Verdict.FAIL:
                lines.append(_annotation("error", link, result))
            elif result.verdict is Verdict.UNTESTED and result.tried:
                lines.append(_annotation("warning", link, result))
    return "\n".join(lines)


def _annotation(kind: str, link: LinkReport, result: Result) -> str:
    where = result.where or link.where
    place = _place(where) if where is not None else []
    properties = [*place, f"title={_property(f'{link.link} {result.probe}')}"]
    codes = f" [{', '.join(result.codes)}]" if result.codes else ""
    return f"::{kind} {','.join(properties)}::{_data(result.reason + codes)}"


def _place(where: Position) -> list[str]:
    return [f"file={_property(where.file)}", f"line={where.line}", f"col={where.column}"]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_tap(report: Verdicts) -> str:
    """A test point for each probe. What could not be tried is not ok, and what a link does not have is skipped."""
    points = [(link, result) for link in report.links for result in link.results]
    lines = ["TAP version 14", f"1..{len(points)}"]
    for number, (link, result) in enumerate(points, start=1):
        ok = "ok" if result.verdict in (Verdict.PASS, Verdict.ABSENT) else "not ok"
        skip = f" # SKIP {_description(result.reason)}" if result.verdict is Verdict.ABSENT else ""
        lines.append(f"{ok} {number} - {_description(f'{link.link} {result.probe}')}{skip}")
        if ok != "ok":
            where = result.where or link.where
            told = {"verdict": str(result.verdict), "message": result.reason, "codes": list(result.codes)}
            place = {"at": str(where)} if where else {}
            block = [f"{key}: {json.dumps(value)}" for key, value in {**told, **place}.items()]  # JSON is YAML
            lines += [f"  {line}" for line in ("---", *block, "...")]
    return "\n".join(lines)


def _description(text: str) -> str:
    return text.replace("\\", "\\\\").replace("#", "\\#").replace("\n", " ")
