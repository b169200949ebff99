"""The examples in topologies/: each loads, opens with its wiring drawn, and together they show every transport."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.need import need_command, need_root
from vecnet import parse
from vecnet.topology import Topology, load
from vecnet.transports import TRANSPORTS
from vecnet.transports.link import HostInterface

EXAMPLES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))


def made(path: Path) -> Topology:
    return load(path, underlay=lambda *way: 65535 if way[0].startswith("127.") else None)  # as any host has it


def interfaces(topology: Topology) -> list[HostInterface]:
    """Those of all machines."""
    parts = [topology.on(name) for name in topology.hosts] or [topology]
    return [interface for part in parts for interface in part.interfaces]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example(path: Path) -> None:
    text = path.read_text()
    drawing = text.partition("name:")[0]
    assert text.startswith("#")
    assert "─" in drawing
    topology = made(path)
    assert topology.name == path.stem
    for guest in topology.guests:
        assert guest in drawing
        for device in topology.devices(guest):
            assert str(parse(str(device))) == str(device)
    for interface in interfaces(topology):
        assert interface.ifname in text
        if interface.kind in ("gretap", "ip6gretap", "l2tp"):
            assert f"mtu {interface.mtu} " in drawing  # the commands by hand do the same


PLAYED = """
import os
from vecnet import open_port
from vecnet.topology import load
(device,) = load("topologies/bess.yaml").devices("web")
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
with open_port(device, role="switch") as switch, open_port(device) as guest:
    guest.send([b"a frame that nobody needs a right for"])
    print(*switch.recv(timeout=5))
"""


def test_the_switch_of_an_example_needs_no_root() -> None:
    need_root()  # to be another user than root
    need_command("unshare")
    words = [sys.executable, "-c", PLAYED]
    hidden = Path(sys.prefix).is_relative_to("/tmp")  # where the tests themselves are in it
    own_tmp = [] if hidden else ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"]
    done = subprocess.run([*own_tmp, *words], capture_output=True, text=True, check=False)
    assert done.stdout == "b'a frame that nobody needs a right for'\n", done.stderr


def test_every_transport_and_a_lab() -> None:
    topologies = [made(path) for path in EXAMPLES]
    links = [link for topology in topologies for link in topology.links]
    assert {link.transport for link in links} == set(TRANSPORTS)
    assert {len(topology.hosts) for topology in topologies} == {0, 2, 3}
    assert {interface.kind for link in links for interface in link.interfaces} == {
        "tap",
        "veth",
        "gretap",
        "ip6gretap",
        "l2tp",
    }
    lab = made(next(path for path in EXAMPLES if path.name == "lab.yaml"))
    assert len(lab.guests) >= 3
    assert lab.bridges


def test_names_and_inner_networks_of_the_examples_do_not_meet() -> None:
    """So all of them can be up at once."""
    seen: dict[str, str] = {}
    for path in EXAMPLES:
        every = interfaces(made(path))
        names = {i.ifname for i in every}
        names |= {address.rpartition(".")[0] for i in every for address in i.addresses if "." in address}
        for name in names:
            assert name not in seen, f"{name} of {path.name} is in {seen[name]} too"
            seen[name] = path.name
