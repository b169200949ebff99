"""The kernels that guests boot, as a topology states them, and what their command lines need beside strings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import EXECUTABLE, answer, environment, refused, vecnet
from tests.need import need_command
from vecnet.errors import InputError
from vecnet.guests.kernel import of_version
from vecnet.topology import Topology, loads

VDE = 'links: [{transport: vde, endpoints: {web:vec0: {}, outside:vde: {url: "slirp://"}}}]\n'
ENDS = "endpoints: {a:vec0: {local: 127.0.0.2}, b:vec0: {local: 127.0.0.3}}"
IP = f"links: [{{transport: l2tpv3, encap: ip, mtu: 1300, {ENDS}}}]\n"
CLEAR = ("init_on_alloc=1",)


def made(text: str, **options: object) -> Topology:
    return loads(text, underlay=lambda *_: 1500, **options)  # type: ignore[arg-type]


def versions(topology: Topology) -> dict[str, list[str]]:
    return {guest: [str(one) for one in topology.kernel(guest).guests] for guest in topology.guests}


def test_a_guest_states_its_kernel() -> None:
    topology = made(f"guests: {{a: {{kernel: 7.2.7}}, b: }}\n{IP}")
    assert versions(topology) == {"a": ["7.2"], "b": ["6.1", "6.12", "7.2"]}
    assert topology.kernel("a").stated == "7.2.7"


@pytest.mark.parametrize("kernel", ["6.10", "'6.10'", "6.10.3"])
def test_a_version_keeps_its_text(kernel: str) -> None:
    assert versions(made(f"guests: {{a: {{kernel: {kernel}}}}}\n{IP}"))["a"] == ["6.1"]


def test_a_kernel_that_is_not_stated_is_the_one_asked_for() -> None:
    topology = made(f"guests: {{a: {{kernel: 6.1}}}}\n{IP}", kernel=of_version("7.2"))
    assert versions(topology) == {"a": ["6.1"], "b": ["7.2"]}


def test_a_binary_is_read_from_the_files_folder_and_never_run(tmp_path: Path) -> None:
    binary = tmp_path / "linux"
    binary.write_bytes(b"#!/bin/sh\ntouch ran\n" + bytes(100) + b"Linux version 6.12.5 (gcc)\n")
    binary.chmod(0o755)
    file = tmp_path / "lab.yaml"
    file.write_text(f"guests: {{web: {{kernel: ./linux}}}}\n{VDE}")
    assert json.loads(answer("check", "--json", file))["kernels"] == {"web": ["6.12"]}
    assert sorted(tmp_path.iterdir()) == [file, binary]
    file.write_text(f"guests: {{web: {{kernel: {binary}}}}}\n{VDE}")
    assert "valid" in answer("check", file)


def test_a_link_that_every_guest_with_its_transport_takes() -> None:
    topology = made(VDE)
    assert str(topology.devices("web")[0]).startswith("vec0:transport=vde,vnl=slirp://,mac=02:")
    assert topology.links[0].spec.ends[1].is_host is False
    assert topology.interfaces == ()


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (f"{{transport: l2tpv3, encap: ip, {ENDS}}}", CLEAR),
        (f"{{transport: l2tpv3, {ENDS}}}", ()),
        (f"{{transport: gre, {ENDS}}}", ()),
        (f"{{transport: gre, key: on, {ENDS}}}", CLEAR),
        (f"{{transport: gre, key: on, sequence: on, {ENDS}}}", ()),
        ("{transport: l2tpv3, encap: ip, endpoints: {a:vec0: {local: 'fd00::1'}, b:vec0: {local: 'fd00::2'}}}", ()),
    ],
)
def test_words_beside_the_strings(link: str, words: tuple[str, ...]) -> None:
    topology = made(f"links: [{link}]\n")
    assert topology.words("a") == topology.words("b") == words


def test_words_are_the_guests_own() -> None:
    tap = "  - {transport: tap, endpoints: [c:vec0, host:tap0]}\n"
    topology = made(f"links:\n  - {{transport: l2tpv3, encap: ip, {ENDS}}}\n{tap}")
    assert {guest: topology.words(guest) for guest in topology.guests} == {"a": CLEAR, "b": CLEAR, "c": ()}
    with pytest.raises(InputError, match="has no guest 'x'"):
        topology.words("x")


def test_every_form_tells_words_from_strings(tmp_path: Path) -> None:
    need_command("sh")
    file = tmp_path / "ip.yaml"
    file.write_text(IP)
    string = str(made(f"name: ip\n{IP}").devices("a")[0])
    assert answer("args", file, "--guest", "a") == f"{string}\ninit_on_alloc=1\n"
    assert answer("args", file).splitlines()[:2] == [f"a\t{string}", "a\tinit_on_alloc=1"]
    assert json.loads(answer("args", file, "--json", "-g", "a")) == {
        "a": {"strings": [string], "words": ["init_on_alloc=1"]}
    }
    assert answer("args", file, "--format", "shell", "-g", "a") == f"{string} init_on_alloc=1\n"
    script = 'eval "$("$0" args "$1" --format shell)"; printf "%s\\n" $vec_a -- $words_a'
    done = subprocess.run(
        ["sh", "-c", script, EXECUTABLE, file],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert done.stdout.split() == [string, "init_on_alloc=1", "--", "init_on_alloc=1"]


def test_check_says_what_a_guest_needs(tmp_path: Path) -> None:
    file = tmp_path / "ip.yaml"
    file.write_text(IP)
    said = answer("check", file)
    assert "note: a needs init_on_alloc=1 beside its strings, as args, up and run give it" in said
    assert json.loads(answer("check", "--json", file))["words"] == {"a": ["init_on_alloc=1"], "b": ["init_on_alloc=1"]}
    assert "10.0 is newer than all that was measured" in answer("check", "--kernel", "10.0", file)
    file.write_text(VDE)
    assert "note: web has a vde link, and the kernel 6.1 has no transport vde" in answer("check", file)
    assert "6.1 has no transport vde" in refused("check", "--kernel", "6.1", file)


def test_run_gives_the_words_once(tmp_path: Path) -> None:
    file = tmp_path / "ip.yaml"
    file.write_text(IP)
    string = str(made(f"name: ip\n{IP}").devices("a")[0])
    assert answer("run", file, "-g", "a", "--", "echo", "mem=1") == f"mem=1 {string} init_on_alloc=1\n"
    given = answer("run", file, "-g", "a", "--", "echo", "init_on_alloc=1")
    assert given == f"init_on_alloc=1 {string}\n"


def test_run_asks_the_binary_that_it_starts(tmp_path: Path) -> None:
    """A script whose bytes say that it is a kernel stands for one: nothing of it runs where it does not fit."""
    file = tmp_path / "vde.yaml"
    file.write_text(VDE)
    linux = tmp_path / "linux"
    linux.write_text("#!/bin/sh\necho started; exit 0\nLinux version 6.1.176 (gcc)\n")
    linux.chmod(0o755)
    done = vecnet("run", file, "--", linux)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{linux} is 6.1.176, and of web's vec0: 6.1 has no transport vde; boot a later kernel" in done.stderr
    linux.write_text(linux.read_text().replace("6.1.176", "6.12.5"))
    assert answer("run", file, "--", linux) == "started\n"
