"""vecnet capture: a wire while it runs, at the host's interface and at a served switch's port.

a:vec0, played ── veth ══ host:v0                    web, db ── served switch lan
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.command import EXECUTABLE, environment
from tests.datapath.wires import receive, wait_for
from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from tests.serving.frames import guest
from tests.serving.test_serve import serving
from vecnet import Switch, host, load, open_port
from vecnet.capture.sink import Ring, Sink, create
from vecnet.cli.capture import command, judge
from vecnet.cli.extcap import command as extcap
from vecnet.datapath.capture import Captured, read_capture
from vecnet.datapath.port import Port
from vecnet.datapath.record import Recorder, record
from vecnet.errors import HostError, InputError, VecnetError
from vecnet.serving.control import Watched, states

LAB = """
name: lab
switches: {lan: }
links:
  - {transport: raw, endpoints: [a:vec0, host:v0]}
  - {transport: bess, endpoints: [web:vec0, lan:web]}
  - {transport: bess, endpoints: [db:vec0, lan:db]}
  - {transport: fd, endpoints: [a:vec1, web:vec1]}
"""
WEB, DB = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def frame(number: int, to: bytes = b"\xff" * 6, sender: bytes = WEB, size: int = 50) -> bytes:
    return to + sender + b"\x88\xb5" + number.to_bytes(4) * (size // 4)


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    need_root()
    need_command("tcpdump")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    with private_network():
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text(
            "1"
        )  # or the host has frames of its own to send
        yield file


def capture(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """`act` again and again in another thread, every 20 ms, since nobody tells that thread when a capture listens."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            act()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def at_the_host(lab: Path) -> Iterator[tuple[Port, socket.socket]]:
    """The guest's end of the raw link, played, and a packet socket at the host's."""
    topology = load(lab)
    host.up(topology)
    own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    own.bind(("v0", 0))
    with own, open_port(topology.devices("a")[0]) as port:
        yield port, own


@contextmanager
def on_the_switch(lab: Path) -> Iterator[tuple[Port, Port]]:
    """The two guests of the switch that is served."""
    folder = lab.parent / "vecnet" / "lab"
    with serving(lab), guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        wait_for(lambda: sum(one.connected for one in states("lab")) == 2)
        yield web, db


def read_by_tcpdump(file: Path) -> list[str]:
    done = subprocess.run(["tcpdump", "-n", "-e", "-r", file], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "ethertype" in line]


def packets(file: Path) -> list[Captured]:
    return list(read_capture(file))


