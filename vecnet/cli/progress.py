"""Progress on long work: a bar on stderr where it is a terminal that can draw, nothing elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecnet.progress import Progress, quiet

if TYPE_CHECKING:
    from rich import progress as rich_progress

_PATIENCE = 0.5  # seconds before a bar is worth showing


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A function that is told (done, total) and draws a bar, once the work has taken half a second."""
    bar = _Bar(title) if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None
    try:
        yield bar.report if bar else quiet
    finally:
        if bar:
            bar.close()


class _Bar:
    """rich's bar, which is loaded and drawn only once the work turns out to be long."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._bar: rich_progress.Progress | None = None

    def report(self, done: int, total: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._started < _PATIENCE:
                return
            from rich import progress as rich_progress
            from rich.console import Console

            self._bar = rich_progress.Progress(console=Console(stderr=True), transient=True)
            self._bar.add_task(self._title, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def close(self) -> None:
        if self._bar:
            self._bar.stop()
