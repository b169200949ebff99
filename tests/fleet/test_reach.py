"""How an agent is started on a host: the words of ssh and of namespaces, and a real sshd on each of two machines.

::

    the controller, 192.0.2.1 at the bridge ── ssh ── alpha, beta: network namespaces with an sshd each
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.host.network import ip, within
from tests.loopback.machines import machines
from tests.need import need
from vecnet.cli import vecnet
from vecnet.errors import HostError, InputError
from vecnet.fleet.proof import AGENT
from vecnet.fleet.reach import ALIVE, SSH, by_address, by_inventory, of_variables
from vecnet.loopback.across.machine import Machine, started
from vecnet.topology import loads

OPT = '[ ! -x /opt/vecnet/bin/python ] || exec /opt/vecnet/bin/python -m vecnet "$@";'
LAB = """
name: lab
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
links:
  - {transport: l2tpv3, name: wire, endpoints: [web:vec0, db:vec0]}
  - {transport: l2tpv3, name: own, endpoints: {db:vec1: {local: 127.0.0.2}, db:vec2: {local: 127.0.0.3}}}
"""


def test_addresses_are_reached_by_ssh() -> None:
    words = by_address(loads(LAB))["beta"].command("loopback", "--agent")
    assert words[:-1] == [*SSH, *ALIVE, "--", "192.0.2.12"]
    assert shlex.split(words[-1]) == ["sh", "-c", f'{OPT} exec vecnet "$@"', "vecnet", "loopback", "--agent"]


def test_the_words_of_an_inventorys_variables() -> None:
    reach = of_variables(
        "beta",
        {
            "ansible_host": "beta.example",
            "ansible_port": 2222,
            "ansible_user": "lab",
            "ansible_ssh_private_key_file": "/keys/a key",
            "ansible_ssh_common_args": "-o 'ProxyCommand=ssh -W %h:%p jump'",
            "ansible_become": True,
            "lab_python": "/opt/my venv/bin/python",
        },
    )
    own = ["-p", "2222", "-l", "lab", "-i", "/keys/a key", "-o", "ProxyCommand=ssh -W %h:%p jump"]
    there = "sudo -n -u root -- '/opt/my venv/bin/python' -m vecnet loopback --agent"
    assert reach.command(*AGENT) == [*SSH, *own, *ALIVE, "--", "beta.example", there]
    here = of_variables("beta", {"ansible_connection": "local"}).command("x")
    assert here == [sys.executable, "-m", "vecnet", "x"]
    inside = of_variables("beta", {"ansible_connection": "vecnet.uml.netns", "ansible_host": "b"}).command("x")
    assert inside == ["nsenter", "--net=/run/netns/b", "--", sys.executable, "-m", "vecnet", "x"]


def test_no_word_is_read_by_a_shell(tmp_path: Path) -> None:
    """What reaches the shell there is what was meant, whatever is in it."""
    names = ["a b", "$(touch made)", "; touch made", "'", '"', "*", "-x", "\n", "`touch made`"]
    python = tmp_path / "a python; touch made"
    python.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    python.chmod(0o755)
    for key in ("lab_python", "ansible_python_interpreter"):
        *_, text = of_variables("beta", {key: str(python)}).command(*names)
        done = subprocess.run(["sh", "-c", text], capture_output=True, cwd=tmp_path, text=True, check=True)
        assert done.stdout.split("\0") == ["-m", "vecnet", *names, ""]
    assert list(tmp_path.iterdir()) == [python]


def test_what_ansible_is_configured_to_holds_for_all_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In ansible.cfg and in the environment, which goes over it; a host's own variables go over both."""
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\nremote_user = nobody\nremote_port = 2222\nhost_key_checking = no\n"
        "[ssh_connection]\nssh_args = -F '/my config'\nssh_common_args = -J jump\nssh_extra_args = -v\n"
        "[privilege_escalation]\nbecome_user = lab\n"
    )
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "admin")
    monkeypatch.setenv("ANSIBLE_BECOME", "1")
    first = ["-F", "/my config", "-o", "StrictHostKeyChecking=no"]
    words = by_address(loads(LAB))["alpha"].command("x")
    own = [*first, "-p", "2222", "-l", "admin", "-J", "jump", "-v"]
    assert words[:-1] == [*SSH, *own, *ALIVE, "--", "192.0.2.11"]
    assert words[-1].startswith("sudo -n -u lab -- sh -c ")
    (tmp_path / "hosts.ini").write_text(
        "alpha ansible_user=me ansible_become=no ansible_host_key_checking=yes ansible_ssh_args=-4\nbeta\n"
    )
    both = by_inventory(str(tmp_path / "hosts.ini"), loads(LAB))
    own = ["-4", "-p", "2222", "-l", "me", "-J", "jump", "-v"]
    assert both["alpha"].command("x")[:-1] == [*SSH, *own, *ALIVE, "--", "alpha"]
    assert both["alpha"].command("x")[-1].startswith("sh -c ")
    assert both["beta"].before[len(SSH) :][:4] == tuple(first)


