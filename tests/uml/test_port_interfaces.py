"""Ports against a real guest where the wire is an interface or a descriptor: tap, hybrid, raw, bess, fd.

    guest a ── tap, hybrid ── a bridge ── tap, hybrid ── ports of b
            ── raw ═══════════ a veth pair ══════ raw ── a port of b
            ── bess ══════════ a Unix socket ════ bess ── a port in the switch's role
            ── fd ════════════ a pair of sockets ── fd ── a port

Both ends of a wire have the strings that `vecnet up` printed for them, but for the number of the descriptor that the
port has in this process. The guest returns what it is sent.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.datapath.wires import wait_for
from tests.need import need_command
from tests.uml import agent
from tests.uml.guest import PYTHON, Kernel, Wiring
from vecnet import open_port, parse
from vecnet.datapath.port import Port

pytestmark = pytest.mark.uml

TOPOLOGY = """
name: interfaces
links:
- {{transport: tap, endpoints: {{a:vec0: {{}}, host:tap-a: {{bridge: taps}}}}}}
- {{transport: tap, endpoints: {{b:vec0: {{}}, host:tap-b: {{bridge: taps}}}}}}
- {{transport: tap, gro: off, mtu: 1400, endpoints: {{a:vec1: {{}}, host:plain-a: {{bridge: plain}}}}}}
- {{transport: tap, gro: off, mtu: 1400, endpoints: {{b:vec1: {{}}, host:plain-b: {{bridge: plain}}}}}}
- {{transport: hybrid, endpoints: {{a:vec2: {{}}, host:hyb-a: {{bridge: hybrids}}}}}}
- {{transport: hybrid, endpoints: {{b:vec2: {{}}, host:hyb-b: {{bridge: hybrids}}}}}}
- {{transport: raw, endpoints: [a:vec3, b:vec3]}}
- {{transport: raw, gro: off, vec: 0, mtu: 9000, endpoints: [a:vec4, b:vec4]}}
- {{transport: fd, endpoints: [a:vec5, b:vec5]}}
- {{transport: fd, vec: 0, endpoints: [a:vec6, b:vec6]}}
- {{transport: bess, endpoints: {{a:vec7: {{path: {folder}/own}}, host:port1: {{path: {folder}/switch}}}}}}
bridges: {{taps: {{}}, plain: {{}}, hybrids: {{}}}}
"""
WIRES = ["tap", "tap-without-gro", "hybrid", "raw", "raw-one-at-a-time", "fd", "fd-one-at-a-time", "bess"]

SCRIPT = f"""
for unit in {" ".join(str(unit) for unit in range(len(WIRES)))}; do
    ip link set vec$unit up
    devices="$devices vec$unit"
done
{PYTHON} {shlex.quote(agent.__file__)} "$here" $devices
refused $devices
"""


def frames(mac: str, mtu: int) -> list[bytes]:
    head = bytes.fromhex(mac.replace(":", "")) + bytes((2, 0, 0, 0, 0, 9)) + agent.ASKED
    return [head + bytes((size + i) % 251 for i in range(size - 14)) for size in (60, 61, 500, mtu + 14)] * 3


def bridged(wiring: Wiring) -> bool:
    """Whether the bridges pass on to all of their taps. A worker of the kernel sees to it once both ends are open."""
    links = json.loads(wiring.run("ip", "-j", "-d", "link").stdout)
    states = [link["linkinfo"]["info_slave_data"]["state"] for link in links if "master" in link]
    return states == ["forwarding"] * 6


def hear(port: Port, ethertype: bytes, count: int) -> list[bytes]:
    """`count` frames of the guest's. A bridge says something of its own now and then."""
    frames: list[bytes] = []
    while len(frames) < count and (came := port.recv(10)):
        frames += [frame for frame in came if frame[12:14] == ethertype]
    return frames


@dataclass(frozen=True)
class Heard:
    """What the port sent, what came back, what the guest sent by itself, and what both refused."""

    asked: list[bytes]
    returned: list[bytes]
    sent: list[bytes]
    refused: int
    dropped: dict[str, int]


@pytest.fixture(scope="module")
def heard(kernel: Kernel) -> dict[str, Heard]:
    """What passed over each wire."""
    need_command("ip", "ethtool")
    with Wiring(kernel) as wiring, ExitStack() as opened:
        file = wiring.folder / "interfaces.yaml"
        file.write_text(TOPOLOGY.format(folder=wiring.folder))
        lines = wiring.run(sys.executable, "-m", "vecnet", "up", file).stdout.splitlines()
        strings = {guest: [line.split("\t")[1] for line in lines if line.startswith(guest)] for guest in "ab"}
        inherited = []
        for unit in (5, 6):
            mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            number = int(strings["a"][unit].partition("fd=")[2].partition(",")[0])
            os.dup2(other.fileno(), number, inheritable=True)  # a's string names it; b's is opened in this process
            other.close()
            opened.callback(os.close, number)
            inherited.append(number)
            opened.enter_context(mine)
            strings["b"][unit] = strings["b"][unit].replace(f"fd={number}", f"fd={mine.fileno()}")
        with wiring.entered():
            ports: list[Port] = [opened.enter_context(open_port(string)) for string in strings["b"]]
            ports.append(opened.enter_context(open_port(strings["a"][7], role="switch")))
        guest = wiring.boot(strings["a"], SCRIPT, descriptors=inherited)
        with guest.at("ready"):
            wait_for(lambda: bridged(wiring), seconds=60)
            ends = [parse(string).transport for string in strings["a"]]
            asked = [frames(end.mac or "", end.mtu) for end in ends]
            for port, each in zip(ports, asked, strict=True):
                assert port.send(each, timeout=5) == len(each)
            returned = [hear(port, agent.RETURNED, len(each)) for port, each in zip(ports, asked, strict=True)]
            (guest.folder / "go").touch()
            sent = [hear(port, agent.SENT, agent.SENDS) for port in ports]
            (guest.folder / "stop").touch()
        report = guest.wait()
        assert report.status == 0, report
        answer = {}
        for unit, wire in enumerate(WIRES):
            refused = int(report.values[f"vec{unit}.refused"])
            dropped = {name: n for name, n in ports[unit].stats.items() if name.startswith("rx_drop_") and n}
            answer[wire] = Heard(asked[unit], returned[unit], sent[unit], refused, dropped)
        return answer


@pytest.mark.parametrize("wire", WIRES)
def test_a_guest_and_a_port_hear_each_other(heard: dict[str, Heard], wire: str) -> None:
    found = heard[wire]
    assert found.returned == [agent.returned(frame) for frame in found.asked]
    assert found.sent == [agent.sent(number) for number in range(agent.SENDS)]
    assert found.refused == 0
    assert found.dropped == {}
