"""The programs that an export is for, run on it in the test's own network namespace."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.need import need, need_command
from vecnet import host
from vecnet.export import TARGETS, export
from vecnet.topology import Topology

NETWORKD = Path("/lib/systemd/systemd-networkd")
FOLDER = Path("/run/systemd/network")  # the test's own, as all of /run
SECONDS = 120 if "VECNET_KERNEL" in os.environ else 20  # an emulated processor is slow


def exported(topology: Topology, target: str, guest: str | None = None) -> dict[str, str]:
    return export(topology, TARGETS[target](), guest)


def as_wanted(wanted: Topology) -> None:
    """What is there is a topology's, with nothing to change, and healthy by what its marks alone say."""
    own = [one for one in wanted.interfaces if not one.existing]
    plan = host.plan(wanted)
    assert not plan.steps, plan.describe()
    assert plan.unchanged == len(own)
    assert [report.why for report in host.status(wanted.name)] == [""] * len(own)


def run(*words: str | Path, status: int = 0) -> str:
    """What a command says; it ends with that exit status."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def script(text: str, what: str, status: int = 0) -> str:
    """Run an exported script."""
    (file := Path("/run/script.sh")).write_text(text)
    return run("sh", file, what, status=status)


def ifupdown(program: str, text: str) -> None:
    """ifup, or ifdown, of all that a file has."""
    need_command(program)
    (state := Path("/run/network")).mkdir(exist_ok=True)
    (file := Path("/run/interfaces")).write_text(text)
    said = run(program, "--all", "--interfaces", file, "--state-dir", state)
    assert not said


@contextmanager
def networkd(files: Mapping[str, str], interfaces: int) -> Iterator[None]:
    """systemd-networkd runs with these files, has made as many interfaces, and udev has set what is its to set.

    Below it are a /run of its own, a /sys of this network namespace, and a device of taps that it may open.
    """
    need(NETWORKD.exists(), f"needs {NETWORKD}, of the package systemd")
    need_command("udevadm")
    run("mount", "-t", "sysfs", "-o", "ro", "none", "/sys")
    account = pwd.getpwnam("systemd-network")
    FOLDER.mkdir(parents=True)
    for name in ("", "links", "leases", "lldp"):
        (folder := FOLDER.parent / "netif" / name).mkdir()
        os.chown(folder, account.pw_uid, account.pw_gid)
    for name, text in files.items():
        (FOLDER / name).write_text(text)
    run("mknod", "/run/tun", "c", "10", "200")
    Path("/run/tun").chmod(0o666)
    run("mount", "--bind", "/run/tun", "/dev/net/tun")
    log = Path("/run/networkd.log")
    with log.open("w") as out:
        process = subprocess.Popen([NETWORKD], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + SECONDS
        while (ready := _configured(account.pw_uid)) < interfaces:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, (ready, log.read_text())
            time.sleep(0.05)
        for file in FOLDER.glob("*.link"):
            name = file.read_text().partition("OriginalName=")[2].partition("\n")[0]
            run("udevadm", "test-builtin", "net_setup_link", f"/sys/class/net/{name}")
        complaints = [line for line in log.read_text().splitlines() if "ignor" in line or "ailed" in line]
        assert not [line for line in complaints if "IgnoreDontFragment" not in line]  # from systemd 254 on
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)
        run("umount", "/dev/net/tun", "/sys")
        shutil.rmtree(FOLDER.parent)


def _configured(owner: int) -> int:
    """How many interfaces it has brought to where they shall be, as it tells by files of its own."""
    files = [
        file for file in (FOLDER.parent / "netif/links").iterdir() if file.name.isdigit()
    ]  # others are half written
    return sum("ADMIN_STATE=configured" in file.read_text() for file in files if file.stat().st_uid == owner)
