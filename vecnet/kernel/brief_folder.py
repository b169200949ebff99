"""A folder that is there for a moment; where its process was killed, the user's next one takes it away.

Who makes a folder holds a lock on it, which ends with the process, in whatever namespace that was, and with those that
were given the descriptor. So a folder of this user that nobody holds is nobody's.

Source: flock(2); inode(7), the sticky bit, by which nobody else may remove or replace it in /tmp.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

_SHARED = "/tmp"  # noqa: S108 - guests of other users, in other namespaces of the network, must reach the socket
_ASKS, _RUNS = "vecnet-asks-", "vecnet-runs-"
_Remove = Callable[[str, int], None]  # a folder by its path and its descriptor


@contextmanager
def brief_folder() -> Iterator[str]:
    """An empty folder of this user, which others may pass through, for a socket or none. Raises OSError."""
    with _held(_SHARED, _ASKS, _remove_sockets) as (path, held):
        os.fchmod(held, 0o711)
        yield path


@contextmanager
def brief_tree() -> Iterator[tuple[str, int]]:
    """An empty folder that is private, for anything, in TMPDIR or where that leads to. Raises OSError.

    With it goes the descriptor that holds it, for a process that works in it and may live longer than this one.
    """
    with _held(tempfile.gettempdir(), _RUNS, _remove_tree) as found:
        yield found


@contextmanager
def _held(place: str, prefix: str, remove: _Remove) -> Iterator[tuple[str, int]]:
    _swept(place, prefix, remove)
    path, held = _made(place, prefix)
    try:
        yield path, held
    finally:
        remove(path, held)
        os.close(held)


def _made(place: str, prefix: str) -> tuple[str, int]:
    """A new folder, and the descriptor that locks it."""
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=place)
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
def _swept(place: str, prefix: str, remove: _Remove) -> None:
    """Once in a process: remove what killed ones have left."""
    with os.scandir(place) as found:
        names = [entry.name for entry in found if entry.name.startswith(prefix)]
    for name in names:
        with suppress(OSError):  # it is held, somebody else's, or gone
            path = f"{place}/{name}"
            held = _opened(path)
            try:
                if os.fstat(held).st_uid == os.geteuid():
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(path, held)
            finally:
                os.close(held)


def _remove_sockets(path: str, held: int) -> None:
    """Remove a folder with the sockets in it, and nothing else."""
    with suppress(OSError):
        for name in os.listdir(held):
            if stat.S_ISSOCK(os.stat(name, dir_fd=held, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=held)
        os.rmdir(path)  # noqa: PTH106 - pathlib takes longer to load


def _remove_tree(path: str, _held: int) -> None:
    """Remove a folder with all that is in it; no link is followed."""
    import shutil  # it loads three compressors

    shutil.rmtree(path, ignore_errors=True)
