"""What a topology expects of its links, and what was measured before: judged, and named at its place in the file.

::

    the test's own network namespace
    a, b │ gre 127.0.0.5 ── 127.0.0.6, of which nftables drops every tenth packet
    web  │ t0
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.network import private_network
from tests.need import need_command, need_root
from vecnet import host
from vecnet.errors import InputError, Position
from vecnet.expectation import Expected
from vecnet.loopback import Verdict, Verdicts, baseline, prove
from vecnet.loopback.ci import as_github, as_tap
from vecnet.loopback.report import as_json
from vecnet.loopback.subject import of_topology
from vecnet.loopback.verdict import LinkReport, Result
from vecnet.topology import loads

LOSSY = """name: lossy
links:
  - transport: gre
    expect: {{loss: {0}}}
    endpoints: {{a:vec0: {{local: 127.0.0.5}}, b:vec0: {{local: 127.0.0.6}}}}
"""
DROPS = (
    "add table inet s; add chain inet s in { type filter hook input priority 0; }; "
    "add rule inet s in ip protocol gre numgen inc mod 10 0 drop"
)
TAP = """name: fast
defaults: {expect: {loss: 0}}
links:
  - transport: tap
    expect:
      burst: 64
      throughput: 900G
      latency_p50: 10s
    endpoints: [web:vec0, host:t0]
