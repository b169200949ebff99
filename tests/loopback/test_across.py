"""vecnet loopback on all hosts at once: real agents on machines that are network namespaces, and real packets between.

Every break is found, and the sentence says on which of the hosts it is.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from tests.cli.command import EXECUTABLE, environment
from tests.host.network import ip, within
from tests.loopback.machines import agents, inventory, machines, reasons
from tests.need import need, need_command
from vecnet.cli import vecnet
from vecnet.errors import InputError
from vecnet.loopback import LinkReport, Verdict, across
from vecnet.loopback.across.between import between
from vecnet.loopback.across.crossing import Opened
from vecnet.loopback.across.machine import Machine
from vecnet.loopback.across.probes import PROBES
from vecnet.loopback.numbered import SMALLEST, Run
from vecnet.topology import Topology, loads
from vecnet.transports.l2tpv3 import L2tpv3

LAB = """
name: lab
hosts:
  alpha: {address: [192.0.2.11, "2001:db8::11"]}
  beta: {address: [192.0.2.12, "2001:db8::12"]}
guests: {web: {on: alpha}, db: {on: beta}}
switches: {one: {on: alpha}, two: {on: beta}}
links:
  - {transport: gre, name: gre, endpoints: {web:vec0: {ip: 10.0.0.1/24, key: 5}, db:vec0: {ip: 10.0.0.2/24}}}
  - {transport: l2tpv3, name: udp, endpoints: {web:vec1: {cookie: 0x5}, db:vec1: }}
  - {transport: l2tpv3, name: ip, encap: ip, endpoints: {web:vec2: {local: "2001:db8::11"}, db:vec2: }}
  - {transport: l2tpv3, name: lan, endpoints: [one:two, two:one]}
  - {transport: bess, name: own, endpoints: [web:vec3, one:web]}
"""


@pytest.fixture(scope="module")
def place() -> Iterator[None]:
    with machines(("alpha", "beta")):
        yield


@pytest.fixture(scope="module")
def files(place: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The topology and an inventory."""
    folder = tmp_path_factory.mktemp("across")
    (folder / "lab.yaml").write_text(LAB)
    return str(folder / "lab.yaml"), str(inventory(folder, ("alpha", "beta")))


