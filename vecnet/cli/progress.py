"""Progress on long work: a bar on stderr where it is a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[int, int], None]  # how much is done, of how much

_PATIENCE = 0.5  # seconds before a bar is worth showing


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """A function that is told (done, total) and draws a bar, once the work has taken half a second."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    started = time.monotonic()
    bar = None

    def report(done: int, total: int) -> None:
        nonlocal bar, task
        if bar is None and time.monotonic() - started > _PATIENCE:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.start()
            task = bar.add_task(title, total=total)
        if bar is not None and task is not None:
            bar.update(task, completed=done, total=total)

    task = None
    try:
        yield report
    finally:
        if bar is not None:
            bar.stop()
