"""The wheel: built from the source distribution with a C compiler only, and of use to every Python from 3.11 on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.need import need

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


@pytest.mark.timeout(600)
def test_one_wheel_serves_newer_pythons(tmp_path: Path) -> None:
    python = other_python() or ""
    need(python, f"needs a Python newer than {sys.version_info[0]}.{sys.version_info[1]}")
    clone = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", clone], check=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "build", "-o", tmp_path, clone], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "-cp311-abi3-" in wheel.name
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    inside = tmp_path / "venv/bin/python"
    subprocess.run([inside, "-m", "pip", "install", *quiet, wheel], check=True, capture_output=True)
    done = subprocess.run([inside, "-c", EXCHANGE], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert tuple(map(int, done.stdout.split())) > sys.version_info[:2]
