"""Real guests on three machines with an sshd each: `vecnet up` by Ansible, its strings, and packets between the guests.

    alpha                                   beta                                    gamma
    web, 7.2 ══ gre; l2tpv3 straight on IPv6 ══ db, 6.12 ══ l2tpv3 over UDP; gre on IPv6 ══ app, 6.1
       ╚══════════════════ l2tpv3 straight on IPv4; over UDP on IPv6 ══════════════════════════╝
    and each guest has a tap to its own machine

Full frames pass and none larger, and the content of TCP is compared at both ends.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fleet.machines import ADDRESSES, Machines, running, settings
from tests.fleet.test_machines import names, said
from tests.need import need_command
from tests.uml.guest import PYTHON, Guest, Kernel, Place, Report
from vecnet.topology import Topology, load

pytestmark = [pytest.mark.uml, pytest.mark.timeout(300)]

SIX = {"alpha": "2001:db8::11", "beta": "2001:db8::12", "gamma": "2001:db8::13"}
GUESTS = {"web": ("alpha", "7.2"), "db": ("beta", "6.12"), "app": ("gamma", "6.1")}
LAB = """
name: lab
hosts:
  alpha: {address: [192.0.2.11, "2001:db8::11"]}
  beta: {address: [192.0.2.12, "2001:db8::12"]}
  gamma: {address: [192.0.2.13, "2001:db8::13"]}
guests: {web: {on: alpha, kernel: 7.2}, db: {on: beta, kernel: 6.12}, app: {on: gamma, kernel: 6.1}}
links:
  - {transport: gre, endpoints: [web:vec0, db:vec0]}
  - {transport: l2tpv3, encap: ip, endpoints: {web:vec1: {local: "2001:db8::11"}, db:vec1: }}
  - {transport: l2tpv3, endpoints: [db:vec2, app:vec0]}
  - {transport: gre, endpoints: {db:vec3: {local: "2001:db8::12"}, app:vec1: }}
  - {transport: l2tpv3, encap: ip, endpoints: [web:vec2, app:vec2]}
  - {transport: l2tpv3, endpoints: {web:vec3: {local: "2001:db8::11"}, app:vec3: }}
  - {transport: tap, endpoints: {web:vec4: , alpha:tap0: {ip: 10.8.0.1/24}}}
  - {transport: tap, endpoints: {db:vec4: , beta:tap0: {ip: 10.8.0.1/24}}}
  - {transport: tap, endpoints: {app:vec4: , gamma:tap0: {ip: 10.8.0.1/24}}}
"""
SIZES = (1458, 1442, 1450, 1438, 1462, 1430)  # 1500 less what each of the six puts around a frame
SIZE = 1 << 20  # bytes of TCP each way

# The first end of each link listens, and the other connects; both send, and compare what comes.
TALK = """
import random, socket, sys, threading
size = int(sys.argv[1])

def talk(link, own, peer):
    port = 7000 + int(link)
    def content(whose):
        return random.Random(link + whose).randbytes(size)
    if own < peer:
        with socket.create_server((own, port)) as listener:
            listener.settimeout(60)
            other = listener.accept()[0]
    else:
        for attempt in range(100):
            try:
                other = socket.create_connection((peer, port), timeout=60, source_address=(own, 0))
                break
            except ConnectionRefusedError:
                threading.Event().wait(0.1)
    other.settimeout(60)
    sender = threading.Thread(target=lambda: (other.sendall(content(own)), other.shutdown(socket.SHUT_WR)))
    sender.start()
    came = bytearray()
    while part := other.recv(65536):
        came += part
    sender.join()
    print(f"tcp{link}={'same' if came == content(peer) else len(came)}", flush=True)

threads = [threading.Thread(target=talk, args=words.split(",")) for words in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def ends(topology: Topology, guest: str) -> Iterator[tuple[int, int, str, str]]:
    """Of each of a guest's links to another: its number, its unit here, the address here and there."""
    for number, link in enumerate(topology.links[: len(SIZES)]):
        for own, end in enumerate(link.spec.ends):
            if end.node == guest:
                yield number, end.unit, f"10.7.{number}.{1 + own}", f"10.7.{number}.{2 - own}"


def script(topology: Topology, guest: str, talk: Path) -> str:
    lines = ["up vec4 10.8.0.2/24"]
    own = list(ends(topology, guest))
    lines += [f"up vec{unit} {here}/24" for _, unit, here, _ in own]
    others = [f"meet up {other} || exit 1" for other in GUESTS if other != guest]
    lines += others
    for number, unit, _, there in own:
        full = SIZES[number] - 28
        lines.append(f"echo mtu{number}=$(cat /sys/class/net/vec{unit}/mtu); pings {there}")
        lines.append(f"ping -q -n -c 2 -i 0.05 -W 5 -M do -s {full} {there}; echo ping{number}=$?")
    lines.append("pings 10.8.0.1; echo host=$?")
    lines.append(f"{PYTHON} {talk} {SIZE} {' '.join(f'{number},{here},{there}' for number, _, here, there in own)}")
    return "\n".join([*lines, *(one.replace("meet up", "meet done") for one in others)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "talk.py").write_text(TALK)
    for name, value in settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def machines(folder: Path) -> Iterator[Machines]:
    need_command("ping", "ip")
    with running(folder) as machines:
        for host, address in SIX.items():
            machines[host].run("ip", "addr", "add", f"{address}/64", "nodad", "dev", "eth0")
        yield machines


def booted(machines: Machines, folder: Path, strings: dict[str, list[str]]) -> dict[str, Report]:
    """The guests, from their start to their end: each of its generation, on its machine."""
    topology = load(folder / "lab.yaml")
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="uml-"))  # short: sockets are in it
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        guests: dict[str, Guest] = {}
        for guest, (host, generation) in GUESTS.items():
            there = Place(place, machines[host].inside(), Kernel.of(generation))
            stack.callback(there.end)
            guests[guest] = there.boot(
                strings[guest], script(topology, guest, folder / "talk.py"), name=guest, words=()
            )
        return {name: guest.wait(120) for name, guest in guests.items()}


def test_guests_of_three_generations_on_three_machines_reach_each_other_by_every_tunnel(
    machines: Machines, folder: Path
) -> None:
    done = said("up", folder / "lab.yaml", "--json")
    assert done.exit_code == 0, (done.exception, done.stderr)
    assert names(machines) == {host: {"tap0"} for host in ADDRESSES}
    strings = {guest: [*one["strings"], *one["words"]] for guest, one in json.loads(done.stdout).items()}
    reports = booted(machines, folder, strings)
    topology = load(folder / "lab.yaml")
    for guest, report in reports.items():
        assert report.status == 0, report
        wanted = {"host": "0"}
        for number, *_ in ends(topology, guest):
            wanted |= {f"mtu{number}": str(SIZES[number]), f"ping{number}": "0", f"tcp{number}": "same"}
        assert report.values == wanted, report
    assert said("down", folder / "lab.yaml").exit_code == 0
    assert names(machines) == {host: set() for host in ADDRESSES}
