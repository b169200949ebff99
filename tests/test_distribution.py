"""What is installed is called uml-vecnet, what is imported and typed is vecnet; every page and file says so."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import vecnet

ROOT = Path(__file__).parents[1]
NAME = "uml-vecnet"
INSTALLERS = re.compile(r"\b(?:pip|pipx|uv) (?:install|run|tool install|add)\b.*")
SHORTER = re.compile(r"(?<![\w./-])vecnet(?![\w./-])")  # the package of another project


def test_what_is_installed_has_this_name_alone() -> None:
    """A stale `vecnet` in the environment goes by: pip uninstall vecnet."""
    assert set(metadata.packages_distributions()["vecnet"]) == {NAME}
    assert metadata.version(NAME) == vecnet.__version__
    points = {(point.group, point.name) for point in metadata.distribution(NAME).entry_points}
    commands = {("console_scripts", "vecnet"), ("console_scripts", "vecnet-extcap"), ("pipx.run", NAME)}
    assert points == {*commands, ("pytest11", "vecnet")}


def test_pyproject_agrees() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == NAME
    assert set(project["scripts"]) == {"vecnet", "vecnet-extcap"}


def test_the_debian_package_agrees() -> None:
    control, changelog = ((ROOT / "debian" / name).read_text() for name in ("control", "changelog"))
    assert re.findall(r"^(?:Source|Package): (.*)", control, re.MULTILINE) == [NAME, NAME]
    assert changelog.startswith(f"{NAME} ({vecnet.__version__}) ")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name, least in (text.split(">=") for text in declared):
        assert f"python3-{name.removeprefix('py') if name == 'pyyaml' else name} (>= {least})" in control


def test_every_page_installs_this_name() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pages = [ROOT / name for name in listed.split("\0") if name.endswith((".md", ".yml", ".yaml", ".service"))]
    lines = [(page, line) for page in pages if page.exists() for line in INSTALLERS.findall(page.read_text())]
    assert any(NAME in line for _, line in lines)
    assert not [(str(page), line) for page, line in lines if SHORTER.search(line.partition("#")[0])]


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    """Paths of this source; capitals stand for a name of one's own."""
    named = re.findall(r"`((?:docs|examples|tests|topologies|vecnet|_native)/[\w./-]*)`", (ROOT / page).read_text())
    assert named
    assert not [path for path in named if not re.search("NAME|X_Y", path) and not (ROOT / path).exists()]
