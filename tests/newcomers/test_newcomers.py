"""What a newcomer adds is one file each: a transport (with its C), a kind of interface, guests, a program outside, a
target of export.

Each is put into a copy of the project, and must work through check, up and loopback without another line changed.

    guest (the datapath) 10.9.0.1 │ near ══ veth ══ far │ vx-web, a VXLAN device of the kernel's, in the namespace blue
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.network import ip, private_network
from tests.need import need_root

pytestmark = pytest.mark.unsanitized
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LAB = """\
links:
  - transport: vxlan
    endpoints:
      web:vec0:    {local: 10.9.0.1, ip: 10.8.0.1/24}
      host:vx-web: {local: 10.9.0.2, ip: 10.8.0.2/24, netns: blue}
"""
GENERATION = '''\
"""Guests with kernel 9.9, which are not kind to an mtu that they cannot read."""

from vecnet.guests import uml_6_1
from vecnet.guests.guest import panics
from vecnet.guests.situation import Situation

GUEST = uml_6_1.GUEST.but((9, 9), {Situation.UNREADABLE: {"mtu": panics("it panics")}})
'''

# a program outside that sends every frame back
PROGRAM = '''\
"""mirror: sends every frame back."""

import sys

from vecnet.programs.base import PORTS, Program, Running, Wanted, connected
from vecnet.programs.process import Process

_PROGRAM = """
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
print("listens", flush=True)
guest, _ = listener.accept()
while frame := guest.recv(70000):
    guest.send(frame)
"""


class Mirror(Program):
    name = "mirror"
    transport = "bess"
    package = "mirror"
    keys = {"ports": PORTS}

    @classmethod
    def start(cls, wanted: Wanted) -> Running:
        path = f"{wanted.folder}/frames"
        process = Process(cls.name, [sys.executable, "-c", _PROGRAM, path], cls.package)
        process.wait_for("listens")
        return Running(process, connected(path, process).detach())
'''
TARGET = '''\
"""plain: the names of interfaces, one a line."""

from collections.abc import Mapping, Sequence

from vecnet.export.base import Made, Target


class Plain(Target):
    name = "plain"

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        return {topology: "".join(f"{one.interface.ifname}\\n" for one in made)}
'''
OUTSIDE = "name: seen\nlinks: [{transport: bess, endpoints: [web:vec0, outside:mirror]}]\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the newcomers in it, and the C compiled anew."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("vecnet", "_native"):
        leave_out = shutil.ignore_patterns("*.so", "__pycache__", "generated")
        shutil.copytree(ROOT / name, copy / name, ignore=leave_out)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copy(HERE / "vxlan_transport.py", copy / "vecnet/transports/vxlan.py")
    shutil.copy(HERE / "vxlan_transport.c", copy / "_native/transports/vxlan.c")
    shutil.copy(HERE / "vxlan_kind.py", copy / "vecnet/host/kinds/vxlan.py")
    (copy / "vecnet/guests/uml_9_9.py").write_text(GENERATION)
    subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=copy, check=True)
    (copy / "vecnet/programs/mirror.py").write_text(PROGRAM)
    (copy / "vecnet/export/plain.py").write_text(TARGET)
    (copy / "lab.yaml").write_text(LAB)
    (copy / "seen.yaml").write_text(OUTSIDE)
    return copy


@pytest.fixture
def network() -> Iterator[None]:
    need_root()
    with private_network():
        ip("link", "set", "lo", "up")
        ip("netns", "add", "blue")
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", "blue")
        for where, name, address in ((), "near", "10.9.0.1/24"), (("-n", "blue"), "far", "10.9.0.2/24"):
            ip(*where, "addr", "add", address, "dev", name)
            ip(*where, "link", "set", name, "up")
        yield


def vecnet(project: Path, *words: str, code: int = 0) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VECNET_")}
    environment["PYTHONPATH"] = str(project)
    done = subprocess.run(
        [sys.executable, "-m", "vecnet", *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_transport_and_a_kind_of_interface_carry_packets(project: Path, network: None) -> None:
    vecnet(project, "check", "lab.yaml")
    (string,) = vecnet(project, "up", "lab.yaml", "--guest", "web").split()
    assert string.startswith("vec0:transport=vxlan,")
    assert vecnet(project, "up", "lab.yaml", "--guest", "web").split() == [string]
    assert '"steps": []' in json.dumps(json.loads(vecnet(project, "plan", "lab.yaml", "--json")))
    (entry,) = json.loads(vecnet(project, "status", "lab", "--json"))
    assert (entry["kind"], entry["ifname"], entry["healthy"]) == ("vxlan", "vx-web", True)

    report = json.loads(vecnet(project, "loopback", "lab.yaml", "--json", "-"))
    (link,) = report["links"]
    passed = {result["probe"] for result in link["probes"] if result["verdict"] == "pass"}
    assert {"open", "frames", "mtu", "ping", "tcp", "burst"} <= passed

    vecnet(project, "down", "lab")
    assert "vx-web" not in ip("-n", "blue", "link")


def test_a_generation_of_guests_is_one_table(project: Path) -> None:
    program = """
import vecnet
from vecnet.guests import GENERATIONS
for guest in GENERATIONS:
    print(guest, vecnet.explain("vec0:transport=tap,ifname=a,gro=1,mtu=x", str(guest)).severity)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].split()[0] == "9.9"
    assert "panic" in lines[-1]
    assert not any("panic" in line for line in lines[:-1])


def test_a_target_of_export_is_one_file(project: Path) -> None:
    shutil.copy(ROOT / "topologies/tap.yaml", project)
    assert vecnet(project, "export", "tap.yaml", "--for", "plain") == "tap-one\n"
    for target in ("plain", "netplan", "iproute2"):  # which do not know the new kind of interface
        assert not vecnet(project, "export", "lab.yaml", "--for", target, code=2)


def test_a_program_outside_is_one_file(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame comes back; and the guest that `vecnet run` starts gets it, too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    vecnet(project, "check", "seen.yaml")
    (string,) = vecnet(project, "args", "seen.yaml").split()
    frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + bytes(48)
    guest = f"import vecnet\nwith vecnet.open_port({string!r}) as port: port.send({frame!r}); print(port.recv(20))"
    assert vecnet(project, "run", "seen.yaml", "--", sys.executable, "-c", guest) == f"[{frame!r}]\n"
    schema = "from vecnet.topology import schema; print(schema.text())"
    done = subprocess.run([sys.executable, "-c", schema], cwd=project, capture_output=True, text=True, check=True)
    assert "^outside:mirror$" in done.stdout
