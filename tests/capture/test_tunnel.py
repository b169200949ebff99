"""vecnet capture at a tunnel: its packets are heard where the host carries them, and the frames in them are written.

a:vec0, b:vec0, played ══ tunnel over lo          a:vec0, played ── host:t0, the kernel's gretap
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result

from tests.capture.test_capture import capture, frame, meanwhile, packets, read_by_tcpdump
from tests.datapath.wires import wait_for
from tests.host.network import ip, private_network, within
from tests.need import need, need_command, need_root
from vecnet import host, load, open_port
from vecnet.capture.move import move
from vecnet.capture.sink import Sink, create
from vecnet.capture.source import source
from vecnet.datapath.port import Port
from vecnet.errors import VecnetError
from vecnet.kernel.namespaces import Namespaces
from vecnet.kernel.rtnl import is_reached
from vecnet.vecstring import VecDevice

V4 = "endpoints: {'a:vec0': {local: 127.0.0.1}, 'b:vec0': {local: 127.0.0.2}}"
V6 = "endpoints: {'a:vec0': {local: 'fd00::1'}, 'b:vec0': {local: 'fd00::2'}}"
# each link, and a packet of it that b sends and a drops for the cause: bytes between IP, or UDP, and the frame
TUNNELS = {
    "gre": (f"transport: gre, {V4}", "30006558 00000000 00000001", "rx_drop_flags"),
    "gre key": (f"transport: gre, key: on, sequence: on, {V4}", "30006558 00000007 00000001", "rx_drop_key"),
    "gre v6": (f"transport: gre, key: on, {V6}", "20006558", "rx_drop_short"),
    "l2tpv3 udp": (
        f"transport: l2tpv3, cookie: 64, counter: on, {V4}",
        "00030000 00000007" + "00" * 12,
        "rx_drop_cookie",
    ),
    "l2tpv3 udp v6": (f"transport: l2tpv3, {V6}", "00030000 00000007", "rx_drop_session"),
    "l2tpv3 ip": (f"transport: l2tpv3, encap: ip, cookie: 32, {V4}", "00000007 00000007", "rx_drop_cookie"),
}


@pytest.fixture(autouse=True)
def network(tmp_path: Path) -> Iterator[None]:
    need_root()
    need_command("tcpdump")
    with private_network():
        ip("link", "set", "lo", "up")
        for number in (1, 2):
            ip("address", "add", f"fd00::{number}/128", "dev", "lo", "nodad")
        with Namespaces() as namespaces:
            wait_for(lambda: all(is_reached(namespaces[None], f"fd00::{number}") for number in (1, 2)))
        yield


def lab(folder: Path, *links: str) -> Path:
    file = folder / "lab.yaml"
    file.write_text("name: lab\nlinks:\n" + "".join(f"  - {{{link}}}\n" for link in links))
    return file


@contextmanager
def played(file: Path) -> Iterator[tuple[Port, Port]]:
    """Both guests of the first link."""
    near, far = (device for device in load(file).links[0].devices if device is not None)
    with open_port(near) as one, open_port(far) as other:
        yield one, other


@contextmanager
def forger(file: Path) -> Iterator[Callable[[bytes], object]]:
    """Sends bytes as the second end of the first link does, from its address; over UDP from another port of it."""
    here, there = (options.receives_at() for options in load(file).links[0].options)
    assert here is not None
    assert there is not None
    family = socket.AF_INET6 if ":" in here.address else socket.AF_INET
    udp = here.port is not None
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_RAW, 0 if udp else here.protocol) as opened:
        opened.bind((there.address, 0))
        yield lambda data: opened.sendto(data, (here.address, here.port or 0))


def tshark(file: Path, *fields: str) -> list[list[str]]:
    words = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", file, "-T", "fields", *words],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def told(done: Result) -> str:
    assert done.exit_code == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("name", TUNNELS)
def test_frames_of_a_tunnel_between_guests_and_what_an_end_drops(name: str, tmp_path: Path) -> None:
    """Many frames in one call, too, which over UDP the kernel moves as one packet; another tunnel's are not shown."""
    link, header, cause = TUNNELS[name]
    neighbour = re.sub(r"vec0", "vec1", link)
    file = lab(tmp_path, link, *([neighbour] if name != "gre" else []))
    one, two, three = frame(1), frame(2), [frame(number, size=200) for number in range(3, 6)]
    out = tmp_path / "out.pcapng"
    another = load(file).links[-1].devices[0]
    assert another is not None
    with played(file) as (a, b), forger(file) as forge, open_port(another) as other:

        def talk() -> None:
            a.send([one])
            other.send([frame(99)]) if name != "gre" else None
            forge(bytes.fromhex(header) + (b"" if cause == "rx_drop_short" else frame(9)))
            b.send([two])
            a.send(three)

        with meanwhile(talk):
            said = told(capture(file, "a:vec0", "-w", out, "--count", "25"))
    assert "capturing a:vec0--b:vec0 at lo" in said
    assert "25 packets captured, 0 packets lost" in said
    (drops,) = re.findall(r"dropped (\d+): .* \((\w+)\)", said)
    assert drops[1] == cause
    inner = [one for one in packets(out) if one.interface_name == "a:vec0"]
    outer = [one for one in packets(out) if one.interface_name == "a:vec0 outer"]
    ways = {(each.data, each.direction) for each in inner}
    assert ways == {(one, "out"), (two, "in"), *((each, "out") for each in three)}
    assert [each.data for each in inner].count(three[0]) >= 3
    assert {(each.comment, each.direction) for each in outer} == {(f"dropped: {cause}", "in")}
    assert 0 < len(outer) <= int(drops[0])
    assert all(
        each.data.endswith(bytes.fromhex(header)[-4:] if cause == "rx_drop_short" else frame(9)) for each in outer
    )
    assert read_by_tcpdump(out)


