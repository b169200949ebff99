"""The pytest plugin as a new user has it: a fresh virtual environment, the wheel, the example project, no root."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.need import need, need_command
from vecnet.loopback.probes import NAMES

pytestmark = [pytest.mark.unsanitized, pytest.mark.long]
ROOT = Path(__file__).parents[2]
PROBES = len(NAMES) - 1  # without impair, for which the example has nothing to measure
# an ordinary user, for whom /dev/net/tun has the mode that distributions give it
NOBODY = """
mount --bind $0/tun /dev/net/tun && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"""


def as_nobody(folder: Path) -> list[str]:
    return ["unshare", "-m", "sh", "-c", NOBODY, str(folder)] if os.geteuid() == 0 else []


class Project:
    """A copy of the example project, and an environment that has vecnet from its wheel."""

    def __init__(self, folder: Path) -> None:
        self.user = as_nobody(folder)
        self.folder = folder / "project"
        self.bin = folder / "venv" / "bin"
        shutil.copytree(ROOT / "examples" / "ci", self.folder)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, as a user without privileges."""
        command = [*self.user, str(self.bin / words[0]), *words[1:]]
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def pytest(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("pytest", "-p", "no:cacheprovider", *words)


def must(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    need_command("setpriv", "unshare")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.mknod(folder / "tun", stat.S_IFCHR, os.makedev(10, 200))
            (folder / "tun").chmod(0o666)
        allowed = subprocess.run([*as_nobody(folder), "unshare", "-Urn", "true"], check=False, capture_output=True)
        need(allowed.returncode == 0, "needs user namespaces for ordinary users")
        wheels = folder / "wheels"
        must(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, ROOT)
        (wheel,) = wheels.glob("uml_vecnet-*.whl")
        assert wheel.name.split("-")[2:4] == ["cp311", "abi3"]  # one wheel for every Python from 3.11 on
        python = shutil.which("python3", path="/usr/local/bin:/usr/bin")  # one that every user may run
        need(python, "needs the system's python3")
        must(str(python), "-m", "venv", folder / "venv")
        must(folder / "venv" / "bin" / "pip", "install", "--quiet", wheel, "pytest")
        project = Project(folder)
        must("chmod", "-R", "a+rX", folder)
        yield project


def counts(output: str) -> dict[str, int]:
    last = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", last)}


def test_the_example_projects_tests_pass_without_root(project: Project) -> None:
    done = project.pytest("--vecnet", "lab.yaml", "-rs", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lab.yaml::db:vec1--web:vec1[frames] PASSED" in done.stdout
    assert "test_lab.py::test_the_bridge_joins_both_guests PASSED" in done.stdout
    assert counts(done.stdout) == {"passed": 3 + 3 * PROBES + 1, "skipped": 3}
    assert "lab.yaml::lan[cross] PASSED" in done.stdout
    assert "no impairment is declared" in done.stdout


def test_loopback_without_root(project: Project) -> None:
    done = project.run("vecnet", "sandbox", "lab.yaml", "--", "vecnet", "loopback", "lab.yaml", "--markdown", "-")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("## example: 4 of 4 links pass")


def test_a_sandbox_without_root_knows_its_user_by_name(project: Project) -> None:
    (project.folder / "mine.yaml").write_text(
        "name: mine\nlinks: [{transport: tap, endpoints: {web:vec0: {}, host:t: {owner: nobody}}}]\n"
    )
    done = project.run("vecnet", "sandbox", "mine.yaml", "--", "vecnet", "status")
    assert done.returncode == 0, done.stderr
    assert "healthy" in done.stdout


def test_a_broken_link_fails_its_own_tests(project: Project) -> None:
    broken = project.folder / "broken.yaml"
    broken.write_text(
        (project.folder / "lab.yaml").read_text().replace("    key: on\n", "    key: on\n    impair: loss 1%\n")
    )
    (project.folder / "sabotage.sh").write_text(
        "ip link set veth-db down\nexec pytest --vecnet broken.yaml --vecnet-here -p no:cacheprovider broken.yaml\n"
    )
    done = project.run("vecnet", "sandbox", "broken.yaml", "--", "sh", "sabotage.sh")
    assert done.returncode == 1
    assert "veth-db is down" in done.stdout
    assert "db:vec1--web:vec1[impair]" not in done.stdout  # it passed
    assert re.search(r"FAILED broken.yaml::db:vec0--host:veth-db\[open\]", done.stdout)
    assert not re.search(r"FAILED broken.yaml::(web|db:vec1)", done.stdout)


def test_mistakes_are_told(project: Project) -> None:
    missing = project.pytest("--vecnet", "none.yaml")
    assert missing.returncode == 4
    assert "none.yaml: there is no such file" in missing.stderr
    (project.folder / "wrong.yaml").write_text("name: w\nlinks: [{transport: tape, endpoints: [a:vec0, host:t]}]\n")
    wrong = project.pytest("--vecnet", "wrong.yaml", "wrong.yaml")
    assert wrong.returncode == 2
    assert "did you mean tap?" in wrong.stdout
    unmarked = project.folder / "test_unmarked.py"
    unmarked.write_text("def test_x(vecnet_topology): pass\n")
    done = project.pytest("test_unmarked.py")
    unmarked.unlink()
    assert done.returncode == 1
    assert "say which topology this test needs" in done.stdout


def test_a_test_that_dies_is_a_failure_and_the_rest_go_on(project: Project) -> None:
    deadly = project.folder / "test_deadly.py"
    deadly.write_text(
        """
import os, pytest
pytestmark = pytest.mark.vecnet("lab.yaml")
def test_dies(vecnet_topology): os.kill(os.getpid(), 9)
def test_lives(vecnet_topology): assert vecnet_topology.name == "example"
"""
    )
    done = project.pytest("test_deadly.py")
    deadly.unlink()
    assert counts(done.stdout) == {"passed": 1, "failed": 1}
    assert "was killed by SIGKILL" in done.stdout


def test_ports_of_fd_links_are_open_as_vecnet_run_would_have_them(project: Project) -> None:
    (project.folder / "fd.yaml").write_text(
        "name: fd\nlinks:\n"
        "- {transport: fd, endpoints: {a:vec0: {fd: 100}, b:vec0: {fd: 100}}}\n"
        "- {transport: fd, endpoints: [a:vec1, host:tap-a]}\n"
    )
    test = project.folder / "test_fd.py"
    test.write_text(
        """
import os, pytest
@pytest.fixture
def closed(vecnet_topology):
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before
@pytest.mark.vecnet("fd.yaml")
def test_fd(closed, vecnet_ports):
    frame = bytes(range(60))
    assert vecnet_ports["a:vec0"].send(frame) == 1
    assert vecnet_ports["b:vec0"].recv(timeout=5) == [frame]
    assert vecnet_ports["a:vec1"].send(bytes.fromhex("ffffffffffff020000000001").ljust(60, b"-")) == 1
"""
    )
    done = project.pytest("test_fd.py")
    test.unlink()
    assert counts(done.stdout) == {"passed": 1}, done.stdout
