"""One topology on three machines, each a network of its own: real guests on two of them, a switch without root on each.

alpha                     beta                      gamma            their outer addresses are on eth0, at a bridge
guest web ═══ l2tpv3 over UDP, straight on IPv6, gre ═══ guest db    between them
   │ bess                                              │ bess
  one ═══ l2tpv3 over UDP ═══ two ═══ l2tpv3 over UDP ═══ three      one LAN
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.need import need_command
from tests.uml.guest import Report, Wiring
from tests.uml.test_outside import ROOT, USER, need_user
from vecnet.cli import vecnet
from vecnet.topology import load

pytestmark = pytest.mark.uml

LAB = """
name: lab
hosts:
  alpha: {address: [192.0.2.11, "2001:db8::11"]}
  beta: {address: 192.0.2.12}
  gamma: {address: [192.0.2.13, "2001:db8::13"]}
guests: {web: {on: alpha}, db: {on: gamma}}
switches: {one: {on: alpha}, two: {on: beta}, three: {on: gamma}}
links:
  - {transport: l2tpv3, endpoints: [web:vec0, db:vec0]}
  - {transport: gre, endpoints: [web:vec1, db:vec1]}
  - {transport: l2tpv3, encap: ip, endpoints: {web:vec2: {local: "2001:db8::11"}, db:vec2: }}
  - {transport: bess, endpoints: [web:vec3, one:web]}
  - {transport: bess, endpoints: [db:vec3, three:db]}
  - {transport: l2tpv3, endpoints: [one:two, two:one]}
  - {transport: l2tpv3, endpoints: [two:three, three:two]}
"""
OWN = {"alpha": ("192.0.2.11", "2001:db8::11"), "beta": ("192.0.2.12",), "gamma": ("192.0.2.13", "2001:db8::13")}
GUESTS = {"web": ("alpha", 1, 2), "db": ("gamma", 2, 1)}  # its host, the last byte of its address, and of the other's
UNITS = range(4)


@dataclass(frozen=True)
class Lab:
    reports: dict[str, Report]
    mtus: dict[str, int]
    loopback: Result  # of alpha's part, before any guest ran
    plans: list[Result]


def join(machines: dict[str, Wiring], between: Wiring) -> None:
    """Give each machine an eth0 whose other end is at the bridge."""
    between.run("ip", "link", "add", "lan", "up", "type", "bridge")
    for host, machine in machines.items():
        pair = f"ip link add {host} netns {between.network} type veth peer name eth0 netns {machine.network}"
        subprocess.run(pair.split(), check=True)  # never here
        between.run("ip", "link", "set", host, "master", "lan", "up")
        for address in OWN[host]:
            place = f"{address}/64 nodad" if ":" in address else f"{address}/24"
            machine.run("ip", "addr", "add", *place.split(), "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")


def script(guest: str) -> str:
    _, own, other = GUESTS[guest]
    lines = [f"up vec{unit} 10.7.{unit}.{own}/24" for unit in UNITS]
    lines.append(f"meet up {'db' if guest == 'web' else 'web'} || exit 1")
    for unit in UNITS:
        lines.append(f"echo vec{unit}=$(cat /sys/class/net/vec{unit}/mtu)")
        size = f"$(($(cat /sys/class/net/vec{unit}/mtu) - 28))"
        lines.append(f"pings 10.7.{unit}.{other}; ping -q -n -c 3 -i 0.05 -W 5 -M do -s {size} 10.7.{unit}.{other}")
        lines.append(f"echo ping{unit}=$?")
    lines.append(f"meet done {'db' if guest == 'web' else 'web'}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need_command("ping", "ip")
    need_user()
    folder = tmp_path_factory.mktemp("machines")
    file = folder / "lab.yaml"
    file.write_text(LAB)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        between, *wirings = (stack.enter_context(Wiring()) for _ in range(4))
        machines = dict(zip(OWN, wirings, strict=True))
        join(machines, between)
        plans = []
        for machine, host in zip(wirings, OWN, strict=True):
            with machine.entered():
                plans.append(CliRunner().invoke(vecnet, ["plan", str(file), "--on", host]))
        with machines["alpha"].entered():
            loopback = CliRunner().invoke(vecnet, ["loopback", str(file), "--on", "alpha", "--json", "-"])
        strings: dict[str, list[str]] = {}
        mtus: dict[str, int] = {}
        for host, machine in machines.items():
            place = folder / host  # of its sockets: the machines of this test have one file system
            place.mkdir()
            patch.setenv("XDG_RUNTIME_DIR", str(place))
            part = load(file).on(host)
            strings |= {guest: [*map(str, part.devices(guest)), *part.words(guest)] for guest in part.guests}
            mtus |= {device.ifname: device.transport.mtu for guest in part.guests for device in part.devices(guest)}
            serve(machine, host, file)
        guests = {}
        for guest, (host, _, _) in GUESTS.items():
            (other,) = {*GUESTS} - {guest}
            (machines[host].folder / other).symlink_to(machines[GUESTS[other][0]].folder / other)  # where they meet
            guests[guest] = machines[host].boot(strings[guest], script(guest), name=guest, words=())
        yield Lab({name: guest.wait(180) for name, guest in guests.items()}, mtus, loopback, plans)


def serve(machine: Wiring, host: str, file: Path) -> None:
    """Serve a machine's switch, as a user without any right in its network."""
    words = [*USER, sys.executable, "-m", "vecnet", "serve", str(file), "--on", host]
    served = machine.start(*words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert served.stdout
    assert "lab is served by process" in served.stdout.readline()


def test_guests_ping_each_other_by_every_way_in_whole_packets(lab: Lab) -> None:
    assert lab.mtus == {"vec0": 1450, "vec1": 1458, "vec2": 1442, "vec3": 1450}
    for report in lab.reports.values():
        assert report.status == 0, report
        assert {name: int(report.values[name]) for name in lab.mtus} == lab.mtus, report
        assert [report.values[f"ping{unit}"] for unit in UNITS] == ["0"] * 4, report


def test_each_machine_can_do_its_part_and_needs_no_interface_for_it(lab: Lab) -> None:
    for plan in lab.plans:
        assert (plan.exit_code, plan.stdout.splitlines()[0]) == (0, "lab: nothing to do"), plan.output


def test_what_ends_on_another_machine_cannot_be_tested_here(lab: Lab) -> None:
    found = {link["link"]: link for link in json.loads(lab.loopback.stdout)["links"]}
    assert {name: link["verdict"] for name, link in found.items()} == {
        "db:vec0--web:vec0": "untested",
        "db:vec1--web:vec1": "untested",
        "db:vec2--web:vec2": "untested",
        "web:vec3--one:web": "pass",
        "one:two--two:one": "untested",
    }
    assert lab.loopback.exit_code == 3
    reason = found["db:vec0--web:vec0"]["probes"][0]["reason"]
    assert "db:vec0, at 192.0.2.13, is not this machine: the wire ends there" in reason
