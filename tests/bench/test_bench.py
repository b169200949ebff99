"""vecnet bench: that it measures what it says. How fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.host.network import host_state, ip, private_network
from tests.need import need_command, need_root
from tests.test_launch import vecnet
from vecnet import host
from vecnet.bench import guests, settings, switch
from vecnet.bench.chart import as_svg
from vecnet.bench.commands import PAIRS, Links
from vecnet.bench.figures import PACKETS, Booted, Cost, Figure, Figures, Spent, Stream, Task
from vecnet.bench.loads import LARGE, large, segments
from vecnet.bench.table import as_lines
from vecnet.bench.wires import samples
from vecnet.columns import plain
from vecnet.topology import load
from vecnet.transports.base import VNET_HEADER

RESULT = Figure(
    "gre",
    "transmit",
    "bare loop",
    1000,
    (Cost(100.0, 90.0), Cost(200.0, 190.0), Cost(400.0, 390.0)),
    (Cost(50.0, 40.0), Cost(210.0), Cost(410.0, 400.0)),
)
STREAM = Stream("gre", "iperf3", "a real guest", (2e9, 4e9), (4e9, 4e9))
TASK = Task("down", "ip link del, each", 4096, (Spent(2.0, 40_000), Spent(4.0, 50_000)), (Spent(10.0, 8_000),) * 2)
BOOTED = Booted("7.2.1", "gre", "depth=256", PACKETS, (30e3, 20e3), (20e3, 20e3))
REPORT = Figures("a machine", 128, [RESULT], [STREAM], [TASK], [BOOTED], ["7.2.1, gre, gro=1: nothing came"])
FLOOR = {"transmit", "receive", "forward", "echo p50", "echo p99"}


def test_the_median_of_the_pairs_counts() -> None:
    assert RESULT.nanoseconds == 200
    assert RESULT.processor_nanoseconds == 190
    assert RESULT.reference_processor_nanoseconds == 220  # of the runs that know it
    assert RESULT.ratio == pytest.approx(410 / 400)
    assert RESULT.packets_per_second == pytest.approx(5e6)
    assert RESULT.bits_per_second == pytest.approx(40e9)
    low, high = RESULT.spread
    assert low < RESULT.ratio < high
    single = Figure("gre", "transmit", "bare loop", 64, (Cost(100.0),), (Cost(50.0),))
    assert single.spread == (0.5, 0.5)
    assert single.processor_nanoseconds is None
    assert STREAM.ratio == 0.75
    assert STREAM.spread == (0.625, 0.875)
    assert (TASK.seconds, TASK.reference_seconds, TASK.kilobytes) == (3.0, 10.0, 50_000)  # memory at its highest
    assert TASK.ratio == 3.75


def test_the_tables_show_every_figure() -> None:
    lines = [line.split() for line in plain(as_lines(REPORT)).splitlines()]
    assert ["gre", "40.00", "3.00", "4.00", ">", "3"] in lines  # next to the HOWTO's: transmit, iperf3, the guest's
    floor = [
        "gre",
        "transmit",
        "1000",
        "200",
        "190",
        "5.00",
        "40.00",
        "bare",
        "loop",
        "210",
        "220",
        "1.02",
        "0.76–1.04",
    ]
    assert floor in lines
    assert ["gre", "iperf3", "3.00", "a", "real", "guest", "4.00", "0.75", "0.62–0.88"] in lines
    made = ["4096", "down", "3.000", "50", "ip", "link", "del,", "each", "10.000", "8", "3.75", "3.12–4.38"]
    assert made in lines
    assert ["7.2.1", "gre", "depth=256", "25.0", "1.25", "1.12–1.38", ">", "3"] in lines
    assert ["not", "measured:", "7.2.1,", "gre,", "gro=1:", "nothing", "came"] in lines


def test_the_chart_shows_every_ratio_to_the_floor() -> None:
    texts = [element.text for element in ElementTree.fromstring(as_svg(REPORT)).iter() if element.tag.endswith("text")]
    assert {"gre", "transmit", "1000 bytes", "1.02"} <= set(texts)


def test_a_large_frame_is_what_tcp_segmentation_offload_makes() -> None:
    assert LARGE == 65226
    for mtu in (1500, 1438):
        packet = Ether(large(mtu)[VNET_HEADER:])
        assert len(packet[IP]) == packet[IP].len <= 65535
        assert len(packet[TCP].payload) == segments(mtu) * (mtu - 52)
        sum_given = packet[IP].chksum
        del packet[IP].chksum
        assert Ether(bytes(packet))[IP].chksum == sum_given


def _bench(*words: str, timeout: float = 60) -> dict[str, Any]:
    done = vecnet("bench", "--quick", "--json", "-", *words, timeout=timeout)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    for one in report["results"]:
        latency = one["what"].startswith("echo")
        most = 1e9 if latency else 1e7  # nanoseconds they are; one of few echoes may wait for a processor
        assert 1 < one["ns"] < most, one
        assert 1 < one["reference_ns"] < most, one
        assert latency or one["processor_ns"] > 0, one
        assert latency or one["reference_processor_ns"] > 0, one
        if not latency:
            assert one["packets_per_s"] == pytest.approx(1e9 / one["ns"], rel=0.1)
            assert one["bits_per_s"] == pytest.approx(8 * one["length_bytes"] * one["packets_per_s"], rel=0.01)
        assert one["ratio_quartiles"][0] <= one["ratio"] <= one["ratio_quartiles"][1]
        assert one["runs"] == 1
    return report


@pytest.mark.parametrize("transport", samples())
def test_every_transport_is_measured(transport: str, tmp_path: Path) -> None:
    need_root()
    chart = tmp_path / "chart.svg"
    report = _bench("-t", transport, "--no-guest", "--no-streams", "--no-making", "--svg", str(chart))
    assert report["depth"] == 128
    measured = {(one["what"], one["reference"], one["length_bytes"]) for one in report["results"]}
    for length in (64, 512, 1400):
        here = {(what, reference) for what, reference, bytes_ in measured if bytes_ == length}
        expected = {(what, "bare loop") for what in FLOOR}
        expected |= {(f"Port.{way}", other) for way in ("send", "recv") for other in ("bare loop", "loop in C")}
        expected.add(("async for", "Port.recv"))
        if transport in ("l2tpv3 udp", "l2tpv3 udp v6"):
            expected |= {("port to port", "bare loop")}
        if transport == "raw":
            expected |= {
                (f"Port.{way}", other) for way in ("send", "recv") for other in ("Scapy", "Python socket loop")
            }
        assert here == expected
    whole = {what for what, _, length in measured if length == LARGE}
    assert whole == ({"transmit", "receive", "forward"} if transport in ("tap", "hybrid", "raw") else set())
    assert any(what == "cut and transmit" for what, _, _ in measured) == (transport not in ("tap", "hybrid", "raw"))
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")


def test_the_switch_is_measured() -> None:
    need_root()
    need_command("vde_switch", "uml_switch")
    report = _bench("--switch", "--no-streams", "--no-making")
    found = {(one["what"], one["reference"]) for one in report["results"]}
    more = {(f"{count} ports", "2 ports") for count in switch.PORTS}
    more |= {(f"2 ports{which}", "2 ports") for which in (", one captured", " beside a hostile one")}
    assert found == {*more, *(("2 ports", other) for other in ("forward", *switch.OTHERS))}
    assert {one["length_bytes"] for one in report["results"]} == {*switch.LENGTHS}


def test_the_keys_of_the_json_are_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs/speed.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert documented == {*REPORT.as_json(), *RESULT.as_json(), *STREAM.as_json(), *TASK.as_json(), *BOOTED.as_json()}


@pytest.mark.uml
@pytest.mark.parametrize(
    "transport", ["tap", *(pytest.param(one, marks=pytest.mark.long) for one in ("l2tpv3 udp", "fd", "bess"))]
)
def test_a_real_guest_is_measured(transport: str) -> None:
    need_root()
    need_command(guests.KERNEL, "iperf3", "ip", "nsenter", "unshare")
    report = _bench("-t", transport, "--length", "64", "--no-gso", "--no-streams", timeout=120)
    guest = [one for one in report["results"] if one["reference"] == "a real guest"]
    assert [(one["what"], one["length_bytes"]) for one in guest] == [("transmit", 64)]
    assert [(one["what"], one["reference"]) for one in report["streams"]] == [("iperf3", "a real guest")]
    assert 1e6 < report["streams"][0]["bits_per_s"] < 1e12
    assert 1e6 < report["streams"][0]["reference_bits_per_s"] < 1e12


@pytest.mark.uml
@pytest.mark.long
def test_a_guests_tcp_through_the_switch() -> None:
    need_root()
    need_command(guests.KERNEL, "iperf3", "ip", "nsenter", "unshare")
    report = _bench("--switch", "--no-making", timeout=300)
    found = [one for one in report["streams"] if one["reference"] == "a guest on a tap"]
    assert [(one["transport"], one["what"]) for one in found] == [
        ("raw", f"a guest's TCP {way} through the switch") for way in ("out", "in")
    ]
    for one in found:
        assert 1e6 < one["bits_per_s"] < 1e12
        assert 1e6 < one["reference_bits_per_s"] < 1e12


@pytest.mark.uml
def test_a_real_guest_is_measured_with_other_settings() -> None:
    need_root()
    need_command(guests.KERNEL, "iperf3", "ip", "unshare")
    report = _bench("--kernel", guests.KERNEL, "-t", "bess", "--vary", "mtu", timeout=200)
    assert report["unmeasured"] == []
    names = (settings.CHOSEN, "mtu=9000")
    found = [(one["transport"], one["setting"], one["what"]) for one in report["guests"]]
    assert found == [("bess", name, what) for name in names for what in ("TCP out", "TCP in", "packets")]
    for one in report["guests"]:
        least, most = (100, 1e7) if one["what"] == "packets" else (1e6, 1e12)
        assert least < one["rate"] < most, one
    assert {one["ratio"] for one in report["guests"] if one["setting"] == settings.CHOSEN} == {1.0}


def test_every_setting_is_a_link_of_its_own() -> None:
    varied = {name: settings.of(name, ("depth", "gro", "mtu", "pinned")) for name in samples()}
    links = settings.topology(varied, "/tmp").links
    assert len(links) == sum(map(len, varied.values())) == 8 * len(samples())
    strings = {link.name: str(link.devices[0]) for link in links}
    assert "gro" not in strings["tap-gro-0"]
    assert ",gro=1" in strings["tap-as-chosen"]
    assert ",gro=1" in strings["gre-gro-1"]
    assert "gro" not in strings["gre-as-chosen"]
    assert ",depth=1024" in strings["bess-depth-1024"]
    assert "depth" not in strings["bess-as-chosen"]
    assert ",mtu=9000" in strings["l2tpv3-udp-v6-mtu-9000"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--kernel", "/bin/nowhere"], "there is no kernel '/bin/nowhere' that can be run"),
        (["--kernel", "/bin/false"], "/bin/false is not the kernel of a guest that runs here"),
        (["--vary", "mtu"], "give --kernel ./linux, too"),
    ],
)
def test_what_cannot_be_measured_of_guests_is_an_input_error(words: list[str], told: str) -> None:
    done = vecnet("bench", *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_unknown_transport_is_an_input_error() -> None:
    done = vecnet("bench", "-t", "smoke")
    assert done.returncode == 2
    assert "there are bess, fd, gre, gre v6, hybrid" in done.stderr


def _made() -> list[dict[str, object]]:
    """What is there, but for what the marks say of where and how it was made: `ip` knows neither."""
    return [one | {"ifalias": str(one.get("ifalias")).partition(" home=")[0]} for one in host_state(numbers=False)]


def test_ip_makes_what_up_makes(tmp_path: Path) -> None:
    need_root()
    need_command("ip")
    with private_network():
        links = Links.of(tmp_path, 4)
        host.up(load(links.file))
        made = _made()
        host.down("bench-making")
        for order in (links.make, zip(*links.make, strict=True)):
            batch = tmp_path / "batch"
            batch.write_text("\n".join(line for lines in order for line in lines))
            ip("-batch", str(batch))
            assert _made() == made
            assert host.plan(load(links.file)).steps == ()
            host.down("bench-making")


@pytest.mark.long
def test_making_wires_is_measured() -> None:
    need_root()
    need_command("ip", "nsenter", "unshare")
    report = _bench("-t", "raw", "--length", "64", "--no-gso", "--no-guest", "--no-streams")
    assert [(one["what"], one["reference"], one["links"]) for one in report["tasks"]] == [
        *((what, reference, 8) for what, reference in PAIRS),
        ("--version", "import yaml", 4),
        ("args", "import yaml", 4),
    ]
    for one in report["tasks"]:
        assert 0.0005 < one["seconds"] < 60, one
        assert 0.0005 < one["reference_seconds"] < 60, one
        assert 1_000 < one["reference_peak_kb"] < 500_000, one
        assert 10_000 < one["peak_kb"] < 500_000, one  # a Python's


STREAMS = """
from vecnet import sandbox
sandbox.enter()
from vecnet.bench import QUICK, streams
for transport in ("tap", "hybrid", "raw"):
    one = streams.stream(transport, QUICK)
    print(one.transport, one.ours[0] > 0, one.theirs[0] > 0)
"""


def test_streams_cross_forward_and_the_bridge() -> None:
    need_root()
    need_command("ip", "nsenter", "unshare")
    done = subprocess.run([sys.executable, "-c", STREAMS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["tap True True", "hybrid True True", "raw True True"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_no_file(number: signal.Signals, tmp_path: Path) -> None:
    need_root()
    need_command("ip", "nsenter", "unshare", "setpriv")
    narrow = ["-t", "tap", "--length", "64", "--no-gso", "--no-guest", "--no-making", "--runs", "1"]
    words = [sys.executable, "-m", "vecnet", "bench", *narrow]
    with subprocess.Popen(words, env=os.environ | {"TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL) as bench:
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        while len(pids := children.read_text().split()) < 4:  # two namespaces, and a stream between them
            assert bench.poll() is None
            time.sleep(0.01)
        bench.send_signal(number)
        assert bench.wait(60) == (130 if number is signal.SIGINT else -number)
    end = time.monotonic() + 20
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def _runs(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_quick_run_says_what_it_takes() -> None:
    need_root()
    done = vecnet("bench", "--quick", "-t", "fd", "--length", "64", "--no-gso", "--no-guest", "--json", "-")
    assert done.stderr.splitlines()[0] == "this takes about 1 s"
