"""Real guests: User Mode Linux kernels that boot in a network namespace of their own.

A guest has the host's root as its own (hostfs), so that every program of the host runs in it. Its init is a script of
the test; what the script prints and how it ends come back through files, which survive a console full of messages::

    with Wiring(kernel) as wiring:                           # a network and process namespace; all in it dies with it
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        guest = wiring.boot(["vec0:transport=tap,ifname=tap0"], "ip link set vec0 up && ping -c 1 10.0.0.1")
        report = guest.wait()
        assert report.status == 0, report
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.host.network import call
from tests.need import need, need_command, need_root
from tests.uml import fetch

PYTHON = os.path.realpath(f"{sys.prefix}/bin/python3")  # the machine's own, which guests have too
CLEAR = "init_on_alloc=1"  # the driver takes memory that it does not clear
BOOT_SECONDS = 90  # a guest boots in 2 s; this bounds a machine that is busy with something else
LIMIT_SECONDS = 40  # a command on the host's side

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_HOLDER = "ip link set lo up && echo ready && exec cat"

_INIT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ TMPDIR={folder}
mount -t proc proc /proc; mount -t sysfs sys /sys
[ ! -e {ipv6} ] || echo 1 >{ipv6}  # a kernel that has it built in sends frames of its own with it
ip link set lo up
sh {folder}/script >{folder}/output 2>&1 </dev/null
echo $? >{folder}/status.part && mv {folder}/status.part {folder}/status
poweroff -f || echo o >/proc/sysrq-trigger  # the latter where there is no poweroff(8), as in a container
sleep 60
"""

_IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"  # of all devices, those that are there already among them

# What guests' scripts may use.
_PRELUDE = r"""
until_ok() {  # until_ok COMMAND...: repeat until it succeeds, 20 times at most
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@" && return; sleep 0.3; done
    return 1
}
up() {  # up vecN ADDRESS/PREFIX
    ip link set "$1" up && ip address add "$2" dev "$1"
}
pings() { until_ok ping -q -n -c 1 -W 1 "$@" >/dev/null 2>&1; }  # the other end may not be there yet
meet() {  # meet POINT GUEST: wait until the other is there too, 60 s at most: on a busy machine it takes its time
    : >"$here/$1"
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            test -e "$here/../$2/$1" && return; sleep 0.2
        done
    done
    return 1
}
refused() {  # refused vecN...: print vecN.refused=N, how many packets each device refused
    for dev; do echo "$dev"; ethtool -S "$dev"; done |
        sed -n '/^vec/h; /rx_encaps_errors/{G; s/.*: \(.*\)\n\(.*\)/\2.refused=\1/p}'
}
"""


@dataclass(frozen=True)
class Kernel:
    """The command that boots a guest, and the generation that it belongs to."""

    command: str
    generation: str

    @classmethod
    def of(cls, name: str = "") -> Self:
        """That of a generation, or a binary of any; without a name UML_KERNEL's, or else the machine's own."""
        command = fetch.kernel(name) if name in fetch.GENERATIONS else name or os.environ.get("UML_KERNEL") or fetch.OWN
        found = shutil.which(command or "")
        need(found, f"needs the guest kernel {name or command}: make deps")
        assert found is not None
        return cls(str(Path(found).absolute()), fetch.generation(fetch.version(found)))

    def __str__(self) -> str:
        return self.generation


