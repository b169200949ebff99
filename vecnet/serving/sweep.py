"""What `down` does about a server that was killed. What serves takes a while to load, and most have none."""

from __future__ import annotations

import os.path

from vecnet import runtime


def sweep(topology: str) -> list[str]:
    """Remove what it has left; in sentences."""
    if not os.path.isdir(runtime.folder(topology)):  # noqa: PTH112 - pathlib takes longer to load
        return []
    from vecnet.serving.folder import cleared

    return [f"{topology}: sockets of a server that was killed are removed"] if cleared(topology) else []
