"""A folder for a socket that is there for a moment; where its process was killed, the user's next one takes it away.

Who makes a folder holds a lock on it, which ends with the process, in whatever namespace that was. So a folder of this
user that nobody holds is nobody's.

Source: flock(2); inode(7), the sticky bit, by which nobody else may remove or replace it in /tmp.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_PLACE = "/tmp"  # noqa: S108 - guests of other users, in other namespaces of the network, must reach the socket
_PREFIX = "vecnet-asks-"


@contextmanager
def brief_folder() -> Iterator[str]:
    """An empty folder of this user, which others may pass through, for a socket or none. Raises OSError."""
    _swept()
    path, held = _made()
    try:
        os.fchmod(held, 0o711)
        yield path
    finally:
        _remove(path, held)
        os.close(held)


def _made() -> tuple[str, int]:
    """A new folder, and the descriptor that locks it."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE)
        with suppress(FileNotFoundError):  # somebody who sweeps was faster than our lock
            held = _opened(path)
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                os.stat(path)  # noqa: PTH116 - as below
            except BaseException:
                os.close(held)
                raise
            return path, held


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


@cache
def _swept() -> None:
    """Once in a process: remove what killed ones have left."""
    with os.scandir(_PLACE) as found:
        names = [entry.name for entry in found if entry.name.startswith(_PREFIX)]
    for name in names:
        with suppress(OSError):  # it is held, somebody else's, or gone
            path = f"{_PLACE}/{name}"
            held = _opened(path)
            try:
                if os.fstat(held).st_uid == os.geteuid():
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(path, held)
            finally:
                os.close(held)


def _remove(path: str, held: int) -> None:
    """Remove a folder with the sockets in it, and nothing else."""
    with suppress(OSError):
        for name in os.listdir(held):
            if stat.S_ISSOCK(os.stat(name, dir_fd=held, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=held)
        os.rmdir(path)  # noqa: PTH106 - pathlib takes longer to load
