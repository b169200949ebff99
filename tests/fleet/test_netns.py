"""All hosts at once, where each is a network namespace that Ansible enters: what goes wrong, and what a file may hold.

alpha ── eth0 ═══ eth0 ── beta          192.0.2.11 and .12, in the test's own network
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.cli.command import EXECUTABLE, environment
from tests.fleet.test_machines import LOCK, failure
from tests.host.network import host_state, ip, two_hosts, within
from tests.need import need_command, need_root
from vecnet import host
from vecnet.cli import vecnet
from vecnet.fleet.playbook import COLLECTIONS
from vecnet.topology import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "ansible"
HOSTILE = "{{ lookup('ansible.builtin.pipe', 'touch PWNED') }} {% raw %} ' \" \\ $(touch PWNED) !unsafe 🐍"
LAB = f"""# {HOSTILE}
name: lab
hosts: {{alpha: {{address: 192.0.2.11}}, beta: {{address: 192.0.2.12}}}}
guests: {{web: {{on: alpha}}, db: {{on: beta}}}}
links:
  - {{transport: tap, endpoints: {{web:vec0: , alpha:tap0: {{ip: 10.0.0.1/24}}}}}}
  - {{transport: raw, endpoints: {{db:vec0: , beta:tap0: {{ip: 10.0.1.1/24}}}}}}
  - {{transport: l2tpv3, endpoints: [web:vec1, db:vec1]}}
  - {{transport: gre, endpoints: {{web:vec2: , elsewhere:router: {{local: 192.0.2.99}}}}}}
"""


def inventory(names: Iterable[str], **more: object) -> str:
    """An inventory of a user's own, whose hosts are network namespaces, and `more` of its variables."""
    values: dict[str, object] = {
        "ansible_connection": "vecnet.uml.netns",
        "ansible_python_interpreter": sys.executable,
        "ansible_pipelining": True,
        **more,
    }
    return yaml.dump({"all": {"hosts": {name: dict(values) for name in names}}})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "hosts.yml").write_text(inventory(("alpha", "beta")))
    (tmp_path / "ansible.cfg").touch()
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where a module that is killed leaves its files
    monkeypatch.setattr("tempfile.tempdir", None)  # TMPDIR is read anew
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_REMOTE_TEMP", str(tmp_path / "remote"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    """Whose name is as hostile as its text."""
    path = folder / f"{HOSTILE.replace('/', '')}.yaml"
    path.write_text(LAB)
    return path


@pytest.fixture
def hosts() -> Iterator[None]:
    need_root()
    need_command("ip")
    with two_hosts():
        yield


def up(file: Path) -> None:
    """Each host's part, without Ansible."""
    for name in ("alpha", "beta"):
        with within(name):
            host.up(load(file).on(name))


def said(name: str, file: Path, *words: str) -> Result:
    return CliRunner().invoke(vecnet, [name, str(file), "--inventory", "hosts.yml", *words])


@pytest.mark.usefixtures("hosts")
def test_the_drift_of_one_host_is_found_whatever_the_file_holds(file: Path, folder: Path) -> None:
    up(file)
    ip("-n", "beta", "address", "del", "10.0.1.1/24", "dev", "tap0")
    plan = said("plan", file)
    assert plan.exit_code == 0, plan.exception
    lines = plan.stdout.splitlines()
    assert lines[0] == "alpha: lab: nothing to do, 1 interface as wanted"
    assert lines[1:4] == ["beta:", "  ~ veth tap0, db:vec0--beta:tap0", "      addresses none → 10.0.1.1/24"]
    assert lines[4] == "  lab: 1 to change, 0 unchanged"
    assert lines[5] == "elsewhere:router, for web:vec2:"
    status = said("status", file)
    assert status.exit_code == 1
    table = [line.split() for line in status.stdout.splitlines()]
    assert [(row[0], row[-1]) for row in table] == [("host", "state"), ("alpha", "healthy"), ("beta", "10.0.1.1/24")]
    assert not (folder / "PWNED").exists()
    assert not list(folder.glob("vecnet-*"))


@pytest.mark.usefixtures("hosts")
def test_a_host_that_refuses_stops_all_before_anything_changes(file: Path) -> None:
    ip("-n", "beta", "link", "add", "tap0", "type", "bridge")
    ip("-n", "alpha", "address", "del", "192.0.2.11/24", "dev", "eth0")
    before = host_state()
    told = failure(said("up", file))
    assert [one for one in told if one.startswith("beta: tap0: an interface tap0 exists and was not made by vecnet")]
    assert [one for one in told if one.startswith("alpha: ") and "192.0.2.11 is on no interface of this host" in one]
    assert all("; " in one for one in told)  # with what to do instead
    assert host_state() == before


