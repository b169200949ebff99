"""Real guests: User Mode Linux kernels that boot in a network namespace of their own.

A guest has the host's root as its own (hostfs), so that every program of the host runs in it. Its init is a script of
the test; what the script prints and how it ends come back through files, which survive a console full of messages::

    with Wiring() as wiring:                                 # a network and process namespace; all in it dies with it
        wiring.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
        guest = wiring.boot(["vec0:transport=tap,ifname=tap0"], "ip link set vec0 up && ping -c 1 10.0.0.1")
        report = guest.wait()
        assert report.status == 0, report
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.need import need, need_command, need_root

KERNEL = os.environ.get("UML_KERNEL", "linux.uml")
BOOT_SECONDS = 90  # a guest boots in 2 s; this bounds a machine that is busy with something else
LIMIT_SECONDS = 40  # a command on the host's side

_HOLDER = "ip link set lo up && echo ready && exec cat"

_INIT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ TMPDIR={folder}
mount -t proc proc /proc; mount -t sysfs sys /sys
ip link set lo up
sh {folder}/script >{folder}/output 2>&1 </dev/null
echo $? >{folder}/status.part && mv {folder}/status.part {folder}/status
exec poweroff -f
"""

# What guests' scripts may use.
_PRELUDE = """
up() {  # up vecN [address/prefix]...: bring a device up
    ip link set "$1" up || return; dev=$1; shift
    for address; do ip addr add "$address" dev "$dev" || return; done
}
until_ok() {  # until_ok COMMAND...: repeat until it succeeds, 30 times at most
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        "$@" && return; sleep 0.5
    done
    return 1
}
pings() { until_ok ping -q -n -c 1 -W 1 "$@" >/dev/null 2>&1; }  # the other end may still be booting
stat_of() { ethtool -S "$1" | sed -n "s/^ *$2: //p"; }  # stat_of vecN NAME: a counter of the driver
meet() { : >"$here/$1"; until_ok test -e "$here/../$2/$1"; }  # meet POINT GUEST: wait until the other is there too
"""


@dataclass(frozen=True)
class Report:
    """What came of a guest: its script's exit status (None if it never ended), what it printed, its console."""

    status: int | None
    output: str
    console: str

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
    """One kernel that runs in a Wiring."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.folder = folder
        self._process = process

    def wait(self, seconds: float = BOOT_SECONDS) -> Report:
        """Wait until the guest has halted; one that has not after `seconds` is killed, and its report has no status."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        status = self.folder / "status"
        return Report(
            int(status.read_text()) if status.exists() else None,
            _text(self.folder / "output"),
            _text(self.folder / "console"),
        )

    def kill(self) -> None:
        """Kill the kernel. Its helper processes end with the wiring's process namespace."""
        self._process.kill()
        self._process.wait()


class Wiring:
    """A network namespace, with a process and mount namespace around it: leaving it kills whatever runs inside."""

    def __init__(self) -> None:
        need_root()
        need_command(KERNEL, "unshare", "nsenter", "ip")
        self.folder = Path(tempfile.mkdtemp(prefix="uml-"))
        self._guests: list[Guest] = []
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
        for guest in self._guests:
            guest.kill()
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.kill()  # --kill-child takes the first process inside along, and that one takes all others
        self._holder.wait()
        self._holder.stdin.close()
        self._holder.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

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
        """Start a command in here that the caller waits for; it dies with the wiring at the latest."""
        options = {"stdin": subprocess.DEVNULL} | options
        return subprocess.Popen(self.inside(*command), **options)

    def boot(
        self,
        strings: Sequence[str],
        script: str,
        *,
        name: str = "guest",
        launcher: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> Guest:
        """Boot a guest with `strings`, unedited, and let it run `script` (sh). `launcher` is put before the kernel."""
        folder, command = self.prepare(script, name=name)
        with (folder / "console").open("wb") as console:
            process = subprocess.Popen(
                self.inside(*launcher, *command, *strings),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(folder), "HOME": str(folder)} | (environment or {}),
            )
        guest = Guest(name, folder, process)
        self._guests.append(guest)
        return guest

    def prepare(self, script: str, *, name: str = "guest") -> tuple[Path, list[str]]:
        """A folder for a guest that runs `script`, and the kernel's command line, but for the vec strings."""
        folder = self.folder / name
        folder.mkdir()
        init = folder / "init"
        init.write_text(_INIT.format(folder=shlex.quote(str(folder))))
        init.chmod(0o755)
        (folder / "script").write_text(f"here={shlex.quote(str(folder))}\n{_PRELUDE}\n{script}\n")
        kernel = [KERNEL, "mem=128M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "rw", f"init={init}"]
        kernel += [f"umid={folder.parent.name}-{name}", f"uml_dir={folder}/", "con=null", "con0=fd:0,fd:1"]
        return folder, kernel


def wait_for(condition: Callable[[], object], what: str, seconds: float = BOOT_SECONDS) -> None:
    """Wait until `condition` holds. Raises AssertionError naming `what` where it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
