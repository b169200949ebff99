"""vecnet graph: what is drawn, in each language; Graphviz itself reads what is written for it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.command import TOPOLOGIES, answer, refused, vecnet
from tests.host.network import private_network
from tests.need import need_command, need_root
from vecnet.graph.dot import as_dot, as_svg
from vecnet.graph.mermaid import as_mermaid
from vecnet.graph.picture import Box, Kind, Picture, State, Wire, picture
from vecnet.topology import load, loads

FILES = sorted(TOPOLOGIES.glob("*.yaml"))
HOSTILE = 'a"]--x<b>\\n"; } # \x1b[31m%\n'
STRANGE = Picture(
    HOSTILE,
    (Box("one", Kind.GUEST, (HOSTILE,), HOSTILE), Box("two", Kind.SWITCH, (HOSTILE,), state=State.UP)),
    (Wire(("one", "two"), (HOSTILE,), ((HOSTILE,), ()), State.WRONG),),
)


def read(text: str) -> dict[str, list[dict[str, str]]]:
    """What Graphviz has understood."""
    need_command("dot")
    done = subprocess.run(["dot", "-Tjson0"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_example_has_all_its_parts(file: Path) -> None:
    topology = load(str(file))
    drawn = picture(topology)
    assert {box.lines[0] for box in drawn.boxes if box.kind is Kind.GUEST} == {*topology.guests}
    assert {box.lines[0] for box in drawn.boxes if box.kind is Kind.SWITCH} == {*topology.switches}
    interfaces = [box for box in drawn.boxes if box.kind is Kind.INTERFACE]
    assert len(interfaces) == sum(end.is_host for link in topology.links for end in link.spec.ends)
    members = sum(end.bridge is not None for link in topology.links for end in link.spec.ends)
    assert len(drawn.wires) == len(topology.links) + members
    assert {box.machine for box in drawn.boxes if box.machine} <= {*topology.hosts}
    understood = read(as_dot(drawn))
    assert len(understood["edges"]) == len(drawn.wires)
    assert len([one for one in understood["objects"] if one["name"].startswith("n")]) == len(drawn.boxes)


def test_a_wire_says_what_it_is() -> None:
    topology = loads(
        "name: lab\nlinks:\n- {transport: tap, mtu: 1400, impair: loss 1%, endpoints: "
        "{web:vec0: {ip: 10.0.0.2/24}, host:tap-web: {ip: 10.0.0.1/24}}}\n"
    )
    (wire,) = picture(topology).wires
    assert wire.lines == ("tap", "MTU 1400", "loss 1% seed 1")
    assert wire.at_ends == (("vec0", "10.0.0.2/24"), ())
    assert 'n0["web"]' in as_mermaid(picture(topology))
    assert "vec0 10.0.0.2/24<br/>tap MTU 1400 loss 1% seed 1" in as_mermaid(picture(topology))


def test_a_guest_is_named_with_the_kernel_that_the_file_states() -> None:
    topology = loads("name: lab\nguests: {a: {kernel: 6.12}}\nlinks:\n- {transport: fd, endpoints: [a:vec0, b:vec0]}\n")
    assert [box.lines for box in picture(topology).boxes] == [("a", "kernel 6.12"), ("b",)]


def test_no_text_leaves_its_place() -> None:
    understood = read(as_dot(STRANGE))
    assert len(understood["edges"]) == 1
    assert {one["name"] for one in understood["objects"]} >= {"n0", "n1"}
    for line in as_mermaid(STRANGE).splitlines():
        within = re.sub(r'"[^"]*"', "", line)
        assert not set(within) & set("%<\\\x1b#") or within.strip().startswith(("style", "linkStyle")), line
    assert "\x1b" not in as_dot(STRANGE) + as_mermaid(STRANGE)


def test_graphviz_draws_it() -> None:
    need_command("dot")
    root = ElementTree.fromstring(as_svg(picture(load(str(TOPOLOGIES / "lab.yaml")))))
    assert root.tag.endswith("svg")
    said = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"web", "tap-web"} <= said


def test_the_command(tmp_path: Path) -> None:
    lab = TOPOLOGIES / "lab.yaml"
    assert answer("graph", lab).startswith("flowchart LR\n")
    assert answer("graph", lab, "--format", "dot").startswith('graph "lab" {\n')
    assert "names no hosts" in refused("graph", lab, "--on", "alpha")
    need_root()
    with private_network():
        states = ("#9e9e9e", "#2e7d32")
        drawn = [answer("graph", lab, "--state")]
        vecnet("up", lab)
        drawn.append(answer("graph", lab, "--state"))
    for colour, text in zip(states, drawn, strict=True):
        assert set(re.findall(r"#[0-9a-f]{6}", text)) == {colour}
