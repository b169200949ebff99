"""The collection vecnet.uml as others get it: as a wheel brings it, on a machine that had no vecnet, and by what
Ansible itself asks of collections. What checks it is fetched, and so are the wheels that vecnet needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fleet.test_netns import ansible, folder, hosts
from tests.host.network import host_state
from tests.test_wheel import wheel

__all__ = ["folder", "hosts", "wheel"]  # fixtures

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]

LAB = """
hosts: {alpha: {address: 192.0.2.11}, beta: {address: 192.0.2.12}}
guests: {web: {on: alpha}, db: {on: beta}}
links:
  - {transport: tap, endpoints: [web:vec0, alpha:tap0]}
  - {transport: tap, endpoints: [db:vec0, beta:tap0]}
  - {transport: l2tpv3, endpoints: [web:vec1, db:vec1]}
"""
ROLE = """
- name: A lab
  hosts: all
  gather_facts: false
  roles:
    - role: vecnet.uml.lab
      vars:
        lab_file: lab.yaml
        lab_venv: "{{ playbook_dir }}/{{ inventory_hostname }}'s own"
        lab_base_python: "{{ ansible_playbook_python }}"
        lab_wheels: "{{ query('ansible.builtin.fileglob', playbook_dir ~ '/wheels/*.whl') }}"
        lab_index: false
"""


@pytest.fixture(scope="module")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vecnet's wheel, and those that it needs: the machines have no way to an index."""
    place = tmp_path_factory.mktemp("wheels")
    fetch = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--only-binary=:all:",
        "--dest",
        str(place),
        str(wheel),
    ]
    subprocess.run(fetch, check=True, capture_output=True)
    return place


@pytest.mark.usefixtures("hosts")
def test_the_role_brings_vecnet_along_and_a_second_time_changes_nothing(
    wheel: Path, wheels: Path, folder: Path
) -> None:
    inside = {name.removeprefix("vecnet/fleet/ansible_collections/") for name in zipfile.ZipFile(wheel).namelist()}
    assert {f"vecnet/uml/{name}" for name in ("galaxy.yml", "plugins/modules/topology.py", "playbooks/up.yml")} < inside
    (folder / "wheels").symlink_to(wheels)
    (folder / "lab.yaml").write_text(LAB)
    (folder / "site.yml").write_text(ROLE)
    before = host_state()
    words = ("playbook", "-i", "hosts.yml", "site.yml")
    assert re.findall(r"changed=(\d+)", ansible(*words)) == ["5", "5"]
    assert host_state() != before
    assert re.findall(r"changed=(\d+)", ansible(*words)) == ["0", "0"]
    ansible(*words, "-e", "lab_state=absent")
    assert host_state() == before
    assert (folder / "alpha's own" / "bin" / "vecnet").exists()


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with ansible-lint."""
    folder = tmp_path_factory.mktemp("tools")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", "ansible-lint"], check=True, capture_output=True)
    return folder / "bin"


def test_ansible_lint_has_nothing_against_it_for_production(tools: Path, tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections" / "vecnet" / "uml"
    shutil.copytree(ROOT / "ansible", place)
    subprocess.run(["git", "init", "--quiet", place], check=True)
    done = subprocess.run(
        [tools / "ansible-lint", "--offline", "--nocolor"],
        cwd=place,
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profile 'production' was required, and it passed" in done.stderr