def test_every_kind_of_link_by_every_probe_in_one_report(files: tuple[str, str], tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    words = ["loopback", files[0], "-i", files[1], "--json", "-", "--junit", str(junit)]
    done = CliRunner().invoke(vecnet, words)
    assert done.exit_code == 0, done.output
    links = {link["link"]: link for link in json.loads(done.stdout)["links"]}
    found = {name: {probe["probe"]: probe["verdict"] for probe in link["probes"]} for name, link in links.items()}
    passed = ("open", "frames", "mtu", "ping", "tcp", "burst", "latency", "throughput")
    with_addresses = {**dict.fromkeys(passed, "pass"), "impair": "n/a"}
    without = {**with_addresses, "ping": "n/a", "tcp": "n/a"}
    assert found == {"gre": with_addresses, "udp": without, "ip": without, "lan": without, "own": without}
    assert {name: (link["hosts"], link["far_end"]) for name, link in links.items()} == {
        "gre": (["beta", "alpha"], "a simulated guest on alpha"),
        "udp": (["beta", "alpha"], "a simulated guest on alpha"),
        "ip": (["beta", "alpha"], "a simulated guest on alpha"),
        "lan": (["alpha", "beta"], "vecnet's own switch on beta"),
        "own": (["alpha"], "vecnet's own switch"),
    }
    told = {probe["probe"]: probe for probe in links["gre"]["probes"]}
    assert "for one way alone there is no common clock" in told["latency"]["reason"]
    assert set(told["latency"]["figures"]) == {"round_trip_p50_us", "round_trip_p99_us"}
    assert told["frames"]["reason"] == "400 each way, 60 to 1472 bytes"
    suite = ElementTree.parse(junit).getroot()[0]
    assert [one.get("value") for one in suite.iter("property") if one.get("name") == "host"] == ["beta", "alpha"]


def test_what_goes_with_one_machine_alone(files: tuple[str, str], tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = CliRunner().invoke(vecnet, ["loopback", files[0], *words])
        assert isinstance(done.exception, InputError), done
        return str(done.exception)

    assert "--pcap does not go with all hosts" in refused("--pcap", str(tmp_path / "packets"))
    assert "--impair does not go with all hosts" in refused("--impair", "loss 1%")
    assert "lab has no link 'x'; its links are gre, udp" in refused("-l", "x")
    assert "did you mean beta?" in refused("--on", "bta")
    assert "--baseline does not go with all hosts" in refused("--baseline", "before.json")
    assert "--link and --only mean no link together" in refused("-l", "gre", "--only", "one")
    assert "--inventory is for all hosts, and --on beta is for one" in refused("--on", "beta", "-i", files[1])
    assert not (tmp_path / "packets").exists()


def test_links_are_proved_side_by_side_and_one_that_hangs_holds_up_none(
    place: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent at one of its ends waits until all others are done; what is timed runs alone all the same."""
    topology, real = loads(LAB), PROBES["frames"]
    order: list[str] = []
    others = threading.Event()

    def frames(wire: Opened) -> tuple[str, Mapping[str, float]]:
        if wire.subject.name == "gre":
            wire.lines[0].begin("recv", seconds=60.0)
            assert others.wait(60)
            wire.ends[1].send([Run(*wire.macs).build(SMALLEST)], timeout=1.0)
            assert wire.lines[0].finish().frames
        found = real(wire)
        order.append(wire.subject.name)
        if len(order) == 3:
            others.set()
        return found

    monkeypatch.setitem(PROBES, "frames", frames)
    with agents(("alpha", "beta")) as started:
        report = across.prove(topology, started, probes=("frames", "latency"), jobs=4)
    assert report.exit_code == 0, reasons(report)
    assert [link.link for link in report.links] == ["gre", "udp", "ip", "lan", "own"]
    assert order[-1] == "gre"
    beside = [[(result.probe, result.beside) for result in link.results] for link in report.links[:4]]
    assert beside == [[("open", 3), ("frames", 3), ("latency", 0)]] * 4


# ---- breaks, each found and told apart ----


@dataclass
class Tried:
    """Agents that have read the topology."""

    topology: Topology
    machines: dict[str, Machine]

    def link(self, name: str, *probes: str) -> LinkReport:
        parts = {host: self.topology.on(host) for host in self.topology.hosts}
        (link,) = (link for link in self.topology.links if link.name == name)
        (report,) = between([link], parts, self.machines, probes=probes)
        return report


@pytest.fixture(scope="module")
def tried(place: None) -> Iterator[Tried]:
    with agents(("alpha", "beta")) as started:
        for machine in started.values():
            machine.meet(LAB, "lab.yaml")
        for machine in started.values():
            machine.read()
            assert not machine.lost
        yield Tried(loads(LAB), started)


def nft(host: str | None, family: str, hook: str, rule: str) -> Callable[[], None]:
    """Have a host drop packets; what mends it."""
    need_command("nft")
    text = f"table {family} sabotage {{ chain c {{ type filter hook {hook} priority 0; {rule} drop; }}\n}}"

    def run(rules: str) -> None:
        with within(host):
            done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
            need(done.returncode == 0, f"needs a kernel with nftables: {done.stderr.strip()}")

    run(text)
    return lambda: run(f"delete table {family} sabotage")


def link(host: str | None, ifname: str, *change: str, back: tuple[str, ...]) -> Callable[[], None]:
    def run(words: tuple[str, ...]) -> None:
        with within(host):
            ip("link", "set", ifname, *words)

    run(change)
    return lambda: run(back)


def cut_off() -> Callable[[], None]:
    """Take beta's cable out, for so long that alpha has forgotten where it was."""
    mend = link(None, "beta", "down", back=("up",))
    with within("alpha"):
        ip("neigh", "flush", "dev", "eth0")
    return mend


def other_file(tried: Tried, before: str, after: str) -> Callable[[], None]:
    """Let beta read another topology."""

    def load(text: str) -> None:
        tried.machines["beta"].own.ask("load", text=text, path="lab.yaml", host="beta")

    load(LAB.replace(before, after))
    return lambda: load(LAB)


BREAKS: dict[str, tuple[str, Callable[[Tried], Callable[[], None]], list[str]]] = {
    "a filter of the receiver's": (
        "gre",
        lambda _: nft("beta", "inet", "input", "ip protocol gre"),
        [
            "web:vec0 on alpha to db:vec0 on beta: 3 packets sent, seen 3 times on alpha's interfaces and 3 times on "
            "beta's, 0 taken",
            "the packets come to beta and are right, and are dropped there. "
            "on beta, a packet filter may drop them: nftables, inet sabotage c",
        ],
    ),
    "a filter of the sender's": (
        "gre",
        lambda _: nft("alpha", "inet", "output", "ip protocol gre"),
        [
            "seen 0 times on alpha's interfaces and 0 times on beta's, 0 taken",
            "on alpha, 3 dropped, packets that a firewall refuses",
            "the packets do not leave alpha. on alpha, a packet filter may drop them: nftables, inet sabotage c",
        ],
    ),
    "a filter between them": (
        "udp",
        lambda _: nft(None, "bridge", "forward", "ip daddr 192.0.2.12"),
        [
            "seen 3 times on alpha's interfaces and 0 times on beta's, 0 taken",
            "the packets leave alpha and do not come to beta: what is between the two hosts drops them",
        ],
    ),
    "another key": (
        "gre",
        lambda tried: other_file(tried, "key: 5", "key: 77"),
        ["on alpha, 3 dropped, packets with another key", "alpha and do not fit: the sender sends key 77, this string"],
    ),
    "another cookie": (
        "udp",
        lambda tried: other_file(tried, "cookie: 0x5", "cookie: 0x6"),
        ["alpha and do not fit: the sender sends cookie 00000006, this string expects 00000005"],
    ),
    "a narrow way": (
        "ip",
        lambda _: link(None, "beta", "mtu", "1400", back=("mtu", "1500")),
        [
            "packets of 1400 on the way, and those of 1456 do not, 1500 on the way: the way between beta and alpha is",
            "give one of the two hosts mtu: 1400 in the topology, or widen the way",
        ],
    ),
    "a narrow interface of one host": (
        "gre",
        lambda _: link("alpha", "eth0", "mtu", "1400", back=("mtu", "1500")),
        ["on alpha the way to beta takes packets of 1400 bytes", "give one of the two hosts mtu: 1400"],
    ),
    "no way at all": (
        "udp",
        lambda _: cut_off(),
        ["the packets do not leave alpha. alpha asks its neighbours for 192.0.2.12, and none answers"],
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_told_by_where_it_is(tried: Tried, name: str) -> None:
    which, spoil, sentences = BREAKS[name]
    mend = spoil(tried)
    try:
        report = tried.link(which, "frames")
    finally:
        mend()
    assert report.verdict is Verdict.FAIL, report
    for sentence in sentences:
        assert sentence in report.reason
    if name == "a filter of the receiver's":  # and the agents are none the worse for it
        assert tried.link(which, "frames").verdict is Verdict.PASS


def test_an_address_that_is_not_there(tried: Tried) -> None:
    with within("beta"):
        ip("addr", "del", "192.0.2.12/24", "dev", "eth0")
    try:
        report = tried.link("gre", "frames")
    finally:
        with within("beta"):
            ip("addr", "add", "192.0.2.12/24", "dev", "eth0")
    assert (report.verdict, report.results[1].tried) == (Verdict.FAIL, False)
    assert "on beta, " in report.reason
    assert "192.0.2.12 is on no interface here" in report.reason


def test_a_wire_that_is_in_use_on_one_host_is_not_tested(tried: Tried) -> None:
    (link,) = (link for link in tried.topology.links if link.name == "udp")
    ours = link.options[link.spec.ends[1].host == "beta"]
    assert isinstance(ours, L2tpv3)
    with within("beta"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as guest:
        guest.bind((ours.src, ours.srcport))
        report = tried.link("udp", "frames")
    assert report.verdict is Verdict.UNTESTED
    assert "on beta, the wire is in use: " in report.reason


# ---- machines that go away ----


def test_a_host_without_an_agent_leaves_its_links_untested(place: None) -> None:
    topology = loads(LAB)
    with agents(("alpha", "beta")) as started:
        assert started["beta"]._process is not None
        started["beta"]._process.kill()
        report = across.prove(topology, started, links=("gre", "own"), probes=("frames",))
    assert report.exit_code == 3
    told = reasons(report)
    assert told["gre"]["open"].startswith("untested: beta cannot be used: ")
    assert told["own"] == {"open": "pass: both ends open", "frames": "pass: 400 each way, 60 to 1464 bytes"}


def inside(host: str) -> list[int]:
    return [int(line) for line in ip("netns", "pids", host).split()]


def descendants(process: int) -> list[int]:
    """The processes that it has started, and those that they have."""
    family = [process]
    for one in family:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                family += map(int, (task / "children").read_text().split())
    return family[1:]


def lives(process: int) -> bool:
    try:
        return " Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False


def until(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def begun(files: tuple[str, str]) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A controller in the middle of its probes, and the agents with all that they have started."""
    words = [str(EXECUTABLE), "loopback", files[0], "-i", files[1], "-l", "gre", "-p", "ping", "-p", "tcp"]
    controller = subprocess.Popen(
        words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def networks() -> set[str]:
        found = set()
        for one in descendants(controller.pid):
            with suppress(OSError):  # it has ended meanwhile
                found.add(str(Path(f"/proc/{one}/ns/net").readlink()))
        return found - {str(Path("/proc/self/ns/net").readlink())}

    assert until(lambda: len(networks()) == 4, 60)  # both hosts', and that of each one's simulated guest
    return controller, descendants(controller.pid)


def test_a_controller_that_is_killed_leaves_no_agent(files: tuple[str, str]) -> None:
    before = {host: inside(host) for host in ("alpha", "beta")}  # the agents of other tests here
    controller, family = begun(files)
    controller.kill()
    controller.wait()
    assert len(family) >= 4
    assert until(lambda: not any(map(lives, family)), 15), [one for one in family if lives(one)]
    for host, others in before.items():
        assert inside(host) == others
        assert {entry["ifname"] for entry in json.loads(ip("-n", host, "-j", "link"))} == {"lo", "eth0"}


@pytest.mark.long
def test_a_connection_that_dies_in_silence_leaves_no_agent(files: tuple[str, str]) -> None:
    controller, family = begun(files)
    os.kill(controller.pid, signal.SIGSTOP)
    try:
        assert until(lambda: not any(map(lives, family)), 45), [one for one in family if lives(one)]
    finally:
        controller.kill()
        controller.wait()
