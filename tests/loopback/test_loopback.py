"""vecnet loopback as people use it: over the example topologies, over strings, its reports and exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.host.network import private_network
from tests.need import need_root
from tests.test_launch import vecnet
from vecnet import host
from vecnet.datapath.capture import read_capture
from vecnet.loopback.nursery import Nursery
from vecnet.loopback.report import as_junit, as_markdown, as_text
from vecnet.loopback.verdict import LinkReport, Result, Verdict, Verdicts
from vecnet.topology import load

TOPOLOGIES = sorted(Path("topologies").glob("*.yaml"))
TUNNELS = {"gretap", "ip6gretap", "l2tpv3-udp", "l2tpv3-ip"}  # need a kernel with tunnels: tests/kernel
OUTSIDE = {"vde", "existing"}  # need what is there: test_vde.py, and below
HOSTS = {"two-hosts", "three-hosts"}  # name several machines: test_hosts.py
PLAYED = [path for path in TOPOLOGIES if path.stem not in TUNNELS | OUTSIDE | HOSTS]
LOOPBACK = (sys.executable, "-m", "vecnet", "loopback")


def in_sandbox(topology: Path, *words: str, string: str = "") -> Any:
    need_root()
    return vecnet("sandbox", topology, "--", *LOOPBACK, string or topology, *words)


@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_every_example_passes(path: Path) -> None:
    done = in_sandbox(path, "--json", "-")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    topology = load(path)
    names = [link.name for link in topology.links]
    assert [link["link"] for link in report["links"]][: len(names)] == names
    assert {link["link"] for link in report["links"][len(names) :]} <= {bridge.ifname for bridge in topology.bridges}
    for link in report["links"][: len(names)]:
        assert link["verdict"] == "pass"
        if "outside:" in link["link"]:
            continue  # has probes of its own, test_served.py
        probes = {probe["probe"]: probe for probe in link["probes"]}
        for name in ("open", "frames", "mtu", "burst", "latency", "throughput"):
            assert probes[name]["verdict"] == "pass", probes[name]
        stacks = "pass" if path.stem != "bess" else "n/a"  # nobody has a stack behind a bare socket
        assert probes["ping"]["verdict"] == probes["tcp"]["verdict"] == stacks


def test_what_is_beyond_an_interface_that_exists_is_no_pass() -> None:
    """A bridge that exists has a stand-in in a sandbox, which is proved; who knows what is beyond a network card."""
    done = in_sandbox(Path("topologies/existing.yaml"), "-p", "frames")
    assert done.returncode == 3, done.stdout + done.stderr
    verdicts = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert verdicts[:3] == ["PASS", "PASS", "UNTESTED"]
    assert "vecnet cannot play what is beyond nic-two, the other end of a raw link" in done.stdout


def test_a_device_elsewhere_is_played_in_a_sandbox_alone_and_called_simulated(tmp_path: Path) -> None:
    example = Path("topologies/elsewhere.yaml")
    done = in_sandbox(example, "-p", "frames", "--json", "-")
    (link,) = json.loads(done.stdout)["links"]
    assert (done.returncode, link["verdict"], link["far_end"]) == (0, "pass", "a simulated twin")
    words = in_sandbox(example, "-p", "frames").stdout
    assert "far end: a simulated twin, and not the one that the guest will meet\n" in words
    with private_network():
        subprocess.run(
            "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip route add 203.0.113.9 dev lo", shell=True
        )
        real = vecnet("loopback", example, "--json", "-")
    (link,) = json.loads(real.stdout)["links"]
    assert (real.returncode, link["verdict"], link["far_end"]) == (3, "untested", "elsewhere:router")
    assert link["probes"][0]["reason"].startswith(
        "elsewhere:router, at 203.0.113.9, is not this machine: the wire ends"
    )


def test_one_link_one_probe_in_words(tmp_path: Path) -> None:
    done = in_sandbox(Path("topologies/lab.yaml"), "--link", "app:vec2--db:vec1", "-p", "open", "-p", "mtu", "-v")
    assert done.returncode == 0
    assert done.stdout.startswith("PASS     app:vec2--db:vec1  gre     ✓ open ✓ mtu\n")
    assert "mtu: 1500 bytes pass both ways, with a VLAN's tag too; one more" in done.stdout
    assert done.stdout.endswith("lab: 1 of 1 links pass\n")


def test_a_topology_that_is_not_up_fails_and_says_so(tmp_path: Path) -> None:
    topology = tmp_path / "down.yaml"
    topology.write_text("name: d\nlinks: [{transport: tap, endpoints: ['a:vec0', 'host:vecnet-none0']}]")
    done = vecnet("loopback", topology)
    assert done.returncode == 1
    missing = "there is no interface vecnet-none0 in this network namespace; make it with: vecnet up"
    assert f"open: {missing}. vecnet-none0 is not there: run vecnet up [not-opened, missing]\n" in done.stdout


@pytest.mark.parametrize("requests", [0, 1, 2])
def test_an_agent_whose_starter_is_gone_ends_without_a_word(requests: int, capfd: pytest.CaptureFixture[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with Nursery() as nursery:
        with ours:  # which is closed before there is an answer
            with theirs:
                pid = nursery.start(theirs, None, private=False)
            for _ in range(requests):
                ours.send(b'{"do": "listen", "address": "127.0.0.1", "interface": "lo"}')
        end = time.monotonic() + 60
        while Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.01)
    assert capfd.readouterr() == ("", "")


def below(process: int) -> dict[int, list[str]]:
    """All processes below one, with their words."""
    parents, words = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid = int(stat.parent.name)
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
            if state != "Z":
                parents[pid] = int(parent)
                words[pid] = (stat.parent / "cmdline").read_text().split("\0")
    found = {process}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: words[pid] for pid in found - {process}}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_shows_no_traceback_and_nothing_outlives_a_kill(tmp_path: Path, number: signal.Signals) -> None:
    need_root()
    ends = (
        "'a:vec{0}': {{local: 127.0.{0}.2, ip: 10.{0}.0.1/24}}, 'b:vec{0}': {{local: 127.0.{0}.3, ip: 10.{0}.0.2/24}}"
    )
    links = [f"{{transport: gre, endpoints: {{{ends.format(number)}}}}}" for number in range(3)]
    (file := tmp_path / "lab.yaml").write_text(f"name: i\nlinks: [{', '.join(links)}]")
    with private_network(), contextlib.ExitStack() as stack:
        host.prepare_sandbox(load(file))
        loopback = stack.enter_context(
            subprocess.Popen([*LOOPBACK, str(file)], stderr=subprocess.PIPE, start_new_session=True)
        )
        # the nursery, and three links' agents or two
        while (
            len(found := [pid for pid, words in below(loopback.pid).items() if "vecnet.loopback.nursery" in words]) < 5
        ):
            assert loopback.poll() is None
            time.sleep(0.005)
        os.killpg(loopback.pid, number)  # as a terminal does
        _, said = loopback.communicate(timeout=60)
    assert said.decode().strip() == ("interrupted" if number is signal.SIGINT else "")
    end = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_may_not_be_tested_is_its_own_verdict(tmp_path: Path) -> None:
    need_root()
    topology = tmp_path / "gre.yaml"
    topology.write_text(
        "name: g\nlinks: [{transport: gre, endpoints: {'a:vec0': {local: 127.0.0.2}, 'b:vec0': {local: 127.0.0.3}}}]"
    )
    unprivileged = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *LOOPBACK, topology)
    done = vecnet("sandbox", topology, "--", *unprivileged)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "UNTESTED" in done.stdout
    assert "CAP_NET_RAW" in done.stdout


def test_strings_with_a_peer_and_mirrored(tmp_path: Path) -> None:
    need_root()
    empty = tmp_path / "empty.yaml"
    empty.write_text("name: e\nlinks: [{transport: fd, endpoints: ['a:vec0', 'b:vec0']}]")
    one = "vec0:transport=gre,src=127.0.0.2,dst=127.0.0.3,rx_key=1,tx_key=2"
    other = "vec0:transport=gre,src=127.0.0.3,dst=127.0.0.2,rx_key=2,tx_key={}"
    assert vecnet("sandbox", empty, "--", *LOOPBACK, one, "--mirror", "-p", "frames").returncode == 0
    assert vecnet("sandbox", empty, "--", *LOOPBACK, one, "--peer", other.format(1), "-p", "frames").returncode == 0
    wrong = vecnet("sandbox", empty, "--", *LOOPBACK, one, "--peer", other.format(3), "-p", "frames")
    assert wrong.returncode == 1
    assert "the sender sends key 3, this string expects 1" in wrong.stdout
    tap = (
        "sh",
        "-c",
        f"ip tuntap add tap0 mode tap vnet_hdr; ip link set tap0 up; {shlex.join(LOOPBACK)} -p frames $0",
    )
    assert vecnet("sandbox", empty, "--", *tap, "vec0:transport=tap,ifname=tap0").returncode == 0
    assert (
        vecnet(
            "sandbox", empty, "--", *LOOPBACK, f"vec0:transport=bess,dst={tmp_path}/switch", "-p", "frames"
        ).returncode
        == 0
    )


@pytest.mark.parametrize("in_there", [False, True])
@pytest.mark.parametrize("listens", [False, True])
def test_a_switch_that_someone_else_runs_is_looked_at_and_not_touched(
    tmp_path: Path, listens: bool, in_there: bool
) -> None:
    path = str(tmp_path / "switch")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as switch:
        switch.bind(path)
        if listens:
            switch.listen(0)
        words = ("loopback", f"vec0:transport=bess,dst={path}")
        for _ in range(2):  # a queue of one connection would be full
            done = in_sandbox(Path("topologies/fd.yaml"), string=words[1]) if in_there else vecnet(*words)
            assert done.returncode == 3, done.stdout + done.stderr
            seen = "another program listens" if listens else "another program has bound"
            hidden = "a socket is there, maybe of a program in a network namespace that cannot be looked into"
            assert (hidden if in_there else seen) in done.stdout
        switch.setblocking(False)
        with pytest.raises(BlockingIOError if listens else OSError):
            switch.accept()
        assert Path(path).is_socket()


def test_the_socket_of_a_switch_that_has_ended_is_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "switch")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as switch:
        switch.bind(path)
    done = vecnet("loopback", f"vec0:transport=bess,dst={path}", "-p", "frames")
    assert done.returncode == 0, done.stdout
    assert "far end: a simulated switch" in done.stdout


def test_the_packets_of_what_fails_are_kept(tmp_path: Path) -> None:
    need_root()
    empty = tmp_path / "empty.yaml"
    empty.write_text("name: e\nlinks: [{transport: fd, endpoints: ['a:vec0', 'b:vec0']}]")
    captures = tmp_path / "captures"
    one = "vec0:transport=gre,src=127.0.0.2,dst=127.0.0.3,rx_key=1,tx_key=2"
    other = "vec0:transport=gre,src=127.0.0.3,dst=127.0.0.2,rx_key=2,tx_key=7"
    words = ("-p", "frames", "--pcap", str(captures))
    assert vecnet("sandbox", empty, "--", *LOOPBACK, one, "--peer", other, *words).returncode == 1
    (capture,) = captures.iterdir()
    assert capture.name == "vec0--peer-frames.pcapng"
    packets = list(read_capture(capture))
    assert any(packet.comment == "dropped: rx_drop_key" for packet in packets)
    capture.unlink()
    assert vecnet("sandbox", empty, "--", *LOOPBACK, one, "--mirror", *words).returncode == 0
    assert list(captures.iterdir()) == []
    assert vecnet("loopback", one, "--mirror", "--pcap", "/dev/null/x").returncode == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["vec0:transport=gre,src=127.0.0.2,dst=127.0.0.3"], "give --peer or --mirror"),
        (["vec0:transport=gre,src=127.0.0.2"], "dst"),
        (["vec0:transport=raw,ifname=v0", "--mirror"], "a raw wire does not end at another string; give a topology"),
        (["vec0:transport=tap,ifname=t", "--mirror"], "a tap wire does not end at another string; leave --mirror out"),
        (["vec0:transport=bess,dst=/s", "--mirror"], "a bess wire does not end at another string; leave"),
        (["topologies/tap.yaml", "--mirror"], "--peer and --mirror go with a vec string"),
        (["topologies/tap.yaml", "--probe", "smell"], "the probes are open, frames, mtu"),
        (["topologies/tap.yaml", "--link", "none"], "has no link 'none'"),
        (["no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_wrong_words_are_input_errors(words: list[str], sentence: str) -> None:
    done = vecnet("loopback", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


REPORT = Verdicts(
    "lab",
    (
        LinkReport("a--b", "gre", (Result("open", Verdict.PASS, "both ends open", {"x": 1.0}, 0.25),)),
        LinkReport(
            "c--d",
            "tap",
            (Result("open", Verdict.PASS, "fine"), Result("frames", Verdict.FAIL, "no <frame> came & more")),
        ),
        LinkReport("e--f", "raw", (Result("open", Verdict.UNTESTED, "needs CAP_NET_RAW"),)),
        LinkReport("g--h", "fd", (Result("open", Verdict.PASS, "fine"), Result("ping", Verdict.ABSENT, "no address"))),
    ),
)


def test_junit_says_what_failed_and_what_could_not_be_tested() -> None:
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(as_junit(REPORT))}
    assert {
        name: (s.get("tests"), s.get("failures"), s.get("errors"), s.get("skipped")) for name, s in suites.items()
    } == {
        "a--b": ("1", "0", "0", "0"),
        "c--d": ("2", "1", "0", "0"),
        "e--f": ("1", "0", "1", "0"),
        "g--h": ("2", "0", "0", "1"),
    }
    failure = suites["c--d"].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "no <frame> came & more"


def test_markdown_and_text_name_what_is_wrong() -> None:
    markdown = as_markdown(REPORT)
    assert markdown.startswith("## lab: 2 of 4 links pass, 1 fail, 1 could not be tested\n")
    assert "| c--d | tap | **fail** | ✓ | ✗ |  |" in markdown
    assert "- **c--d**, frames: no <frame> came & more" in markdown
    text = as_text(REPORT)
    assert "         open: needs CAP_NET_RAW" in text
    assert "fine" not in text
    assert "fine" in as_text(REPORT, verbose=True)


def test_exit_codes() -> None:
    by_name = {link.link: link for link in REPORT.links}
    assert Verdicts("r", (by_name["a--b"], by_name["g--h"])).exit_code == 0
    assert Verdicts("r", (by_name["a--b"], by_name["e--f"])).exit_code == 3
    assert REPORT.exit_code == 1
    assert Verdicts("r", ()).exit_code == 3
    assert Verdicts("r", (LinkReport("x", "gre", ()),)).exit_code == 3


def test_reports_are_written_to_files(tmp_path: Path) -> None:
    files = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "markdown")}
    words = [word for form, file in files.items() for word in (f"--{form}", str(file))]
    done = in_sandbox(Path("topologies/fd.yaml"), "-p", "frames", *words)
    assert done.returncode == 0
    assert json.loads(files["json"].read_text())["verdict"] == "pass"
    assert ElementTree.parse(files["junit"]).getroot().tag == "testsuites"
    assert files["markdown"].read_text().startswith("## fd: 1 of 1 links pass")
