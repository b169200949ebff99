"""Run the tests marked `kernel` on Debian's own kernel, booted in QEMU on this machine's root file system.

    python -m tests.kernel.boot [PYTEST ARGUMENT]…

The kernel's package is downloaded once, into `.kernel/`, and nothing is installed: virtme-ng boots the image with the
host's root as a read-only 9p file system, over which the guest lays temporary ones, and finds the modules where they
were unpacked. pytest's output appears as it is written, and its exit status is this command's. Without KVM a boot takes
about 5 seconds.

Needs Debian's packages qemu-system-x86, kmod, busybox-static and file, and Python's virtme-ng.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.uml.fetch import Apt, Missing

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / ".kernel"
SUITE = "bookworm"  # whose kernel has every tunnel
PACKAGE = r"linux-image-6\.1\.0-(\d+)-amd64"  # not the cloud image, which lacks some
LIMIT = 900  # seconds for a boot with all its tests
COMMANDS = {"qemu-system-x86_64": "qemu-system-x86", "depmod": "kmod", "busybox": "busybox-static", "file": "file"}
PASSED_ON = ("CI", "PYTEST_ADDOPTS", "HYPOTHESIS_PROFILE", "VECNET_THOROUGH")

GUEST = """\
#!/bin/bash
# What the booted kernel runs: the tests, with their output and exit status on the shared folder.
cd {root}
exec >{run}/output 2>&1 </dev/null
mkdir -p /run/netns /run/tests  # /run is a tmpfs, /tmp an overlay that is slower and cannot hold everything
modprobe -a tun veth bridge dummy
export {environment}
{python} -m pytest -m {marks} -p no:cacheprovider {again} {arguments}
echo $? >{run}/status.new
mv {run}/status.new {run}/status
"""


def main(arguments: Sequence[str]) -> int:
    missing = sorted(package for command, package in COMMANDS.items() if not shutil.which(command))
    vng = Path(sys.executable).parent / "vng"
    if not vng.exists():
        missing.append("virtme-ng (Python's)")
    if missing:
        print(f"test-kernel: install {', '.join(missing)} first (make deps)", file=sys.stderr)
        return 1
    if shlex.quote(str(ROOT)) != str(ROOT):  # vng gives paths to the kernel, whose command line has no quotes
        print(f"test-kernel: vng boots nothing from a folder with such a name: {ROOT}", file=sys.stderr)
        return 1
    image = find_kernel() or download_kernel()
    run = KERNEL / f"run-{os.getpid()}"
    run.mkdir()
    try:
        return boot(vng, image, run, arguments)
    finally:
        shutil.rmtree(run)


def find_kernel() -> Path | None:
    """The newest image that was unpacked whole: its modules.dep is made last."""
    images = [
        image
        for image in KERNEL.glob("6.1.0-*/boot/vmlinuz-*")
        if (image.parents[1] / "lib/modules" / image.name.removeprefix("vmlinuz-") / "modules.dep").exists()
    ]
    return max(images, key=lambda image: _number(image.name), default=None)


def download_kernel() -> Path:
    """Debian's newest 6.1 image with its modules, unpacked into `.kernel/`."""
    KERNEL.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KERNEL, prefix="part-") as folder:
        try:
            archive = of_this_machine(Path(folder)) or Apt(Path(folder)).package(PACKAGE, SUITE)
        except Missing as error:
            raise SystemExit(f"test-kernel: Debian's kernel cannot be had: {error}") from None
        version = archive.name.partition("_")[0].removeprefix("linux-image-")
        unpacked = KERNEL / version
        shutil.rmtree(unpacked, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
    subprocess.run(["depmod", "-b", unpacked, version], check=True)
    return unpacked / "boot" / f"vmlinuz-{version}"


def of_this_machine(folder: Path) -> Path | None:
    """The package of the machine's own lists, downloaded; None where they are another suite's."""
    listed = subprocess.run(["apt-cache", "pkgnames", "linux-image-6.1.0-"], capture_output=True, text=True, check=True)
    packages = [name for name in listed.stdout.split() if re.fullmatch(PACKAGE, name)]
    if not packages:
        return None
    package = max(packages, key=_number)
    print(f"test-kernel: downloading {package}", file=sys.stderr)
    subprocess.run(["apt-get", "-qq", "download", package], cwd=folder, check=True)
    return next(folder.glob(f"{package}_*.deb"))


def _number(name: str) -> int:
    found = re.search(r"6\.1\.0-(\d+)-amd64", name)
    return int(found[1]) if found else 0


def marked() -> list[str]:
    """The files with tests that need this kernel: to read all others would take an emulated processor half a minute."""
    files = (ROOT / "tests").rglob("test_*.py")
    return sorted(str(file.relative_to(ROOT)) for file in files if "mark.kernel" in file.read_text())


def boot(vng: Path, image: Path, run: Path, arguments: Sequence[str]) -> int:
    """Boot once, run the tests, and return pytest's exit status; 1 when the kernel did not come to write one."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {
        "PATH": f"{vng.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/run/tests",
        "TMPDIR": "/run/tests",
        "LANG": "C.UTF-8",
        "VECNET_KERNEL": image.name.removeprefix("vmlinuz-"),
    }
    script = run / "guest.sh"
    script.write_text(
        GUEST.format(
            root=shlex.quote(str(ROOT)),
            run=shlex.quote(str(run)),
            environment=" ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items()),
            python=shlex.quote(str(Path(sys.executable))),
            marks=shlex.quote(os.environ.get("VECNET_KERNEL_TESTS", "kernel and not long")),
            again="--reruns 1 -r fER" if os.environ.get("CI") else "",
            arguments=shlex.join(arguments or marked()),
        )
    )
    (run / "output").touch()
    command = [
        *(str(vng), "--run", str(image), "--force-9p", "--disable-microvm", "--disable-kvm"),
        *("--memory", "1G", "--cpus", "1", "--user", "root", "--verbose", f"--rwdir={run}"),
        *("--", f"bash {shlex.quote(str(script))}"),
    ]
    leader, follower = pty.openpty()  # vng wants a terminal
    with (run / "console").open("wb") as console:
        process = subprocess.Popen(
            command,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=ROOT,
            start_new_session=True,
            env=os.environ | {"PATH": f"{vng.parent}:{os.environ['PATH']}"},
        )
        os.close(follower)
        drain = threading.Thread(target=_copy, args=(leader, console), daemon=True)
        drain.start()
        try:
            finished = _follow(run / "output", process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            drain.join(5)
            os.close(leader)
    status = run / "status"
    if status.exists():
        return int(status.read_text())
    why = "ended before its tests did" if finished else f"did not end within {LIMIT} s"
    print(f"test-kernel: the guest {why}; its console's last lines:", file=sys.stderr)
    print("\n".join((run / "console").read_text(errors="replace").splitlines()[-60:]), file=sys.stderr)
    return 1


def _follow(output: Path, process: subprocess.Popen[bytes]) -> bool:
    """Show what the guest writes until it powers off; False if the time was up first."""
    deadline = time.monotonic() + LIMIT
    with output.open(errors="replace") as file:
        while True:
            ended = process.poll() is not None
            while text := file.read():
                sys.stdout.write(text)
            sys.stdout.flush()
            if ended or time.monotonic() > deadline:
                return ended
            time.sleep(0.3)


def _copy(terminal: int, console: object) -> None:
    """Keep the terminal empty until the other end closes it, which reads as EIO."""
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(terminal, 65536):
            console.write(data)  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
