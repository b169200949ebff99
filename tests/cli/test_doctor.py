"""vecnet doctor: what this machine lacks, each thing taken away for real, in namespaces of the test's own."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.command import EXECUTABLE, LAB, TAP, TOPOLOGIES, environment, refused
from tests.host.network import private_network
from tests.need import need, need_command, need_root
from tests.uml import fetch
from vecnet import host, load
from vecnet.cli.doctor import command
from vecnet.doctor import Finding, State, guest, kernel, programs, rights
from vecnet.errors import HostError, InputError
from vecnet.topology import loads

ROOTLESS = TOPOLOGIES / "rootless.yaml"
NO_GUEST = str(EXECUTABLE.parent)  # a PATH that has no guest's kernel, which saves a boot


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    with private_network():
        yield


def doctor(*words: str | Path, before: tuple[str, ...] = (), **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Its exit status, and its findings by what they are of."""
    done = subprocess.run(
        [*before, EXECUTABLE, "doctor", "--json", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment(**env),
        timeout=60,
    )
    assert not done.stderr
    return done.returncode, {one["what"]: one for one in json.loads(done.stdout)}


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def one(findings: Iterator[Finding], what: str) -> Finding:
    (found,) = (finding for finding in findings if finding.what == what)
    return found


@pytest.mark.uml
def test_a_guests_kernel_boots() -> None:
    """Of another generation than the machine's own, which the next test boots."""
    path = fetch.kernel("7.2")
    need(path, "needs a guest's kernel of 7.2")
    found = guest.examine(guest.binary(path), ("a link",))
    assert found.state is State.OK, found
    assert ", 7.2" in found.said


@pytest.mark.parametrize(
    ("release", "mend"),
    [
        ("ID=debian", "apt-get install user-mode-linux, or --linux PATH"),
        (
            "ID=mint\nID_LIKE='ubuntu debian'",
            "Ubuntu has no user-mode-linux; install Debian's as the tutorial says, or --linux PATH",
        ),
    ],
)
def test_where_a_guests_kernel_is_to_be_had(release: str, mend: str, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(f"{release}\n")
    for name in ("/etc/os-release", "/usr/lib/os-release"):  # one may be a link to the other
        mount("--bind", str(tmp_path / "os-release"), name)
    _, found = doctor(PATH=NO_GUEST)
    assert (found["guest"]["state"], found["guest"]["mend"]) == ("note", mend)


@pytest.mark.uml
def test_an_ordinary_user_whose_guests_may_too_little(tmp_path: Path) -> None:
    """CAP_NET_RAW is in the bounding set of nobody, so that the command that is printed gives it to the binary."""
    need_command("linux.uml", "setpriv", "setcap")
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    status, found = doctor(LAB, before=user)
    assert status == 1
    assert found["guest"]["state"] == "ok"
    raw = found["CAP_NET_RAW"]
    assert (raw["state"], len(raw["needed"])) == ("missing", 3)
    assert found["CAP_NET_ADMIN"]["mend"] == f"sudo vecnet up {shlex.quote(str(LAB))}"
    linux = tmp_path / "linux"
    shutil.copy(found["guest"]["said"].partition(",")[0], linux)
    command = raw["mend"].partition(", or")[0].split()
    assert command[:2] == ["sudo", "setcap"]
    assert rights.file_capabilities(str(linux)) == set()
    subprocess.run([*command[1:3], linux], check=True)
    assert [str(one) for one in rights.file_capabilities(str(linux))] == ["CAP_NET_RAW"]


@pytest.mark.uml
def test_a_kernel_that_does_not_boot() -> None:
    need_command("linux.uml")
    Path("/run/tmp").mkdir()
    mount("-t", "tmpfs", "-o", "noexec", "vecnet", "/dev/shm")
    mount("-t", "tmpfs", "-o", "noexec", "vecnet", "/run/tmp")
    found = guest.examine(guest.binary(None), ("a link",))
    assert found.state is State.MISSING
    assert "does not boot" in found.said
    assert found.mend.startswith("mount -o remount,exec /dev/shm")


def test_a_word_that_is_no_kernel() -> None:
    assert "'/bin/sh' is no kernel that can be started" in refused("doctor", "--linux", "/bin/sh")
    with pytest.raises(InputError, match="'nowhere' is no kernel"):
        guest.binary("nowhere")


def test_no_device_for_taps() -> None:
    assert one(kernel.examine(load(TAP)), "tun").state is State.OK
    mount("-t", "tmpfs", "vecnet", "/dev/net")
    status, found = doctor(TAP, PATH=NO_GUEST)
    assert status == 1
    assert found["tun"]["state"] == "missing"
    assert found["tun"]["needed"] == [link.name for link in load(TAP).links]
    assert "/dev/net/tun c 10 200" in found["tun"]["mend"]
    assert found["guest"]["state"] == "note"
    assert one(kernel.examine(None), "tun").needed == ()


def test_settings_that_keep_packets_back() -> None:
    strict = Path("/proc/sys/net/ipv4/conf/all/rp_filter")
    strict.write_text("0")
    assert not [found for found in kernel.examine(load(TAP)) if found.state is State.NOTE]
    strict.write_text("1")
    note = one(kernel.examine(load(TAP)), "rp_filter")
    assert note.state is State.NOTE
    subprocess.run(note.mend.split(), check=True, stdout=subprocess.DEVNULL)
    assert strict.read_text().strip() == "2"


def test_a_bridge_whose_frames_pass_iptables() -> None:
    lab = loads("bridges: {br0: }\nlinks: [{transport: tap, endpoints: {a:vec0: {}, host:t0: {bridge: br0}}}]")
    filtered = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    need(filtered.exists(), "needs the module br_netfilter")
    filtered.write_text("1")
    assert "iptables" in one(kernel.examine(lab), "br_netfilter").said
    subprocess.run(one(kernel.examine(lab), "br_netfilter").mend.split(), check=True, stdout=subprocess.DEVNULL)
    assert "br_netfilter" not in {found.what for found in kernel.examine(lab)}


def test_a_machine_that_forbids_user_namespaces() -> None:
    """The setting is each user namespace's own: it is forbidden in one."""
    need_command("unshare")
    forbidden = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    within = ("/usr/bin/unshare", "--user", "--map-root-user", "--net", "/bin/sh", "-c", forbidden, "sh")
    status, found = doctor(TAP, before=within, PATH=NO_GUEST)
    assert status == 0  # root may make networks without
    assert found["user namespaces"]["state"] == "note"
    assert found["user namespaces"]["mend"] == "sysctl -w user.max_user_namespaces=15000"
    dropped = (*within, "/usr/bin/setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    status, found = doctor(TAP, before=dropped, PATH=NO_GUEST)
    assert status == 1
    assert (found["user namespaces"]["state"], found["CAP_NET_ADMIN"]["state"]) == ("missing", "missing")


def test_an_ordinary_users_question_is_asked_in_a_network_of_its_own() -> None:
    need_command("setpriv")
    ordinary = ("/usr/bin/setpriv", "--reuid", "65534", "--clear-groups")
    _, root = doctor(PATH=NO_GUEST)
    _, user = doctor(before=ordinary, PATH=NO_GUEST)
    modules = ("veth", "bridge", "ip_gre", "ip6_gre", "l2tp_netlink")
    assert [user[name]["state"] for name in modules] == [root[name]["state"] for name in modules]
    assert root["veth"]["state"] == "ok"


def test_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    need_command("slirp4netns")
    found = one(programs.examine(load(ROOTLESS)), "slirp4netns")
    assert found.state is State.OK
    assert ", version " in found.said
    monkeypatch.setenv("PATH", NO_GUEST)
    missing = one(programs.examine(load(ROOTLESS)), "slirp4netns")
    assert (missing.state, missing.mend) == (State.MISSING, "apt-get install slirp4netns")
    assert missing.needed
    assert {finding.what for finding in programs.examine(None)} >= {"slirp4netns", "passt", "vde_plug"}


@pytest.mark.parametrize(
    "link",
    [
        "{transport: raw, endpoints: [a:vec0, host:v0]}",
        "{transport: gre, endpoints: {a:vec0: {local: 127.0.0.2}, host:g0: {local: 127.0.0.1}}}",
        "{transport: l2tpv3, encap: ip, endpoints: {a:vec0: {local: 127.0.0.2}, host:l0: {local: 127.0.0.1}}}",
    ],
)
def test_it_knows_of_the_kernel_what_up_does(link: str) -> None:
    says_what_up_does(f"links: [{link}]")


@pytest.mark.kernel
@pytest.mark.parametrize("encap", ["udp", "ip"])
def test_of_a_kernel_that_has_tunnels(encap: str) -> None:
    ends = "{a:vec0: {local: 127.0.0.2}, host:l0: {local: 127.0.0.1}}"
    assert says_what_up_does(f"links: [{{transport: l2tpv3, encap: {encap}, endpoints: {ends}}}]")
    assert says_what_up_does(f"links: [{{transport: gre, endpoints: {ends}}}]")


def says_what_up_does(text: str) -> bool:
    """Whether nothing is missing: so says `doctor`, and so says `plan`."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "127.0.0.2/8", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)
    lab = loads(text)
    missing = [found.what for found in kernel.examine(lab) if found.needed and found.state is not State.OK]
    try:
        host.plan(lab)
    except HostError as error:
        refused = " ".join(problem.instead for problem in error.problems)
    else:
        refused = ""
    assert bool(missing) == bool(refused), (missing, refused)
    for modules in re.findall(r"modprobe -a ([\w ]+)", refused):
        assert set(modules.split()) <= set(missing)
    return not missing


def test_the_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", NO_GUEST)
    done = CliRunner().invoke(command, [str(ROOTLESS)])
    assert done.exit_code == 1
    (row,) = (line for line in done.stdout.splitlines() if "slirp4netns" in line)
    assert row.split()[:2] == ["missing", "slirp4netns"]
    assert row.endswith("  apt-get install slirp4netns")
