"""filter: at a raw link: compiled by `up`, read by who opens the guest's string, proved by loopback, removed by down.

web:vec0, played ── p-v0 ═ v0, the host          a:vec0 ── a-vec0 ═ b-vec0 ── b:vec0
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.network import private_network, refused_untouched, topology
from tests.need import need_command, need_root
from vecnet import host, open_port
from vecnet.datapath.port import Port
from vecnet.errors import InputError
from vecnet.kernel import bpf
from vecnet.loopback import Verdict, probes_of, prove
from vecnet.loopback.subject import of_topology
from vecnet.topology import Topology

LAB = """
links:
  - {transport: raw, filter: "ip and tcp port 80", endpoints: [web:vec0, host:v0]}
  - {transport: raw, filter: "arp or ip6 host 2001:db8::7", endpoints: [a:vec0, b:vec0]}
"""


OWN = Path("/run/own")  # of the test's own namespace, and short enough to stand in a path as it is


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    need_root()
    need_command("tcpdump")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(OWN))
    with private_network():
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        yield


def verdicts(lab: Topology, index: int = 0) -> dict[str, tuple[Verdict, str]]:
    subject = of_topology(lab)[index]
    (report,) = prove("lab", [subject], probes=("frames", "impair", "filter")).links
    assert probes_of(subject)[-1] == "filter"
    return {result.probe: (result.verdict, result.reason) for result in report.results}


def test_loopback_proves_it_both_ways() -> None:
    lab = topology(LAB)
    host.up(lab)
    found = verdicts(lab)
    assert found["filter"][0] is Verdict.PASS, found
    passed, stopped = (int(word) for word in found["filter"][1].replace(",", "").split() if word.isdigit())
    assert min(passed, stopped) > 20
    assert found["frames"] == (Verdict.ABSENT, "not tried, since web:vec0 filters what it receives")
    assert found["impair"][0] is Verdict.ABSENT
    found = verdicts(lab, 1)
    assert found["filter"][0] is Verdict.PASS, found
    path = OWN / "vecnet/lab:filters/web:vec0.bpf"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(bpf.compiled("tcp port 80 or udp port 80"))  # somebody lets more pass
    verdict, reason = verdicts(lab)["filter"]
    assert verdict is Verdict.FAIL
    assert "frames that should not pass came" in reason
    path.write_bytes(bpf.compiled("tcp dst port 80"))  # … and less
    verdict, reason = verdicts(lab)["filter"]
    assert verdict is Verdict.FAIL
    assert "frames that should pass did not come" in reason
    assert host.up(lab).steps == ()  # which writes it again
    assert verdicts(lab)["filter"][0] is Verdict.PASS


def test_a_port_receives_what_its_filter_lets_pass_and_not_what_the_guest_sends() -> None:
    """Byte by byte: a segment to port 80 comes, one to port 81 does not, nor does the guest's own."""
    lab = topology(LAB)
    host.up(lab)

    def segment(port: int, source: bytes) -> bytes:
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, bytes(4), bytes(4))
        return b"\2\0\0\0\0\1" + source + b"\x08\0" + ip + struct.pack("!HHIIBBHHH", 9, port, 0, 0, 0x50, 2, 0, 0, 0)

    device = lab.devices("web")[0]
    mac = bytes.fromhex((device.transport.mac or "").replace(":", ""))
    assert len(mac) == 6
    with open_port(device) as guest, open_port("vec0:transport=raw,ifname=v0,mac=02:00:00:00:00:09") as far:
        far.send([segment(port, bytes(6)) for port in (81, 80, 443)] + [segment(80, mac)])
        got = came(guest)
        assert [frame[:54] for frame in got] == [segment(80, bytes(6))]
        guest.send(segment(81, mac))  # what it sends is not filtered
        assert [frame[:54] for frame in came(far)] == [segment(81, mac)]


def came(port: Port) -> list[bytes]:
    found: list[bytes] = []
    while frames := port.recv(timeout=0.3):
        found += frames
    return found


def test_what_is_no_filter_touches_nothing() -> None:
    problem = refused_untouched(topology(LAB.replace("tcp port 80", "tcp porrt 80")))
    assert problem.message.startswith("web:vec0--host:v0: 'ip and tcp porrt 80' is no filter: can't parse")
    problem = refused_untouched(topology(LAB.replace("tcp port 80", "vlan 7")))
    assert "the kernel takes a VLAN tag from a frame before a filter sees it" in problem.message
    assert not (OWN / "vecnet").exists()


def test_down_removes_the_files_and_a_file_goes_with_its_filter() -> None:
    folder = OWN / "vecnet/lab:filters"
    host.up(topology(LAB))
    assert sorted(path.name for path in folder.iterdir()) == ["a:vec0.bpf", "b:vec0.bpf", "web:vec0.bpf"]
    host.up(topology(LAB.replace('filter: "ip and tcp port 80", ', "")))
    assert sorted(path.name for path in folder.iterdir()) == ["a:vec0.bpf", "b:vec0.bpf"]
    host.down("lab")
    assert not (OWN / "vecnet").exists()


def test_a_guest_that_may_load_filters_is_warned_of() -> None:
    (note,) = host.up(topology(LAB.replace("raw, filter", "raw, bpfflash: on, filter", 1))).notes
    assert note.startswith(
        "web:vec0: with bpfflash the guest loads BPF into this host's kernel, which is a security risk"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('filter: "ip and', 'bpffile: f, filter: "ip and', "filter and bpffile are two filters of one wire"),
        ("ip and tcp port 80", " ", "is not a filter in pcap's language"),
        ("[web:vec0, host:v0]", "[lan:x, host:v0]", "filter has no effect: no guest is at this wire"),
    ],
)
def test_what_makes_no_sense(old: str, new: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        topology("switches: {lan: {}}" + LAB.replace(old, new))