def test_the_hosts_interface_both_ways(lab: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    tagged = frame(3)[:12] + b"\x81\x00\x00\x2a" + frame(3)[12:]
    with (
        at_the_host(lab) as (port, own),
        meanwhile(lambda: (port.send([frame(1)]), own.send(frame(2)), own.send(tagged))),
    ):
        done = capture(lab, "a:vec0", "-w", file, "--count", "6")
    assert done.exit_code == 0
    assert "capturing a:vec0--host:v0 at v0" in done.stderr
    assert "6 packets captured, 0 packets lost" in done.stderr
    found = packets(file)
    ways = {one.data[:70].rstrip(b"\0"): one.direction for one in found}
    assert ways == {frame(1): "in", frame(2): "out", tagged: "out"}
    assert len(found) == 6
    assert len(read_by_tcpdump(file)) == 6
    assert {one.interface_name for one in found} == {"v0"}
    now = time.time_ns()
    assert all(now - 60e9 < one.time <= now for one in found)


def test_a_switchs_port_with_what_it_dropped(lab: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    too_long = frame(9, size=4000)

    def talk() -> None:
        web.send([frame(1), frame(2, DB)])
        web.send([too_long])
        db.send([frame(3, WEB, DB)])

    with on_the_switch(lab) as (web, db), meanwhile(talk):
        done = capture(lab, "web:vec0--lan:web", "-w", file, "--count", "9")
    assert done.exit_code == 0, done.stderr
    assert "at lan:web" in done.stderr
    assert "9 packets captured, 0 packets lost" in done.stderr
    found = packets(file)
    inner = [one for one in found if one.interface_name == "web"]
    assert len(inner) == 9
    assert {(one.data, one.direction) for one in inner} == {
        (frame(1), "in"),
        (frame(2, DB), "in"),
        (frame(3, WEB, DB), "out"),
    }
    dropped = [one for one in found if one.interface_name == "web outer"]
    assert dropped
    assert {one.comment for one in dropped} == {
        "dropped: rx_drop_truncated"
    }  # and nothing that stands at `web` already
    assert read_by_tcpdump(file)


def test_a_pipe_whose_reader_has_had_enough(lab: Path) -> None:
    with at_the_host(lab) as (port, _), meanwhile(lambda: port.send([frame(1)])):
        capturing = subprocess.Popen(
            [sys.executable, "-m", "vecnet", "capture", str(lab), "host:v0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert capturing.stdout
        assert capturing.stderr
        with capturing.stdout, capturing.stderr:
            done = subprocess.run(
                ["tcpdump", "-n", "-r", "-", "-c", "3"], stdin=capturing.stdout, capture_output=True, check=True
            )
            capturing.stdout.close()
            assert capturing.wait(20) == 0
            assert b"packets captured, 0 packets lost" in capturing.stderr.read()
    assert done.stdout.count(b"ethertype") == 3


def test_an_end_by_time_and_by_the_interface(lab: Path, tmp_path: Path) -> None:
    with at_the_host(lab):
        assert capture(lab, "a:vec0", "-w", tmp_path / "none", "--seconds", "0.1").exit_code == 0
        assert packets(tmp_path / "none") == []
    gone = threading.Timer(0.5, lambda: ip("link", "delete", "v0"))
    gone.start()
    with pytest.raises(VecnetError, match="v0 is gone"):
        capture(lab, "a:vec0", "-w", tmp_path / "none")
    gone.join()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody:vec0",), "lab has no link 'nobody:vec0'"),
        (("a:vec1",), "is a wire between guests alone"),
        (("lan:web",), "nobody serves lab to this user"),
        (("host:v0",), "there is no interface v0"),
        (("host:v0", "tcp porrt 80"), "is no filter: can't parse filter expression: syntax error"),
        (("host:v0", "--files", "2"), "a ring of files needs --files, --size"),
        (("host:v0", "--size", "2", "--files", "2", "-w", "-"), "a ring of files needs --files, --size"),
    ],
)
def test_what_cannot_be_captured(lab: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(VecnetError, match=said):
        capture(lab, *words)


def test_a_filter_in_pcaps_language(lab: Path, tmp_path: Path) -> None:
    """Of what is dropped, too; a tagged frame's tag is where a filter looks for it."""
    file = tmp_path / "out.pcapng"
    tagged = frame(3)[:12] + b"\x81\x00\x00\x2a" + frame(3)[12:]
    with at_the_host(lab) as (port, own), meanwhile(lambda: (port.send([frame(1), frame(2)]), own.send(tagged))):
        words = ("-w", file, "--count", "3")
        assert capture(lab, "a:vec0", "ether proto 0x88b5 and ether[14:4] = 2", *words).exit_code == 0
        assert [one.data for one in packets(file)] == [frame(2)] * 3
        assert capture(lab, "a:vec0", "vlan 42", *words).exit_code == 0
        assert [one.data for one in packets(file)] == [tagged] * 3
    too_long = frame(9, size=4000)
    with on_the_switch(lab) as (web, _), meanwhile(lambda: web.send([frame(1), frame(2), too_long])):
        assert capture(lab, "lan:web", "ether[14:4] = 2 or ether[14:4] = 9", *words).exit_code == 0
    found = packets(file)
    assert [one.data for one in found if one.interface_name == "web"] == [frame(2)] * 3
    assert {one.comment for one in found if one.interface_name != "web"} <= {"dropped: rx_drop_truncated"}
    assert any(one.comment for one in found)


def test_wireshark_lists_the_wires_and_captures(lab: Path, tmp_path: Path) -> None:
    """The real tshark starts vecnet-extcap by itself."""
    need_command("tshark")
    (tmp_path / "extcap").mkdir()
    (tmp_path / "extcap" / "vecnet-extcap").symlink_to(EXECUTABLE.with_name("vecnet-extcap"))

    def tshark(*words: str) -> str:
        done = subprocess.run(["tshark", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # started by root it looks into no other folder; this one is the test's own, in its own namespace of mounts
    (place,) = re.findall(r"^Extcap path:\s+(\S+)", tshark("-G", "folders"), re.MULTILINE)
    subprocess.run(["mount", "--bind", tmp_path / "extcap", place], check=True)
    with on_the_switch(lab) as (web, _), at_the_host(lab) as (port, _):
        listed = tshark("-D")
        assert "vecnet-port:lab:lan:web (vecnet lab: web:vec0--lan:web at lan:web)" in listed
        wire = "vecnet-interface::v0:a%3Avec0--host%3Av0"
        assert f"{wire} (vecnet lab: a:vec0--host:v0 at v0)" in listed
        with meanwhile(lambda: (port.send([frame(1), frame(2)]), web.send([frame(4)]))):
            fields = ("-c", "3", "-T", "fields", "-e", "data.data")
            assert tshark("-i", wire, "-f", "ether[14:4] = 2", *fields).split() == [frame(2)[14:].hex()] * 3
            assert tshark("-i", "vecnet-port:lab:lan:web", *fields).split() == [frame(4)[14:].hex()] * 3


def test_what_extcap_refuses(tmp_path: Path) -> None:
    def asked(*words: str) -> str:
        return CliRunner().invoke(extcap, words, catch_exceptions=False).stdout

    assert asked("--extcap-interface", "x", "--extcap-capture-filter", "tcp port http") == ""
    assert "'tcp porrt 80' is no filter: can't parse" in asked("--extcap-capture-filter", "tcp porrt 80")
    assert asked("--extcap-interface", "x", "--extcap-config", "--of-a-later-version=4.2") == ""
    refused = {
        ("eth0", str(tmp_path / "none")): "there is no wire 'eth0'",
        ("vecnet-interface::lo:x", "/nowhere/none"): "/nowhere/none cannot be written",
        ("vecnet-port:lab:lan:web", str(tmp_path)): "nobody serves lab to this user",
    }
    for (wire, fifo), said in refused.items():
        with pytest.raises(VecnetError, match=said):
            asked("--capture", "--extcap-interface", wire, "--fifo", fifo)
    with pytest.raises(InputError, match="nothing is asked"):
        asked()


def test_a_port_is_captured_once_at_a_time_until_who_serves_ends(lab: Path, tmp_path: Path) -> None:
    with serving(lab) as process:
        first = Watched("lab", "lan", "web")
        with pytest.raises(HostError, match="it is recorded already; end the other capture first"):
            Watched("lab", "lan", "web")
        with pytest.raises(HostError, match="has no port nowhere"):
            Watched("lab", "lan", "nowhere")
        first.close()
        wait_for(lambda: capture(lab, "lan:web", "-w", tmp_path / "x", "--seconds", "0.1").exit_code == 0, 5)
        ends = threading.Timer(0.5, process.terminate)
        ends.start()
        done = capture(lab, "lan:web", "-w", tmp_path / "none")
        ends.join()
    assert done.exit_code == 0
    assert "0 packets captured, 0 packets lost" in done.stderr


def test_a_guest_that_never_came_leaves_a_capture_that_can_be_read(lab: Path, tmp_path: Path) -> None:
    with serving(lab):
        assert capture(lab, "lan:web", "-w", tmp_path / "none", "--seconds", "0.1").exit_code == 0
    assert read_by_tcpdump(tmp_path / "none") == []
    assert packets(tmp_path / "none") == []


def test_who_serves_is_killed(lab: Path, tmp_path: Path) -> None:
    """Then nobody tells what was lost, and the capture does not pass for whole."""
    with serving(lab) as process:
        ends = threading.Timer(0.5, process.kill)
        ends.start()
        with pytest.raises(HostError, match="lan:web: who served it has ended, and has not told what was lost"):
            capture(lab, "lan:web", "-w", tmp_path / "none")
        ends.join()


@pytest.mark.parametrize("size", [0, 1, 11, 1 << 30])
def test_what_is_no_pcapng_is_refused(tmp_path: Path, size: int) -> None:
    sink = Sink(create(str(tmp_path / "some")))
    with pytest.raises(HostError, match="what is captured is no pcapng"):
        sink.feed(pcapng(3) + struct.pack("=II", 6, size) + bytes(100))
    sink.close()


def test_a_filter_judges_packets_of_any_size(tmp_path: Path) -> None:
    section = struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    described = struct.pack("=IIHHII", 1, 20, 1, 0, 0, 20)

    def packet(size: int, told: int) -> bytes:
        room = size + -size % 4
        head = struct.pack("=IIIIIII", 6, 32 + room, 0, 0, 0, told, told)
        return head + bytes(room) + struct.pack("=I", 32 + room)

    with closing(judge("not arp")) as chosen, closing(Sink(create(str(tmp_path / "x")), chosen=chosen)) as sink:
        sink.feed(section + described)
        for size, told in ((0, 0), (0, 60), (60, 60), (60, 2**32 - 1), (600_000, 600_000)):
            sink.feed(packet(size, told))
        with pytest.raises(HostError, match="what is captured is no pcapng"):
            sink.feed(struct.pack("=IIII", 6, 16, 0, 16))


def test_the_switch_waits_for_no_reader() -> None:
    """Of 4000 frames none is lost on the wire; of those that the recording had no room for it knows the number."""
    ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    mine, theirs = socket.socketpair()
    with Switch() as lan, mine, theirs:
        for name, (_, inner) in zip("ab", ends, strict=True):
            lan.add(f"vec0:transport=fd,fd={inner.fileno()}", name=name)
        (one, _), (other, _) = ends
        with (
            open_port(f"vec0:transport=fd,fd={one.fileno()}") as a,
            open_port(f"vec0:transport=fd,fd={other.fileno()}") as b,
        ):
            b.send([frame(0, WEB, DB)])
            receive(a, 1)
            recorder = lan.record(os.dup(theirs.fileno()), "a")
            theirs.close()
            for batch in range(125):
                sent = [frame(32 * batch + number, DB, WEB, 1000) for number in range(32)]
                a.send(sent)
                assert receive(b, 32) == sent
            lost = recorder.lost
            data = bytearray()
            reader = threading.Thread(target=lambda: data.extend(b"".join(iter(lambda: mine.recv(1 << 20), b""))))
            reader.start()
            recorder.close()
            reader.join()
    for pair in ends:
        for end in pair:
            end.close()
    kept = Path("/run/kept.pcapng")  # of the test's own namespace
    kept.write_bytes(data)
    found = [one.data for one in read_capture(kept)]
    assert 0 < lost < 4000
    assert len(found) == 4000 - lost
    assert found[:100] == [frame(number, DB, WEB, 1000) for number in range(100)]


def test_a_lost_outer_packet_is_no_lost_frame() -> None:
    """A tunnel's port shows each frame and its outer packet: what is kept and what is lost are told of either."""
    string = "vec0:transport=l2tpv3,udp=1,src=127.0.0.{0},dst=127.0.0.{1},srcport=1701,dstport=1701"
    string += ",rx_session={0},tx_session={1}"
    mine, theirs = socket.socketpair()
    ip("link", "set", "lo", "up")
    with mine, theirs, open_port(string.format(1, 2)) as a, open_port(string.format(2, 1)) as b:
        recorder = Recorder(os.dup(theirs.fileno()))
        theirs.close()
        recorder.add(b)
        for batch in range(125):
            a.send([frame(32 * batch + number, DB, WEB, 1000) for number in range(32)])
            assert len(receive(b, 32)) == 32
        lost, outer_lost = recorder.lost, recorder.outer_lost
        data = bytearray()
        reader = threading.Thread(target=lambda: data.extend(b"".join(iter(lambda: mine.recv(1 << 20), b""))))
        reader.start()
        recorder.close()
        reader.join()
    Path("/run/kept.pcapng").write_bytes(data)  # of the test's own namespace
    sides = [one.interface % 2 for one in read_capture(Path("/run/kept.pcapng"))]
    assert 0 < lost < 4000
    assert (sides.count(0), sides.count(1)) == (4000 - lost, 4000 - outer_lost)


def pcapng(count: int) -> bytes:
    """A capture of so many frames, as our own recorder writes it."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, open_port(f"vec0:transport=fd,fd={near.fileno()}") as port, record("/run/whole.pcapng", port):
        for number in range(count):
            port.send([frame(number, size=1000)])
            far.recv(2000)
    return Path("/run/whole.pcapng").read_bytes()


def test_a_ring_of_files_keeps_the_newest(tmp_path: Path) -> None:
    ring = Ring(str(tmp_path / "lab.pcapng"), 3, 20_000)
    whole = pcapng(100)
    for at in range(0, len(whole), 700):  # pieces of blocks
        ring.feed(whole[at : at + 700])
    ring.close()
    files = sorted(tmp_path.glob("*.pcapng"))
    assert len(files) == 3
    assert files[0].name != "lab-00001.pcapng"
    assert ring.packets == 100
    assert all(file.stat().st_size <= 20_000 for file in files[:-1])
    newest = [one.data for file in files for one in read_capture(file) if not one.interface_name.endswith("outer")]
    assert newest == [frame(number, size=1000) for number in range(100 - len(newest), 100)]
    assert len(newest) > 15


def test_a_sink_takes_no_more_than_it_shall(tmp_path: Path) -> None:
    sink = Sink(create(str(tmp_path / "some")), 7)
    sink.feed(pcapng(100))
    sink.close()
    assert sink.full
    assert len([one for one in read_capture(tmp_path / "some") if not one.interface_name.endswith("outer")]) == 7
