"""vecnet watch and Prometheus' format: of a real interface and a served switch, with frames that move.

web ── lan:web ══ lan:db ── db        lan:up ── tap-lan
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.command import environment
from tests.host.network import private_network
from tests.need import need_root
from tests.serving.test_serve import LAB, folder, guest, serving
from vecnet import host
from vecnet.cli.status import command as status
from vecnet.cli.watch import command as watch
from vecnet.datapath.port import Port
from vecnet.host.health import Report
from vecnet.observing import prometheus, rates
from vecnet.observing.state import State
from vecnet.plugging.report import DeviceState
from vecnet.serving.control import PortState
from vecnet.topology import load

__all__ = ["folder"]  # a fixture

WEB, DB = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
WIRE = ["rx/s", "tx/s", "rx", "bit/s", "tx", "bit/s", "drops/s", "drops"]
WITH_TAP = LAB + "  - {transport: tap, impair: loss 50%, endpoints: [lan:up, host:tap-lan]}\n"


@pytest.fixture
def lab(folder: Path) -> Iterator[Path]:
    """Up and served in a network of its own."""
    need_root()
    file = folder.parents[1] / "lab.yaml"
    file.write_text(WITH_TAP)
    with private_network():
        host.up(load(file))
        with serving(file):
            yield file


@contextmanager
def traffic(folder: Path) -> Iterator[None]:
    """web sends some thousand frames a second to db, who reads them."""
    stop = threading.Event()

    def send(web: Port, db: Port) -> None:
        while not stop.wait(0.01):
            web.send([DB + WEB + b"\x88\xb5" + bytes(50)] * 20)
            db.recv(0)

    with guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        db.send(WEB + DB + b"\x88\xb5" + bytes(50))
        thread = threading.Thread(target=send, args=(web, db))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_rates_are_shown_where_frames_move(lab: Path, folder: Path) -> None:
    with traffic(folder):
        done = CliRunner().invoke(watch, [str(lab), "--interval", "0.5", "--count", "2"], catch_exceptions=False)
        told = CliRunner().invoke(status, ["lab", "--format", "prometheus"], catch_exceptions=False)
    first, second, rest = done.stdout.split("\n\n")
    assert rest == ""
    for page in (first, second):
        title, *rows = page.splitlines()
        assert title.split() == ["topology", "link", "at", *WIRE, "state"]
        (web,) = [row for row in rows if " lan:web " in row]
        count = re.search(r"lan:web +([0-9.]+)(k?) ", web)
        assert count
        assert 200 < float(count[1]) * (1000 if count[2] else 1) < 4000
        (up,) = [row for row in rows if " lan:up " in row]
        assert "impaired: loss 50% seed 1" in up
        assert any(" tap-lan " in row and row.endswith("healthy") for row in rows)
    found = families(told.stdout)
    frames = {sample.labels["port"]: sample for sample in found["vecnet_port_receive_frames"].samples}
    assert frames["web"].value > 200
    assert frames["web"].name == "vecnet_port_receive_frames_total"
    assert found["vecnet_port_receive_frames"].type == "counter"
    assert found["vecnet_interface_healthy"].samples[0].labels["interface"] == "tap-lan"
    impaired = {sample.labels["port"]: sample.value for sample in found["vecnet_port_impaired"].samples}
    assert impaired == {"web": 0, "db": 0, "up": 1}


def terminal(lab: Path, columns: int, rows: int, **env: str) -> str:
    """What `vecnet watch` draws on a terminal of that size, until Ctrl-C."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "vecnet", "watch", str(lab), "--interval", "0.1"],
        stdin=follower,
        stdout=follower,
        stderr=subprocess.PIPE,
        env=environment(TERM="xterm", LINES="", **env),
    )
    os.close(follower)
    drawn, told = b"", False
    with suppress(OSError):  # the other end is closed
        while more := os.read(leader, 65536):
            drawn += more
            if drawn.count(b"drops/s") >= 3 and not told:
                process.send_signal(signal.SIGINT)
                told = True
    os.close(leader)
    assert process.stderr
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0
    return drawn.decode()


def test_a_terminal_of_any_size(lab: Path) -> None:
    wide = terminal(lab, 200, 50)
    assert "\x1b[1mtopology" in wide
    assert "\x1b[33mimpaired: loss 50% seed 1" in wide
    narrow = terminal(lab, 40, 12, NO_COLOR="1")
    assert "\x1b[33m" not in narrow
    assert "10 lines more than there is room for" in narrow
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", narrow)
    assert max(map(len, plain.replace("\r", "\n").split("\n"))) <= 40


def test_what_is_not_there_may_come(tmp_path: Path) -> None:
    need_root()
    with private_network():
        done = CliRunner().invoke(watch, ["nothing", "--interval", "0.1", "--count", "1"], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, "nothing of nothing is up here\n\n")


HOSTILE = 'a"b\\c\nd\udcff{}\x1b'


def report(rx: int, name: str = "t0") -> Report:
    return Report("lab", HOSTILE, name, "l2tp", None, False, "why", "", 1500, rx, 2, 3, 4, 5, 6, tunnel={"rx_oos": 7})


def test_labels_are_what_they_were(tmp_path: Path) -> None:
    port = PortState("lab", "lan", HOSTILE, "l", "", True, True, "", 1, {"rx_frames": 1 << 60, "rx_drop_key": 3}, "x")
    devices = [DeviceState("lab", "web", f"vec{unit}", "l", True, woken, "up") for unit, woken in enumerate([9, None])]
    text = prometheus.text(State([report(1)], [port], devices))
    found = families(text)
    clean = HOSTILE.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    assert found["vecnet_interface_receive_packets"].samples[0].labels["link"] == clean
    assert found["vecnet_interface_healthy"].samples[0].value == 0
    assert found["vecnet_tunnel_events"].samples[0].labels["event"] == "rx_oos"
    assert found["vecnet_port_receive_frames"].samples[0].value == 1 << 60
    drops = found["vecnet_port_drops"].samples[0]
    assert (drops.labels["cause"], drops.labels["port"], drops.value) == ("rx_key", clean, 3)
    assert [sample.value for sample in found["vecnet_device_up"].samples] == [1, 0]
    assert [sample.value for sample in found["vecnet_device_wakeups"].samples] == [9]
    assert all(family.documentation and family.type in ("counter", "gauge") for family in found.values())
    assert text.count("# TYPE") == text.count("# HELP") == len(found)
    assert prometheus.text(State([], [], [])) == ""


def test_what_is_made_anew_has_no_rate() -> None:
    before = State([report(100), report(5, "t1")], [], [], at=10.0)
    after = State([report(150), report(2, "t1"), report(7, "t2")], [], [], at=12.0)
    assert [wire.rx for wire in rates.wires(before, after)] == [25.0, None, None]
    assert [wire.rx_bits for wire in rates.wires(before, replace(after, at=10.0))] == [None, None, None]


def test_two_forms_at_once_are_refused() -> None:
    done = CliRunner().invoke(status, ["--json", "--format", "prometheus"])
    assert done.exit_code == 2
    assert "two forms of one answer" in done.stderr
