"""The packets of a probe that failed, kept as pcapng: inner and outer side of both ends, with the causes of drops."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vecnet.errors import HostError

if TYPE_CHECKING:
    from vecnet.loopback.wire import Wire


def make_folder(path: str) -> Path:
    """The folder for captures. Raises HostError where it cannot be made."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"captures cannot be kept in {path}: {error.strerror}") from None
    return folder


@contextmanager
def recorded(folder: Path | None, wire: Wire, probe: str) -> Iterator[Callable[[], None]]:
    """Record both ends within the block; the file stays if the function that is given is called. Raises HostError."""
    keep = False

    def kept() -> None:
        nonlocal keep
        keep = True

    if folder is None:
        yield kept
        return
    from vecnet.datapath.record import Recorder

    path = folder / (re.sub(r"[^\w.-]+", "_", f"{wire.subject.name}-{probe}") + ".pcapng")
    try:
        with Recorder(path) as recorder:
            recorder.add(wire.near, wire.subject.near.name)
            recorder.add(wire.far, wire.subject.far.name)
            yield kept
        if not keep:
            path.unlink()
    except OSError as error:
        raise HostError(f"the packets cannot be written to {path}: {error.strerror}") from None