def test_settings_that_ansible_itself_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    with pytest.raises(HostError, match=r"ansible-config failed: .*ansible\.cfg"):
        by_address(loads(LAB))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ansible_host": "{{ x }}"}, "beta: ansible_host is no plain value; write it out"),
        ({"ansible_port": [22]}, "ansible_port is no plain value"),
        ({"ansible_connection": "winrm"}, "'winrm' is none by which vecnet starts its agent; use ssh, local or"),
        ({"ansible_connection": "netns", "ansible_host": "../x"}, "'../x' is no name of a network namespace"),
        ({"ansible_become": "yes", "ansible_become_method": "su"}, "ansible_become_method 'su' is none that vecnet"),
        ({"ansible_ssh_common_args": "-o 'x"}, "ansible_ssh_common_args is no words of a shell"),
    ],
)
def test_variables_that_cannot_be_obeyed(variables: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        of_variables("beta", variables)
    assert sentence in str(caught.value)


def test_an_inventory_is_read_by_ansible_itself(tmp_path: Path) -> None:
    """Groups, ranges and variables of groups are Ansible's business; a host that it lacks is told with all others."""
    (tmp_path / "hosts.ini").write_text("[lab]\nalpha ansible_port=22\n[lab:vars]\nansible_user=me\n")
    with pytest.raises(InputError, match="the inventory has no host beta; add it, by the name that hosts: has"):
        by_inventory(str(tmp_path / "hosts.ini"), loads(LAB))
    (tmp_path / "more.ini").write_text("[lab]\nbeta\n")
    both = by_inventory(str(tmp_path), loads(LAB))
    assert both["alpha"].before == (*SSH, "-p", "22", "-l", "me", *ALIVE, "--", "alpha")
    assert both["beta"].before == (*SSH, "-l", "me", *ALIVE, "--", "beta")


def test_an_inventory_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("all: [")
    with pytest.raises((HostError, InputError)):
        by_inventory(str(tmp_path / "broken.yaml"), loads(LAB))


# ---- a real sshd on each machine ----


@dataclass(frozen=True)
class Place:
    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

    def variables(self, **other: object) -> dict[str, object]:
        known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": f"-F none {known}",
            "ansible_python_interpreter": str(self.folder / "a python"),
            **other,
        }

    @property
    def inventory(self) -> str:
        hosts = {name: self.variables(ansible_host=f"192.0.2.{number}") for number, name in enumerate(self.daemons, 11)}
        (self.folder / "inventory.yaml").write_text(json.dumps({"all": {"hosts": hosts}}))
        return str(self.folder / "inventory.yaml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    need(sshd and shutil.which("ssh"), "needs ssh and sshd: Debian's openssh-server")
    assert sshd is not None
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "a python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "a python").chmod(0o755)
    (folder / "sshd_config").write_text(
        f"HostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'key.pub'}\nStrictModes no\nUsePAM no\n"
        f"PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
    )
    (folder / "lab.yaml").write_text(LAB)
    with ExitStack() as stack:
        stack.enter_context(machines(("alpha", "beta")))
        Path("/run/sshd").mkdir(mode=0o755)
        ip("addr", "add", "192.0.2.1/24", "dev", "lan")
        daemons = {}
        for name in ("alpha", "beta"):
            with within(name):
                daemon = subprocess.Popen(
                    [sshd, "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
                )
            stack.callback(end, daemon)
            assert daemon.stderr is not None
            while line := daemon.stderr.readline():
                if b"listening on 0.0.0.0" in line:
                    break
            else:
                pytest.fail("sshd does not start")
            daemons[name] = daemon
        yield Place(folder, daemons)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def why_lost(place: Place, **variables: object) -> str:
    """Why no agent is there."""
    reach = of_variables("alpha", place.variables(ansible_host="192.0.2.11", **variables))
    with started({"alpha": reach.command(*AGENT)}) as there:
        there["alpha"].meet(LAB, "lab.yaml")
        return there["alpha"].lost


def test_two_machines_by_ssh_and_one_that_is_lost(place: Place) -> None:
    words = ["loopback", str(place.folder / "lab.yaml"), "-i", place.inventory, "--json", "-", "-p", "frames"]
    done = CliRunner().invoke(vecnet, words)
    links = {link["link"]: link for link in json.loads(done.stdout)["links"]}
    assert (done.exit_code, links["wire"]["verdict"], links["own"]["verdict"]) == (0, "pass", "pass"), links
    for host in ("alpha", "beta"):
        assert gone(host), ip("netns", "pids", host)
    ip("link", "set", "beta", "down")
    try:
        done = CliRunner().invoke(vecnet, words)
    finally:
        ip("link", "set", "beta", "up")
    assert done.exit_code == 3
    links = {link["link"]: link for link in json.loads(done.stdout)["links"]}
    for link in links.values():
        assert link["verdict"] == "untested"
        assert "beta cannot be used: ssh: connect to host 192.0.2.12 port 22: " in link["probes"][0]["reason"]


def gone(host: str) -> bool:
    """Whether all but the listening sshd has ended there, soon."""
    for _ in range(200):
        if len(ip("netns", "pids", host).split()) == 1:
            return True
        time.sleep(0.02)
    return False


def test_the_connection_is_cut_and_no_agent_is_left(place: Place) -> None:
    """ssh here is killed, as a controller's crash or a reset does it; then sshd closes the agent's input."""
    reach = of_variables("alpha", place.variables(ansible_host="192.0.2.11"))
    with started({"alpha": reach.command(*AGENT)}) as there:
        machine: Machine = there["alpha"]
        machine.meet(LAB, "lab.yaml")
        machine.read()
        assert not machine.lost
        assert not gone_now("alpha")
        assert machine._process is not None
        machine._process.kill()
        assert gone("alpha")


def gone_now(host: str) -> bool:
    return len(ip("netns", "pids", host).split()) == 1


def test_why_no_agent_is_there(place: Place) -> None:
    assert why_lost(place, ansible_python_interpreter=sys.base_prefix + "/bin/nothing").startswith("there is no vecnet")
    bare = place.folder / "bare"
    bare.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S "$@"\n')
    bare.chmod(0o755)
    without = why_lost(place, ansible_python_interpreter=str(bare))
    assert "there is no vecnet: " in without
    assert "No module named vecnet; install it there, or give its ansible_python_interpreter" in without
    refused = why_lost(place, ansible_ssh_private_key_file="/dev/null")
    assert "Permission denied" in refused
