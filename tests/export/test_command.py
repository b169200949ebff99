"""vecnet export: to standard output, or to files, of which none is lost."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.command import LAB, TAP, answer, refused, vecnet


def test_one_file_is_printed_as_it_is() -> None:
    assert answer("export", TAP, "--for", "iproute2").startswith("#!/bin/sh\n")


def test_files_are_written_and_none_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "here"
    words = ("export", LAB, "--for", "networkd", "--output", folder)
    done = vecnet(*words)
    assert done.returncode == 0
    assert not done.stdout
    names = sorted(path.name for path in folder.iterdir())
    assert "70-lab-tap-web.netdev" in names
    assert sorted(Path(line.removesuffix(" written")).name for line in done.stderr.splitlines()) == names
    mine = folder / names[0]
    mine.write_text("mine")
    assert refused(*words).count("is there already; give --force to write over it, or another --output") == len(names)
    assert mine.read_text() == "mine"
    assert vecnet(*words, "--force").returncode == 0
    assert mine.read_text() != "mine"
    vecnet("export", TAP, "--for", "iproute2", "--output", folder)
    assert os.access(folder / "tap.sh", os.X_OK)


def test_mistakes() -> None:
    assert "its guests are app, db, web" in refused("export", LAB, "--for", "ifupdown", "--guest", "nobody")
    assert "--output names none" in refused("export", TAP, "--for", "iproute2", "--force")
    assert "lab.yaml:16:5: error: " in refused("export", LAB, "--for", "netplan")


def test_several_files_are_printed_with_their_names() -> None:
    text = answer("export", LAB, "--for", "networkd", "--guest", "web")
    assert text.startswith("# 70-vec0.network\n[Match]\nName=vec0\n\n[Network]\nAddress=10.0.0.2/24\n")
    assert "\n# 70-vec1.network\n" in text
