"""vecnet bench: that it measures what it says. How fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.need import need_command, need_root
from tests.test_launch import vecnet
from vecnet.bench.report import as_svg, as_text
from vecnet.bench.result import Report, Result, Stream
from vecnet.bench.wires import TRANSPORTS

RESULT = Result("gre", "transmit", "bare loop", 1000, (100.0, 200.0, 400.0), (50.0, 210.0, 410.0))


def test_the_median_of_the_pairs_counts() -> None:
    assert RESULT.nanoseconds == 200
    assert RESULT.ratio == pytest.approx(410 / 400)
    assert RESULT.packets_per_second == pytest.approx(5e6)
    assert RESULT.bits_per_second == pytest.approx(40e9)
    low, high = RESULT.spread
    assert low < RESULT.ratio < high
    single = Result("gre", "transmit", "bare loop", 64, (100.0,), (50.0,))
    assert single.spread == (0.5, 0.5)
    assert Stream("raw", "forward", "bridge", (2e9, 4e9), (4e9, 4e9)).ratio == 0.75


def test_table_and_chart_show_every_figure() -> None:
    report = Report("a machine", [RESULT])
    line = next(line for line in as_text(report).splitlines() if line.startswith("gre"))
    assert line.split()[:7] == ["gre", "transmit", "1000", "200", "5.00", "40.00", "bare"]
    assert line.endswith("> 3")
    chart = ElementTree.fromstring(as_svg(report))
    texts = [element.text for element in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert "gre, transmit, 1000 bytes" in texts


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport_is_measured(transport: str, tmp_path: Path) -> None:
    need_root()
    chart = tmp_path / "chart.svg"
    done = vecnet(
        "bench", "-t", transport, "--runs", "1", "--length", "64", "--no-guest", "--json", "-", "--svg", str(chart)
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    measured = {(one["what"], one["reference"]) for one in results}
    floor = {(what, "bare loop") for what in ("transmit", "receive", "forward", "echo p50", "echo p99")}
    assert measured >= floor | {("Port.send", "loop in C"), ("Port.recv", "loop in C")}
    assert (("port to port", "bare loop") in measured) == transport.startswith("l2tpv3 udp")
    assert (("Port.send", "Scapy") in measured) == (transport == "raw")
    assert all(one["ns"] > 0 and one["reference_ns"] > 0 for one in results)
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")


@pytest.mark.uml
@pytest.mark.parametrize("transport", ["tap", "l2tpv3 udp"])
def test_a_real_guest_is_measured(transport: str) -> None:
    need_root()
    need_command("linux.uml")
    done = vecnet("bench", "-t", transport, "--runs", "1", "--length", "64", "--json", "-", timeout=120)
    assert done.returncode == 0, done.stderr
    guest = [one for one in json.loads(done.stdout)["results"] if one["reference"] == "a real guest"]
    assert [(one["what"], one["length_bytes"]) for one in guest] == [("transmit", 64)]
    assert guest[0]["reference_ns"] < 1e6  # a thousand packets a second, at the very least


def test_an_unknown_transport_is_an_input_error() -> None:
    done = vecnet("bench", "-t", "smoke")
    assert done.returncode == 2
    assert "there are tap, hybrid, raw" in done.stderr


STREAM = """
from vecnet import sandbox
sandbox.enter()
from vecnet.bench import stream
for one in stream.streams(1):
    print(one.transport, one.ours[0] > 0, one.theirs[0] > 0)
"""


def test_streams_cross_forward_and_the_bridge() -> None:
    need_root()
    need_command("ip", "nsenter", "unshare")
    done = subprocess.run([sys.executable, "-c", STREAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["tap True True", "hybrid True True", "raw True True"]