@dataclass(frozen=True)
class Report:
    """What came of a guest: its script's exit status (None if it never ended), what it printed, its console."""

    status: int | None
    output: str
    console: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What a guest left in its folder."""
        status, output, console = (_text(folder / name) for name in ("status", "output", "console"))
        return cls(int(status) if status else None, output, console)

    @property
    def panicked(self) -> bool:
        return "Kernel panic" in self.console

    @property
    def values(self) -> dict[str, str]:
        """The lines NAME=VALUE that the script printed."""
        return dict(re.findall(r"^(\w[\w.-]*)=(.*)$", self.output, re.MULTILINE))

    def __str__(self) -> str:
        tail = "\n".join(self.console.splitlines()[-40:])
        return f"status {self.status}\n--- output\n{self.output}\n--- console\n{tail}"


class Guest:
    """One kernel that runs in a Wiring, and the folder of its files."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self._process = process

    def wait(self, seconds: float = BOOT_SECONDS) -> Report:
        """Wait until the guest has halted. The report of one that has not after `seconds` has no status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return Report.read(self.folder)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """End the guest as a power cut does, with all processes that its kernel has made."""
        family = [self._process.pid]
        for pid in family:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one of its processes has just ended
                for task in Path(f"/proc/{pid}/task").iterdir():
                    family += map(int, (task / "children").read_text().split())
        for pid in family[1:]:  # the first one, nsenter, ends with the kernel
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @contextlib.contextmanager
    def at(self, point: str, seconds: float = BOOT_SECONDS) -> Iterator[None]:
        """Wait until the guest's script says `meet POINT host`, and let it go on after the block."""
        end = time.monotonic() + seconds
        while not (self.folder / point).exists():
            runs = time.monotonic() < end and self._process.poll() is None
            assert runs, f"the guest did not come to {point!r}\n{Report.read(self.folder)}"
            time.sleep(0.02)
        yield
        host = self.folder.parent / "host"
        host.mkdir(exist_ok=True)
        (host / point).touch()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The guest stands still within the block, and then finds at once all that has come meanwhile."""
        outside = Path(f"/proc/{self._process.pid}")  # nsenter, whose only child is the kernel; it stops when that does
        kernel = int((outside / "task" / outside.name / "children").read_text())
        os.kill(kernel, signal.SIGSTOP)
        while "State:\tT" not in (outside / "status").read_text():
            time.sleep(0.01)
        try:
            yield
        finally:
            for process in (kernel, self._process.pid):
                os.kill(process, signal.SIGCONT)


class Place:
    """Where guests boot: `enter` are the words before a command that run it there, `folder` has all guests' files."""

    def __init__(self, folder: Path, enter: Sequence[str], kernel: Kernel | None = None) -> None:
        self._kernel = kernel or Kernel.of()
        self.folder = folder
        self._enter = list(enter)
        self._started: list[subprocess.Popen[Any]] = []

    def end(self) -> None:
        """End what was started: nsenter itself, once all that it has started inside has gone with its namespace."""
        for process in self._started:
            process.kill()
            process.communicate()

    def inside(self, *command: str | Path) -> list[str]:
        """The command line that runs `command` in here."""
        return [*self._enter, *map(str, command)]

    def run(self, *command: str | Path, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in here to its end. Raises AssertionError with what it said where it fails."""
        options = {"timeout": LIMIT_SECONDS, "stdin": subprocess.DEVNULL} | options
        done = subprocess.run(self.inside(*command), capture_output=True, text=True, **options)
        assert not check or done.returncode == 0, f"{shlex.join(done.args)}\n{done.stdout}{done.stderr}"
        return done

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[Any]:
        """Start a command in here; it ends with the wiring at the latest."""
        options = {"stdin": subprocess.DEVNULL} | options
        process: subprocess.Popen[Any] = subprocess.Popen(self.inside(*command), **options)
        self._started.append(process)
        return process

    def boot(
        self,
        strings: Sequence[str],
        script: str,
        *,
        name: str = "guest",
        words: Sequence[str] = (CLEAR,),
        descriptors: Sequence[int] = (),
        kernel: Kernel | None = None,
    ) -> Guest:
        """Boot a guest with `strings`, unedited, and let it run `script` (sh).

        `words` are others of its kernel's command line. It inherits `descriptors`. `kernel` is another than the
        wiring's.
        """
        self.prepare(name, script)
        folder = self.folder / name
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                self.inside(*self.kernel(name, words, kernel), *strings),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=self.environment,
                pass_fds=descriptors,
            )
        self._started.append(process)
        return Guest(folder, process)

    def prepare(self, name: str, script: str) -> None:
        """Write what the guest `name` will run."""
        folder = self.folder / name
        folder.mkdir()
        init = folder / "init"
        init.write_text(_INIT.format(folder=shlex.quote(str(folder)), ipv6=_IPV6))
        init.chmod(0o755)
        (folder / "script").write_text(f"here={shlex.quote(str(folder))}\n{_PRELUDE}\n{script}\n")

    def kernel(self, name: str, words: Sequence[str] = (CLEAR,), kernel: Kernel | None = None) -> list[str]:
        """The command line of the kernel that boots the guest `name`, but for its vec strings."""
        folder = self.folder / name
        command = [
            (kernel or self._kernel).command,
            "mem=128M",
            "root=/dev/root",
            "rootfstype=hostfs",
            "hostfs=/",
            "rw",
        ]
        command += [*words, f"init={folder}/init"]
        return [*command, f"umid={self.folder.name}-{name}", f"uml_dir={folder}/", "con=null", "con0=fd:0,fd:1"]

    @property
    def environment(self) -> dict[str, str]:
        """The kernel keeps the guest's memory in a file, for which /dev/shm may be too small."""
        return os.environ | {"TMPDIR": str(self.folder)}


class Wiring(Place):
    """A network namespace, with a process and mount namespace around it: leaving it kills whatever runs inside."""

    def __init__(self, kernel: Kernel | None = None) -> None:
        need_root()
        need_command("unshare", "nsenter", "ip")
        super().__init__(Path(tempfile.mkdtemp(prefix="uml-")), (), kernel)
        # `cat` is the first process inside: it ends, and everything with it, once nobody holds its standard input
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", _HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            need(False, "needs the right to make network and process namespaces")
        own = f"/proc/{self._holder.pid}/ns"
        self._enter = ["nsenter", f"--net={own}/net", f"--mount={own}/mnt", f"--pid={own}/pid_for_children"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.kill()  # --kill-child takes the first process inside along, and that one takes all others
        self._holder.wait()
        self._holder.stdin.close()
        self._holder.stdout.close()
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in here within the block: sockets that it opens belong to this network."""
        with Path("/proc/thread-self/ns/net").open() as outside, Path(f"/proc/{self._holder.pid}/ns/net").open() as own:
            call(_libc.setns(own.fileno(), _CLONE_NEWNET))
            try:
                yield
            finally:
                call(_libc.setns(outside.fileno(), _CLONE_NEWNET))

    @property
    def network(self) -> int:
        """The process whose network namespace this is, for `ip link … netns`."""
        return self._holder.pid


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
