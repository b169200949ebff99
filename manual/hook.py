"""What mkdocs calls: the pages that are made, and those that lie beside the source's root."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from manual import pages

ROOT = Path(__file__).parents[1]
OF_THE_ROOT = {"security.md": "SECURITY.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them to the pages of docs/."""
    beside = {
        page: re.sub(r"\]\((?!http)[^)]*/", "](", (ROOT / name).read_text()) for page, name in OF_THE_ROOT.items()
    }
    for path, text in {**pages(), **beside}.items():
        files.append(File.generated(config, path, content=text))
    return files