"""
HERE = Position("lab.yaml", 7, 3)


def test_a_loss_is_judged_by_what_is_expected() -> None:
    need_root()
    need_command("nft")
    found = {}
    with private_network():
        host.prepare_sandbox(loads(LOSSY.format(0)))
        subprocess.run(["nft", DROPS], check=True)
        for loss in ("0", "5%", "15%"):
            topology = loads(LOSSY.format(loss), path="lab.yaml")
            (link,) = prove("lossy", of_topology(topology), topology=topology, probes=["frames"]).links
            found[loss] = link.results[1]
    assert found["15%"].verdict is Verdict.PASS
    assert 0.05 < found["15%"].figures["loss_share"] < 0.15
    for loss in ("0", "5%"):
        assert found[loss].verdict is Verdict.FAIL
        assert f"%, and {loss} is expected in lab.yaml:4:20" in found[loss].reason
        assert found[loss].where == Position("lab.yaml", 4, 20)
        assert "a packet filter may drop them: nftables, inet s in" in found[loss].reason, "it is looked into, too"


def test_what_is_missed_is_named_and_a_run_before_is_held_against_this_one(tmp_path: Path) -> None:
    need_root()
    topology = loads(TAP, path="lab.yaml")
    probes = ["frames", "burst", "latency", "throughput"]

    def run(before: baseline.Baseline | None = None) -> dict[str, Result]:
        (link,) = prove("fast", of_topology(topology), topology=topology, probes=probes, baseline=before).links
        return {result.probe: result for result in link.results}

    with private_network():
        host.up(topology)
        first = run()
        (file := tmp_path / "report.json").write_text(
            as_json(Verdicts("fast", (LinkReport("web:vec0--host:t0", "tap", tuple(first.values())),)))
        )
        report = json.loads(file.read_text())
        latency = next(one for one in report["links"][0]["probes"] if one["probe"] == "latency")
        latency["figures"] = {name: value / 1000 for name, value in latency["figures"].items()}
        (better := tmp_path / "better.json").write_text(json.dumps(report))
        worse = run(baseline.read(str(better)))
    failed = [probe for probe, result in first.items() if result.verdict is not Verdict.PASS]
    assert failed == ["throughput"]
    assert "and 900G is expected in lab.yaml:7:19" in first["throughput"].reason
    assert first["throughput"].figures["mbit_per_s_out_high"] > first["throughput"].figures["mbit_per_s_out_low"]
    assert worse["latency"].verdict is Verdict.FAIL
    assert worse["latency"].reason.startswith("p50_us is ")
    assert " in the run before" in worse["latency"].reason


@pytest.mark.parametrize(
    ("now", "then", "is_worse"),
    [
        ((10, 12), (10, 12), False),
        ((13, 15), (8, 12), False),  # beyond the spread, and by less than a quarter
        ((16, 20), (8, 12), True),
        ((11, 90), (8, 12), False),  # they overlap
        ((1, 2), (8, 12), False),
    ],
)
@pytest.mark.parametrize("name", ["p99_us", "mbit_per_s_in"])
def test_worse_is_what_lies_beyond_both_spreads(
    name: str, now: tuple[float, float], then: tuple[float, float], is_worse: bool
) -> None:
    def figures(span: tuple[float, float]) -> dict[str, float]:
        low, high = span if name == "p99_us" else (1000 / span[1], 1000 / span[0])  # the more, the better
        return {name: low, f"{name}_low": low, f"{name}_high": high}

    assert bool(baseline.Before(True, figures(then)).worse(figures(now))) is is_worse
    assert not baseline.Before(False, figures(then)).worse(figures(now)), "what failed is no measure"
    assert not baseline.Before(True, {}).worse(figures(now))


@pytest.mark.parametrize(
    "text",
    [
        '{"links": [{"link": "a", "probes": [{"probe": "b", "verdict": "pass", "figures": {"us": 1%s}}]}]}'
        % ("0" * 400),
        "",
        "[]",
        "{}",
        '{"links": [{"link": 1}]}',
        '{"links": 3}',
        "[" * 100_000,
        '{"links": [["x"]]}',
        "\0",
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "report.json").write_text(text)
    with pytest.raises(InputError, match="it is no report of vecnet loopback; give a file that"):
        baseline.read(str(file))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        baseline.read(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("key", "text", "probe", "figures", "sentence"),
    [
        ("loss", "0", "frames", {"loss_share": 0.0}, ""),
        ("loss", "1%", "frames", {"loss_share": 0.0125}, "loss is 1.2%, and 1% is expected in lab.yaml:7:3"),
        ("latency_p99", "2ms", "latency", {"p99_us": 2000.0}, ""),
        ("latency_p99", "2ms", "latency", {"p99_us": 2500.0}, "latency_p99 is 2.5ms, and 2ms is expected"),
        ("latency_p99", "2ms", "frames", {"p99_us": 2500.0}, ""),
        ("throughput", "1G", "throughput", {"mbit_per_s_out": 1000.0, "mbit_per_s_in": 999.0}, "throughput is 999M"),
        ("throughput", "1G", "tcp", {"mbit_per_s": 1.0}, ""),
        ("throughput", "1G", "outside tcp", {"mbit_per_s": 1.0}, "throughput is 1M, and 1G is expected"),
        ("burst", "64", "burst", {"frames_out": 64, "frames_in": 32}, "burst is 32, and 64 is expected"),
    ],
)
def test_the_worst_figure_counts(key: str, text: str, probe: str, figures: dict[str, float], sentence: str) -> None:
    missed = Expected(key, text, HERE).missed(probe, figures)
    assert missed.startswith(sentence) if sentence else not missed


NASTY = Verdicts(
    "lab",
    (
        LinkReport(
            "a:vec0--b:vec0",
            "gre",
            (
                Result("open", Verdict.PASS, "both ends open"),
                Result("frames", Verdict.FAIL, "100% lost, # of 5: all"),
                Result("latency", Verdict.FAIL, "slow", where=Position("a,b:c%.yaml", 2, 9)),
                Result("ping", Verdict.UNTESTED, "no right"),
                Result("tcp", Verdict.UNTESTED, "not tried, since ping came to: untested", tried=False),
                Result("impair", Verdict.ABSENT, "none # declared \\"),
            ),
            where=HERE,
        ),
    ),
)


def test_annotations_are_escaped_and_have_their_place() -> None:
    assert as_github(NASTY).splitlines() == [
        "::error file=lab.yaml,line=7,col=3,title=a%3Avec0--b%3Avec0 frames::100%25 lost, # of 5: all",
        "::error file=a%2Cb%3Ac%25.yaml,line=2,col=9,title=a%3Avec0--b%3Avec0 latency::slow",
        "::warning file=lab.yaml,line=7,col=3,title=a%3Avec0--b%3Avec0 ping::no right",
    ]


def test_tap_counts_every_probe() -> None:
    lines = as_tap(NASTY).splitlines()
    assert lines[:4] == [
        "TAP version 14",
        "1..6",
        "ok 1 - a:vec0--b:vec0 open",
        "not ok 2 - a:vec0--b:vec0 frames",
    ]
    assert '  message: "100% lost, # of 5: all"' in lines
    assert '  at: "a,b:c%.yaml:2:9"' in lines
    assert sum(line.startswith("not ok") for line in lines) == 4
    assert lines[-1] == "ok 6 - a:vec0--b:vec0 impair # SKIP none \\# declared \\\\"


def test_an_expectation_that_is_missed_fails_in_pytest_too(tmp_path: Path) -> None:
    need_root()
    (file := tmp_path / "lab.yaml").write_text(TAP)
    words = ["-p", "no:cacheprovider", "-k", "throughput or frames", "--vecnet", str(file)]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert f"900G is expected in {file}:7:19" in done.stdout.replace("\n", "")
