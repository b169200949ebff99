"""Where served sockets lie: a folder of this user alone, with names that follow from a topology's.

    $XDG_RUNTIME_DIR/vecnet/TOPOLOGY/END     with /run/vecnet for root and /tmp/vecnet-UID where that is not set

A guest's string names such a path, so it must be known before anything is served. It fits the 107 bytes of a Unix
socket's path: what is longer is shortened to digits that follow from it.

Source: XDG Base Directory Specification, XDG_RUNTIME_DIR; unix(7).
"""

from __future__ import annotations

import hashlib
import os
import stat

from vecnet.errors import HostError
from vecnet.values import UNIX_PATH_MAX

_DIGITS = 8  # of a name that is shortened
_ROOM = 18  # bytes behind a topology's folder: /lan:web, shortened; or /pxxxxxxxx/control, a program's own
CONTROL = "control"  # the socket by which a server is asked


def base() -> str:
    """The folder of all topologies of this user."""
    chosen = os.environ.get("XDG_RUNTIME_DIR", "")
    if chosen.startswith("/") and chosen.isascii() and not set(chosen) & set(", ="):  # a vec string has to hold it
        path = f"{chosen.rstrip('/')}/vecnet"
        if len(path) + 1 + _DIGITS + _ROOM < UNIX_PATH_MAX:
            return path
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return "/run/vecnet"
    return f"/tmp/vecnet-{os.geteuid()}"  # noqa: S108 - it is looked at before it is used


def folder(topology: str) -> str:
    """The folder of a topology's sockets."""
    return _within(base(), topology, _ROOM)


def socket_path(topology: str, end: str) -> str:
    """The path of the socket at which an end, such as `lan:web`, is served."""
    return _within(folder(topology), end, 0)


def _within(place: str, name: str, room: int) -> str:
    """A path that leaves `room` bytes behind it."""
    path = f"{place}/{name}"
    if len(path) + room < UNIX_PATH_MAX:
        return path
    return f"{place}/{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def make_folder(topology: str) -> str:
    """Make the folder of a topology, and those above it, for this user alone. Raises HostError where it is not ours."""
    path = folder(topology)
    for one in (base(), path):
        try:
            os.makedirs(os.path.dirname(one), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes longer to load
            try:
                os.mkdir(one, 0o700)  # noqa: PTH102
            except FileExistsError:
                found = os.lstat(one)
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                    instead = "remove it, or set XDG_RUNTIME_DIR to a folder of yours that nobody else may enter"
                    raise HostError(f"{one} is not a private folder of this user", instead) from None
        except OSError as error:
            instead = "set XDG_RUNTIME_DIR to a folder that you may write to"
            raise HostError(f"{one} cannot be made: {error.strerror}", instead) from None
    return path
