"""vecnet loopback of vde links: through a real vde_switch to a neighbour that is played, or to a tap.

the guest's string ── vde_plug ══ vde_switch, vxvde ══ vde_plug ── a neighbour's
                  └── vde_plug ── a tap of the host's
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.datapath.networks import vde_switch
from tests.datapath.wires import tap
from tests.host.network import ip, private_network
from tests.loopback.test_loopback import in_sandbox
from tests.need import need, need_command, need_root
from tests.test_launch import vecnet


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    need_command("vde_plug")
    with private_network():
        ip("link", "set", "lo", "up")
        yield


def loopback(*words: str | Path, code: int = 0) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The only link that it reports, and its probes by their names."""
    done = vecnet("loopback", *words, "--json", "-")
    assert done.returncode == code, done.stdout + done.stderr
    (link,) = json.loads(done.stdout)["links"]
    return link, {probe["probe"]: probe for probe in link["probes"]}


def test_the_example_passes_through_a_real_switch(tmp_path: Path) -> None:
    file = tmp_path / "vde.yaml"
    file.write_text(Path("topologies/vde.yaml").read_text().replace("/run/vde.ctl", f"{tmp_path}/sw"))
    with vde_switch(tmp_path / "sw"):
        done = in_sandbox(file, "--json", "-")
    assert done.returncode == 0, done.stdout + done.stderr
    (link,) = json.loads(done.stdout)["links"]
    probes = {probe["probe"]: probe["verdict"] for probe in link["probes"]}
    assert {name for name, verdict in probes.items() if verdict == "pass"} >= {
        *("open", "frames", "mtu", "burst", "latency", "throughput")
    }
    assert (link["far_end"], probes["ping"]) == ("a simulated neighbour", "n/a")


@pytest.mark.parametrize("url", ["vde://{}", "{}", "{}[3]"], ids=["url", "path", "port"])
def test_a_string_alone_says_where_its_network_is(tmp_path: Path, url: str) -> None:
    string = f"vec0:transport=vde,vnl={url.format(tmp_path / 'sw')}"
    with vde_switch(tmp_path / "sw"):
        link, probes = loopback(string, "--probe", "frames")
        assert (link["link"], probes["frames"]["verdict"]) == ("vec0--outside:vde", "pass")
        done = vecnet("loopback", string, "--probe", "open")
    assert "far end: a simulated neighbour, and not the one that the guest will meet" in done.stdout


def test_a_port_of_the_switchs_that_the_guest_has_is_left_to_it(tmp_path: Path) -> None:
    with vde_switch(tmp_path / "sw"):
        loopback(f"vec0:transport=vde,vnl=vde://{tmp_path}/sw,port=3,descr=web", "--probe", "frames")


def test_what_a_switch_cuts_short_fails(tmp_path: Path) -> None:
    with vde_switch(tmp_path / "sw"):
        _, probes = loopback(f"vec0:transport=vde,vnl={tmp_path}/sw,mtu=9000", "--probe", "frames", code=1)
    assert "came cut short" in probes["frames"]["reason"]


@pytest.mark.parametrize("url", ["vde:///none", "none://x", "/none"])
def test_a_guest_that_would_come_up_deaf_fails(url: str, tmp_path: Path) -> None:
    _, probes = loopback(f"vec0:transport=vde,vnl={url}", code=1)
    assert probes["open"]["reason"].startswith("vde_plug has ended")
    topology = tmp_path / "deaf.yaml"
    topology.write_text(
        f'name: d\nlinks: [{{transport: vde, endpoints: {{"a:vec0": {{}}, "outside:vde": {{url: "{url}"}}}}}}]'
    )
    _, probes = loopback(topology, code=1)
    assert probes["open"]["reason"].startswith("vde_plug has ended")


def test_a_missing_program_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ip").symlink_to("/usr/sbin/ip")
    monkeypatch.setenv("PATH", str(tmp_path))
    _, probes = loopback("vec0:transport=vde,vnl=slirp://", code=1)
    assert "there is no vde_plug in PATH" in probes["open"]["reason"]


def test_a_network_with_nobody_to_play_is_no_pass() -> None:
    need(list(Path("/usr/lib").glob("*/vdeplug/libvdeplug_slirp.so")), "needs Debian's libvdeplug-slirp")
    _, probes = loopback("vec0:transport=vde,vnl=slirp://", code=3)
    end = "outside:vde, the other end of a vde link"
    assert probes["open"]["reason"] == f"vec0 opens, and vecnet cannot play {end}"


def test_a_tap_of_the_hosts_is_the_real_other_end() -> None:
    tap("tap9", vnet_hdr=False)
    link, probes = loopback("vec0:transport=vde,vnl=tap://tap9", "--probe", "frames", "--probe", "burst")
    assert (link["link"], link["far_end"]) == ("vec0--host:tap9", "the host")
    assert {probe["verdict"] for probe in probes.values()} == {"pass"}
    _, probes = loopback("vec0:transport=vde,vnl=tap://none", code=1)
    assert "there is no interface none" in probes["open"]["reason"]


def test_vxvde_has_a_neighbour() -> None:
    ip("route", "add", "224.0.0.0/4", "dev", "lo")
    link, probes = loopback("vec0:transport=vde,vnl=vxvde://239.1.2.3,mtu=9000", "--probe", "frames", "--probe", "mtu")
    assert link["far_end"] == "a simulated neighbour"
    assert {probe["verdict"] for probe in probes.values()} == {"pass"}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with vde_switch(tmp_path / "sw"):
        loopback(f"vec0:transport=vde,vnl=vde://{tmp_path}/sw", "--probe", "frames")
    running = [name.read_text() for name in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [words for words in running if "vde_plug" in words and str(tmp_path) in words]
