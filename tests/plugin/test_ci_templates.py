"""The templates for CI in examples/ci: their steps, run one after the other as the site of each does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.command import EXECUTABLE, environment
from tests.host.network import private_network
from tests.need import need_root

EXAMPLE = Path(__file__).parents[2] / "examples" / "ci"
INSTALLS = ("pip install ", "sudo sysctl ")  # what the environment of the tests has already


def github() -> list[str]:
    text = (EXAMPLE / ".github" / "workflows" / "network.yml").read_text()
    workflow: dict[str, Any] = yaml.safe_load(text)
    return [step["run"] for step in workflow["jobs"]["network"]["steps"] if "run" in step]


def gitlab() -> list[str]:
    job: dict[str, Any] = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())["network"]
    return [*job["before_script"], *job["script"], *job["after_script"]]


SITES = {"github": github(), "gitlab": gitlab()}


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """The example, as a project has it."""
    need_root()
    shutil.copytree(EXAMPLE, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with private_network():
        yield tmp_path / "project"


def run(step: str, folder: Path) -> None:
    variables = {"PATH": f"{EXECUTABLE.parent}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    line = ["bash", "-eo", "pipefail", "-c", step]
    done = subprocess.run(
        line, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, (step, done.stdout, done.stderr)


def test_both_install_and_do_the_same() -> None:
    for steps in SITES.values():
        assert "pip install pytest uml-vecnet" in steps
    assert [step.partition(" >")[0] for step in github()[2:]] == [step.partition(" >")[0] for step in gitlab()[1:]]


@pytest.mark.parametrize("site", [pytest.param(site, marks=pytest.mark.long) for site in SITES])
def test_every_step(site: str, copy: Path) -> None:
    for step in SITES[site]:
        if not step.startswith(INSTALLS):
            run(step, copy)
    assert (copy / "report.xml").read_text().count("<testcase") > 10
    assert (copy / "summary.md").read_text().startswith("## ")


def test_the_summary(copy: Path) -> None:
    """The pytest line has tests of its own, in test_example.py."""
    run(github()[-1], copy)
    assert (copy / "summary.md").read_text().startswith("## example: 4 of 4 links pass")