@pytest.mark.kernel
def test_the_packets_of_a_kernels_tunnel_beside_their_frames() -> None:
    """As the host sees them; what it drops, too, which its own interface does not show."""
    need("VECNET_KERNEL" in os.environ, "needs a kernel with gretap and l2tp: make test-kernel")
    folder = Path("/run")  # of the test's own namespace
    file = lab(folder, "transport: gre, endpoints: {'a:vec0': {local: 127.0.0.1}, 'host:t0': {local: 127.0.0.2}}")
    topology = load(file)
    host.up(topology)
    out = folder / "out.pcapng"
    reply = frame(2)
    with (
        open_port(topology.devices("a")[0]) as a,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as kernel,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_GRE) as foreign,
    ):
        kernel.bind(("t0", 0))
        foreign.bind(("127.0.0.1", 0))

        def talk() -> None:
            a.send([frame(1)])
            kernel.send(reply)
            foreign.sendto(bytes.fromhex("20006558 00000007") + frame(9), ("127.0.0.2", 0))

        with meanwhile(talk):
            said = told(capture(file, "host:t0", "-w", out, "--outer", "--count", "9"))
            assert "at t0" in told(capture(file, "host:t0", "-w", folder / "x", "--count", "2"))
    assert "at lo" in said
    assert re.search(r"dropped \d+: packets with other GRE flags or another protocol \(rx_drop_flags\)", said)
    found = packets(out)
    assert {(one.data, one.direction) for one in found if one.interface_name == "host:t0"} == {
        (frame(1), "in"),
        (reply, "out"),
    }
    outer = {(one.data[-len(reply) :], one.direction, one.comment) for one in found if one.interface_name != "host:t0"}
    assert outer == {(frame(1), "in", ""), (reply, "out", ""), (frame(9), "in", "dropped: rx_drop_flags")}


def test_a_train_is_written_as_the_packets_that_it_is(tmp_path: Path) -> None:
    """The kernel moves it as one, whose length and checksum are the train's."""
    need_command("tshark")
    file = lab(tmp_path, TUNNELS["l2tpv3 udp v6"][0], TUNNELS["l2tpv3 udp"][0].replace("vec0", "vec1"))
    out = tmp_path / "out.pcapng"
    sent = [frame(number, size=300) for number in range(7)]
    for link in load(file).links:
        device = link.devices[0]
        assert device is not None
        with open_port(device) as a, meanwhile(partial(a.send, sent)):
            assert a.handle.depth >= len(sent)
            told(capture(file, link.name, "-w", out, "--outer", "--count", "14"))
        outer = [one.data for one in packets(out) if one.interface_name.endswith("outer")]
        assert [data[-len(sent[0]) :] for data in outer][:7] == sent
        assert len({len(data) for data in outer}) == 1
        rows = tshark(out, "frame.interface_name", "udp.length", "udp.checksum.status")
        sizes = {tuple(row[1:]) for row in rows if row[0].endswith("outer")}
        assert len(sizes) == 1
        assert int(sizes.pop()[0]) == len(outer[0]) - 14 - (40 if "fd00" in str(device) else 20)


