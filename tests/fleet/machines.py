"""Machines: each a network, mount, UTS and process namespace with a real sshd, and an address at a bridge between them.

    the test's own network
      lan, a bridge, 192.0.2.1 ──┬── eth0 of alpha, 192.0.2.11, sshd
      (ssh, Ansible)             ├── eth0 of beta,  192.0.2.12, sshd
                                 └── eth0 of gamma, 192.0.2.13, sshd

Their files are this machine's, but for /run and /opt: vecnet lies in /opt/vecnet, where the role lab puts it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.host.network import ip, private_network
from tests.need import need, need_command, need_root

ADDRESSES = {"alpha": "192.0.2.11", "beta": "192.0.2.12", "gamma": "192.0.2.13"}
SSHD = "/usr/sbin/sshd"

_BEGIN = """
set -e
hostname "$1"; mount -t tmpfs run /run; mkdir -p /run/sshd /run/netns
mount -t tmpfs opt /opt; mkdir /opt/vecnet; mount --bind "$3" /opt/vecnet
sed 's/^root:[^:]*:/root:*:/' /etc/shadow >/run/shadow; mount --bind /run/shadow /etc/shadow  # no locked account
ip link set lo up; echo ready; read -r go
exec "$4" -D -E "$2/log.$1" -f "$2/sshd_config" -o ListenAddress="$5"
"""
_CONFIG = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
UseDNS no
SetEnv TMPDIR=/run
MaxStartups 100
"""


class Machine:
    """One that runs until it is killed."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self._started: subprocess.Popen[bytes] | None = None
        words = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]
        words += ["sh", "-c", _BEGIN, "sh", name, str(folder), sys.prefix, SSHD, address]
        self._holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        ip("link", "set", name, "master", "lan", "up")
        self.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self._holder.stdin.write(b"go\n")
        self._holder.stdin.flush()

    def inside(self, *words: str) -> list[str]:
        """The command line that runs a command in it."""
        own = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", f"--net={own}/net", f"--mount={own}/mnt", f"--pid={own}/pid_for_children", *words]

    def run(self, *words: str) -> str:
        done = subprocess.run(self.inside(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def start(self, script: str) -> None:
        """Run a Python script in it, until it is killed, or its input ends; goes on when that has printed a line."""
        words = self.inside(sys.executable, "-c", script)
        self._started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._started.stdout is not None
        assert self._started.stdout.readline()

    def says(self) -> str:
        """The next line that it prints."""
        assert self._started is not None
        assert self._started.stdout is not None
        return self._started.stdout.readline().decode()

    def stop(self) -> None:
        """End its input, and wait until it has ended."""
        assert self._started is not None
        self._started.communicate()

    def end(self) -> None:
        """Kill it, where it has not ended."""
        assert self._started is not None
        self._started.kill()

    def listens(self) -> bool:
        return ":22 " in self.run("ss", "-Hlnt")

    def interfaces(self) -> dict[str, dict[str, object]]:
        """What is there beside lo and eth0, by name, with its addresses, its MTU, its bridge."""
        wanted = ("mtu", "master", "address", "ifalias")
        return {
            entry["ifname"]: {key: entry.get(key) for key in wanted}
            | {"addresses": sorted(one["local"] for one in entry["addr_info"] if one["scope"] != "link")}
            for entry in json.loads(self.run("ip", "-j", "address"))
            if entry["ifname"] not in ("lo", "eth0")
        }

    def kill(self) -> None:
        """End it as a power cut does."""
        self._holder.kill()  # --kill-child takes the first process inside along, and that one takes all others
        for process in filter(None, (self._holder, self._started)):
            process.wait()
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()


class Machines:
    """All of them by name. One that is killed can be started again, and has nothing left of before."""

    def __init__(self, folder: Path, names: Mapping[str, str]) -> None:
        self._folder, self._names = folder, names
        self.by_name: dict[str, Machine] = {}

    def start(self, *names: str) -> None:
        _hang_up(self._folder / "c")  # ssh may still have a connection to one that was killed
        for name in names:
            self.by_name[name] = Machine(name, self._names[name], self._folder)
        deadline = time.monotonic() + 20
        while not all(self.by_name[name].listens() for name in names):
            assert time.monotonic() < deadline, (self._folder / f"log.{names[0]}").read_text()
            time.sleep(0.05)

    def __getitem__(self, name: str) -> Machine:
        return self.by_name[name]

    def interfaces(self, *names: str) -> dict[str, dict[str, dict[str, object]]]:
        return {name: self.by_name[name].interfaces() for name in names or self.by_name}

    def kill(self) -> None:
        for machine in self.by_name.values():
            machine.kill()


def settings(folder: Path) -> dict[str, str]:
    """How a user has configured Ansible, beside ansible.cfg: to reach the machines, and to leave nothing elsewhere."""
    return {
        "TMPDIR": str(folder),  # where a module that is killed leaves its files
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_PYTHON_INTERPRETER": "/opt/vecnet/bin/python",
        "ANSIBLE_HOST_KEY_CHECKING": "0",
        "ANSIBLE_SSH_ARGS": "-F none -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "c"),
    }


@contextmanager
def running(folder: Path, names: Mapping[str, str] = ADDRESSES) -> Iterator[Machines]:
    """Machines, around whose bridge this process is; all are gone at the end, and what Ansible keeps open to them."""
    need_root()
    need_command("ip", "ss", "unshare", "nsenter", "ssh", "ssh-keygen")
    need(shutil.which(SSHD), "needs sshd: apt-get install openssh-server")
    (folder / "ansible.cfg").write_text(f"[ssh_connection]\nssh_common_args = -i {folder}/key\n")
    (folder / "sshd_config").write_text(_CONFIG.format(folder=folder))
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with private_network(), ExitStack() as stack:
        ip("link", "set", "lo", "up")
        ip("link", "add", "lan", "up", "type", "bridge")
        ip("address", "add", "192.0.2.1/24", "dev", "lan")
        machines = Machines(folder, names)
        stack.callback(_hang_up, folder / "c")
        stack.callback(machines.kill)
        machines.start(*names)
        yield machines


def _hang_up(folder: Path) -> None:
    """End the connections that ssh keeps for a while."""
    for path in folder.glob("*"):
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={path}", "any"], capture_output=True, check=False)
