"""A machine without ansible-core does one host's part as ever, and says what all of them at once would need."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest

import vecnet
from tests.cli.command import environment

LAB = """
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
links: [{transport: l2tpv3, endpoints: [web:vec0, db:vec0]}]
"""
RUN = "import sys; sys.path[:0] = sys.argv[1:3]; from vecnet.cli import main; main(sys.argv[3:])"


@pytest.mark.parametrize("command", ["up", "plan", "down", "status", "args --on alpha"])
def test_what_to_install_is_told(command: str, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(site.getsitepackages()[0]).iterdir():
        if not path.name.startswith("ansible"):
            (packages / path.name).symlink_to(path)
    (tmp_path / "lab.yaml").write_text(LAB)
    name, *rest = command.split()
    words = [sys.executable, "-S", "-c", RUN, str(Path(vecnet.__file__).parents[1]), str(packages), name, "lab.yaml"]
    done = subprocess.run(
        [*words, *rest], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(), timeout=60
    )
    if rest:
        assert done.returncode == 0, done.stderr
        assert "transport=l2tpv3" in done.stdout
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "lab is for several hosts, which Ansible reaches, and ansible-core is not installed" in done.stderr
        assert "pip install 'uml-vecnet[ansible]', or do each host's part there, with --on HOST" in done.stderr