def test_what_comes_in_fragments(tmp_path: Path) -> None:
    """IPv4's are put together by the kernel; of IPv6's it is told that there are some."""
    large, small, out = frame(1, size=1400), frame(2), tmp_path / "out.pcapng"
    for name, pieces in (("l2tpv3 ip", False), ("gre v6", True)):
        ip("link", "set", "lo", "mtu", "1500")
        file = lab(tmp_path, TUNNELS[name][0])
        topology = load(file)
        ip("link", "set", "lo", "mtu", "1400")  # as a way does that somebody else changes
        with (
            played(file) as (a, b),
            source(topology, topology.links[0]) as heard,
            closing(Sink(create(str(out)), 4)) as sink,
            meanwhile(partial(a.send, [large])),
            meanwhile(partial(b.send, [small])),
        ):
            move(heard, sink, None)
            assert heard.finish() == 0
            assert ["fragments" in said for said in heard.notes()] == [True] * pieces
        inner = {one.data for one in packets(out) if one.interface_name == "a:vec0"}
        assert inner == ({small} if pieces else {small, large})
        comments = {one.comment for one in packets(out) if one.interface_name != "a:vec0"}
        assert comments == ({"a fragment, whose frame is not shown"} if pieces else set())


def test_a_tunnel_to_elsewhere_is_heard_at_the_interface_that_leads_there(tmp_path: Path) -> None:
    """With both sides, which tshark reads; a filter judges the frames inside."""
    need_command("tshark")
    ip("netns", "add", "far")
    ip("link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", "far")
    for words in ((), ("-n", "far")):
        ip(*words, "address", "add", f"192.0.2.{len(words) // 2 + 1}/24", "dev", "eth0")
        ip(*words, "link", "set", "eth0", "up")
    file = lab(
        tmp_path, "transport: l2tpv3, endpoints: {'a:vec0': {local: 192.0.2.1}, 'elsewhere:r': {local: 192.0.2.2}}"
    )
    link = load(file).links[0]
    out = tmp_path / "out.pcapng"
    with within("far"):
        router = open_port(VecDevice(0, link.options[1]))
    with (
        router,
        open_port(load(file).devices("a")[0]) as a,
        meanwhile(lambda: (a.send([frame(1)]), router.send([frame(2), frame(3)]))),
    ):
        said = told(capture(file, "a:vec0", "ether[14:4] != 3", "-w", out, "--count", "6", "--outer"))
    assert "at eth0" in said
    assert {(one.data, one.direction) for one in packets(out) if one.interface_name == "a:vec0"} == {
        (frame(1), "out"),
        (frame(2), "in"),
    }
    rows = tshark(out, "frame.interface_name", "ip.src", "ip.ttl", "udp.checksum.status")
    assert {(row[1], row[2]) for row in rows if row[0].endswith("outer")} == {("192.0.2.1", "64"), ("192.0.2.2", "64")}


@pytest.mark.parametrize(
    ("link", "words", "said"),
    [
        ("transport: fd, endpoints: ['a:vec0', 'b:vec0']", ["--outer"], "is no tunnel: its wire has no outer packets"),
        (
            "transport: gre, endpoints: {'a:vec0': {local: 192.0.2.1}, 'b:vec0': {local: 127.0.0.2}}",
            [],
            "no way leads to 192.0.2.1",
        ),
    ],
)
def test_what_is_no_tunnel_here(link: str, words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(VecnetError, match=said):
        capture(lab(tmp_path, link), "a:vec0", "-w", tmp_path / "none", *words)


def test_a_capture_is_no_user_of_the_wire(tmp_path: Path) -> None:
    """loopback plays the guest at a raw link's wire while it is captured; whoever is bound there is a user."""
    file = lab(tmp_path, "transport: raw, endpoints: ['a:vec0', 'host:v0']")
    topology = load(file)
    host.up(topology)

    def users() -> set[str]:
        return {one.in_use for one in host.status() if one.in_use}

    with source(topology, topology.links[0]) as heard:
        assert users() == set()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other:
            other.bind(("v0", 3))
            assert users() == {"a packet socket is bound to v0"}
        heard.stop()
