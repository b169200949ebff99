"""The packets of a probe that failed, kept as pcapng: inner and outer side of both ends, with the causes of drops."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vecnet.errors import HostError, PortError
from vecnet.kernel.unforeseen import advice
from vecnet.loopback.verdict import Result, Verdict

if TYPE_CHECKING:
    from vecnet.datapath.port import Port


def make_folder(path: str) -> Path:
    """The folder for captures. Raises HostError where it cannot be made."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"captures cannot be kept in {path}: {error.strerror}", advice(error)) from None
    return folder


def recorded(
    folder: Path | None, link: str, ports: Mapping[str, Port], probe: str, attempt: Callable[[], Result]
) -> Result:
    """The attempt's result; the ends were recorded meanwhile, each by its name, and the file is kept if it failed.

    That the packets cannot be written is one more sentence, and changes no verdict. The file is written under a name
    that nobody can foresee, so that no link that somebody put there is followed.
    """
    if folder is None:
        return attempt()
    from vecnet.datapath.record import Recorder

    result = None
    path = folder / (re.sub(r"[^\w.-]+", "_", f"{link}-{probe}") + ".pcapng")
    try:
        with TemporaryDirectory(prefix=".vecnet-", dir=folder) as aside, ExitStack() as stack:
            recorder = stack.enter_context(Recorder(Path(aside, path.name)))
            for name, port in ports.items():
                recorder.add(port, name)
            result = attempt()
            stack.close()
            if result.verdict is Verdict.FAIL:
                Path(aside, path.name).replace(path)
    except (OSError, PortError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        result = result or attempt()
        if result.verdict is Verdict.FAIL:
            return replace(result, reason=f"{result.reason}. The packets cannot be written to {path}: {why}")
    return result
