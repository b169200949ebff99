"""`make release`: what does not agree is said before anything is built, and what is built can be built again."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.need import need, need_command, need_root
from vecnet import __version__

pytestmark = pytest.mark.unsanitized
ROOT = Path(__file__).resolve().parents[1]
SOMEBODY = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The last commit's source, with a heading for its version in the CHANGELOG."""
    need_command("git", "tar", "gzip")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", folder], check=True)
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased", f"## {__version__}", 1))
    git(folder, "commit", "--quiet", "--all", "--message", "Release")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, env=os.environ | SOMEBODY)


def release(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / ".ci/release"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHON": sys.executable},
        timeout=280,
    )


def test_all_that_does_not_agree_is_said_at_once(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## 9.9.9\n")
    (clone / "debian/changelog").write_text("uml-vecnet (9.9.9) unstable; urgency=medium\n")
    git(clone, "tag", f"v{__version__}")
    done = release(clone)
    assert done.returncode == 1
    assert not done.stdout
    said = [line.partition("; ")[0] for line in done.stderr.splitlines()]
    assert said == [
        f"release: debian/changelog has 9.9.9, and vecnet/__init__.py {__version__}",
        f"release: CHANGELOG.md has no heading '## {__version__}'",
        f"release: the tag v{__version__} is there already",
        "release: there are changes without a commit",
    ]
    assert not (clone / "dist").exists()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_all_in_one_file(clone: Path, tmp_path: Path) -> None:
    """It does what the README shows, on a machine that has this Python and nothing else, from a folder of its own."""
    need_root()
    need(find_spec("shiv"), "needs Python's shiv: pip install --group release")
    words = ["--quiet", "--console-script", "vecnet", "--extend-pythonpath", "--reproducible", "--compressed"]
    shiv: list[str | Path] = [sys.executable, "-m", "shiv", *words, "--output-file", tmp_path / "vecnet", clone]
    packed = subprocess.run(shiv, capture_output=True, text=True, check=False)
    assert packed.returncode == 0, packed.stderr
    (home := tmp_path / "home").mkdir()  # where it unpacks itself: a compiled module loads from no archive
    lab = clone / "topologies/lab.yaml"
    path = f"{tmp_path}:{Path(sys.executable).resolve().parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        ["unshare", "--net", tmp_path / "vecnet", "sandbox", lab, "--", "vecnet", "loopback", lab],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, "HOME": str(home)},
        timeout=200,
    )
    assert "lab: 6 of 6 links pass" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_release_but_for_the_upload(clone: Path) -> None:
    need(find_spec("twine"), "needs Python's twine: pip install --group release")
    done = release(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    out = clone / "dist" / __version__
    files = {path.name for path in out.iterdir()}
    assert len(files) == 3
    assert {f"uml_vecnet-{__version__}.tar.gz", "SHA256SUMS"} < files
    assert any("-cp311-abi3-manylinux" in name for name in files)
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=out, check=True)
    assert "upload dist/" in done.stdout
