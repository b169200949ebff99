"""--on: one host's part of a topology, on hosts that are network namespaces of one machine each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.cli.command import vecnet as command
from tests.host.network import ip, two_hosts, within
from tests.need import need_root
from vecnet.cli import vecnet
from vecnet.errors import InputError

LAB = """
name: lab
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
switches: {lan: {on: beta}}
bridges: {alpha:br0: {ip: 10.0.0.1/24}, beta:br0: {}}
links:
  - {transport: tap, endpoints: {web:vec0: , alpha:tap0: {bridge: br0}}}
  - {transport: raw, endpoints: {db:vec0: , beta:tap0: {bridge: br0}}}
  - {transport: l2tpv3, endpoints: [web:vec1, db:vec1]}
  - {transport: bess, endpoints: [db:vec2, lan:db]}
"""


def said(*words: str) -> Result:
    """What a command says, in this process."""
    return CliRunner().invoke(vecnet, [*words])


def refused(*words: str) -> str:
    """What a command says of input that is wrong."""
    done = said(*words)
    assert isinstance(done.exception, InputError), done
    assert not done.stdout
    return str(done.exception)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return str(path)


@pytest.fixture
def machines() -> Iterator[None]:
    """The hosts alpha and beta, with a way between them."""
    need_root()
    with two_hosts():
        yield


def interfaces(host: str) -> set[str]:
    return {entry["ifname"] for entry in json.loads(ip("-n", host, "-j", "link"))} - {"lo", "eth0"}


@pytest.mark.usefixtures("machines")
def test_up_to_down_on_each_host(file: str) -> None:
    made = {"alpha": {"br0", "tap0"}, "beta": {"br0", "tap0", "p-tap0"}}
    for host, guest in (("alpha", "web"), ("beta", "db")):
        with within(host):
            assert "create" in said("plan", file, "--on", host).stdout
            up = said("up", file, "--on", host)
            assert up.exit_code == 0, up.exception
            assert up.stdout == said("args", file, "--on", host, "--guest", guest).stdout
            assert said("plan", file, "--on", host).stdout.startswith("lab: nothing to do")
            assert said("status", file, "--on", host).exit_code == 0
            if host == "alpha":  # whose guest needs nobody who serves: this process would be its kernel
                assert command("run", file, "--on", host, "--", "echo").stdout.split() == up.stdout.split()
        assert interfaces(host) == made[host]
    with within("alpha"):
        assert said("down", file, "--on", "alpha").exit_code == 0
    assert (interfaces("alpha"), interfaces("beta")) == (set(), made["beta"])


@pytest.mark.usefixtures("machines")
def test_another_hosts_part_is_refused_by_its_address(file: str) -> None:
    with within("alpha"):
        wrong = said("up", file, "--on", "beta")
        assert "the address 192.0.2.12 is on no interface of this host" in str(wrong.exception)
    assert interfaces("alpha") == set()


@pytest.mark.parametrize(
    "words",
    [
        ("args",),
        ("serve",),
        ("run", "--", "true"),
        ("sandbox",),
        ("capture", "web:vec0"),
        ("plug",),
        ("doctor",),
    ],
    ids=lambda words: words[0],
)
def test_a_topology_of_hosts_needs_one_of_them(words: tuple[str, ...], file: str) -> None:
    name, *rest = words
    assert "lab is for the hosts alpha, beta, and it is not said which of them this is" in refused(name, file, *rest)
    assert "lab has no host 'bta'; did you mean beta?" in refused(name, file, "--on", "bta", *rest)


@pytest.mark.parametrize("name", ["up", "plan", "down", "status"])
def test_one_of_the_hosts_is_meant_by_its_own_name(name: str, file: str) -> None:
    wrong = refused(name, file, "--on", "bta")
    assert "lab has no host 'bta'; did you mean beta? its hosts are alpha, beta" in wrong


def test_an_inventory_is_for_all_hosts(file: str, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.touch()
    (tmp_path / "tap.yaml").write_text("links: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n")
    for name in ("up", "plan", "down", "status"):
        assert "is for one of them; leave one of them out" in refused(name, file, "--on", "beta", "-i", str(inventory))
        assert "tap names no hosts" in refused(name, str(tmp_path / "tap.yaml"), "-i", str(inventory))
    assert "goes with a FILE, and 'lab' is a topology's name" in refused("down", "lab", "-i", str(inventory))
    assert "--inventory goes with a FILE" in refused("status", "-i", str(inventory))


def test_on_goes_with_a_topology_of_hosts(tmp_path: Path) -> None:
    (tmp_path / "tap.yaml").write_text("links: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n")
    assert "tap names no hosts" in refused("args", str(tmp_path / "tap.yaml"), "--on", "alpha")
    assert "--on goes with a topology" in refused("loopback", "vec0:transport=fd,fd=3", "--on", "alpha")
    assert "--on alpha goes with a FILE" in refused("down", "lab", "--on", "alpha")
    assert "--on goes with a FILE" in refused("status", "--on", "alpha")


def test_only_the_hosts_own_guests_are_there(file: str) -> None:
    assert "lab has no guest 'web' on beta" in refused("args", file, "--on", "beta", "--guest", "web")
    assert "its guests are db" in refused("run", file, "--on", "beta", "--guest", "web", "--", "true")
    assert "lab has no switch and no program outside on alpha" in refused("serve", file, "--on", "alpha")


def test_check_looks_at_all_hosts(file: str) -> None:
    done = said("check", file)
    assert "lab is valid: 4 links, guests: db, web, hosts: alpha, beta" in done.stdout
    assert json.loads(said("check", file, "--json").stdout)["hosts"] == ["alpha", "beta"]