@pytest.mark.parametrize(
    ("inventory", "message"),
    [
        ("[lab]\nalpha\n[beta]\ngamma\n", "lab: the inventory has no host beta"),
        ("[all]\ngamma\n", "lab: the inventory has no host alpha, beta"),
    ],
)
def test_an_inventory_without_a_host_is_refused(inventory: str, message: str, file: Path, folder: Path) -> None:
    (folder / "other").write_text(inventory)
    (told,) = failure(CliRunner().invoke(vecnet, ["plan", str(file), "-i", "other"]))
    assert told.startswith(message), told
    assert "let it have the hosts alpha, beta" in told
    assert not list((folder / "home").glob("tmp/*"))  # Ansible has cleared it away


def ansible(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "ansible", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_inventory_plugin_reads_the_hosts(file: Path, folder: Path) -> None:
    (folder / "lab.vecnet.yml").write_text(
        yaml.dump({"plugin": "vecnet.uml.topology", "topology": file.name}, allow_unicode=True)
    )
    found = json.loads(ansible("inventory", "-i", "lab.vecnet.yml", "--list"))
    assert found["vecnet"]["hosts"] == ["alpha", "beta"]
    assert found["_meta"]["hostvars"]["beta"]["ansible_host"] == {"__ansible_unsafe": "192.0.2.12"}
    assert found["_meta"]["hostvars"]["beta"]["vecnet_guests"] == [{"__ansible_unsafe": "db"}]


@pytest.mark.long
@pytest.mark.usefixtures("hosts")
def test_the_role_in_a_play_of_the_users_own(folder: Path) -> None:
    """The example's; but the machines are namespaces, where vecnet and root are already."""
    for path in EXAMPLE.iterdir():
        shutil.copy(path, folder)
    (folder / "hosts.yml").write_text(inventory(("alpha", "beta"), ansible_host="{{ inventory_hostname }}"))
    there = ("-e", "lab_install=false", "-e", "ansible_become=false")
    words = ("playbook", "-i", "lab.vecnet.yml", "-i", "hosts.yml", "site.yml", *there)
    before = host_state()
    checked = ansible(*words, "--check", "--diff")
    assert "+ tap tap0, web:vec0--alpha:tap0" in checked
    assert re.findall(r"(\w+) +: .*changed=(\d+)", checked) == [("alpha", "1"), ("beta", "1")]
    assert host_state() == before
    assert re.findall(r"changed=(\d+)", ansible(*words)) == ["1", "1"]
    assert host_state() != before
    assert re.findall(r"changed=(\d+)", ansible(*words)) == ["0", "0"]
    ansible(*words, "-e", "lab_state=absent")
    assert host_state() == before


@pytest.fixture
def locked() -> Iterator[subprocess.Popen[bytes]]:
    """Another vecnet works on beta until it is ended."""
    with within("beta"):
        holder = subprocess.Popen([sys.executable, "-c", LOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    yield holder
    holder.kill()
    holder.communicate()


def once(condition: Callable[[], bool], then: Callable[[], None]) -> threading.Thread:
    def wait() -> None:
        deadline = time.monotonic() + 60
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def alpha_is_made() -> bool:
    return "tap0" in ip("-n", "alpha", "-br", "link")


def agents() -> list[int]:
    """Those that work in beta."""
    beta = Path("/run/netns/beta").stat().st_ino
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            here = (path / "ns/net").stat().st_ino == beta
            if here and b"vecnet.fleet.agent" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.long
@pytest.mark.usefixtures("hosts")
def test_a_vecnet_that_is_killed_on_a_host_that_lives_is_undone_there_too(
    file: Path, locked: subprocess.Popen[bytes]
) -> None:
    before = host_state()

    def strike() -> None:
        for pid in agents():
            os.kill(pid, signal.SIGKILL)
        locked.kill()

    striker = once(alpha_is_made, strike)
    done = said("up", file)
    striker.join()
    told = failure(done)
    assert told[0] == "beta: vecnet on this host was ended by signal 9"
    assert told[1:] == ["alpha, beta: as before, nothing is left of this run"]
    assert host_state() == before


@pytest.mark.long
@pytest.mark.usefixtures("hosts")
def test_a_lock_that_another_vecnet_keeps_is_waited_for_and_then_undoes_all(
    file: Path, locked: subprocess.Popen[bytes]
) -> None:
    before = host_state()
    told = failure(said("up", file))
    assert told[0].startswith(
        f"beta: another vecnet (process {locked.pid}) works in this network namespace and does not"
    )
    assert told[0].endswith("wait for it, or stop it")
    assert told[1:] == ["alpha, beta: as before, nothing is left of this run"]
    assert host_state() == before


@pytest.mark.long
@pytest.mark.usefixtures("hosts")
def test_an_interrupt_waits_until_all_are_done(file: Path, folder: Path, locked: subprocess.Popen[bytes]) -> None:
    words = [str(EXECUTABLE), "up", str(file), "-i", str(folder / "hosts.yml")]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )

    def strike() -> None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        locked.kill()

    once(alpha_is_made, strike).join()
    out, err = process.communicate(timeout=60)
    assert "stopping, once every host is done or as before" in err
    assert "beta: lab: 1 made" in err
    assert "web\tvec0:transport=tap" in out
    assert (process.returncode, err.splitlines()[-1]) == (130, "interrupted")
