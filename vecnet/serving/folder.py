"""A served topology's private folder, with its sockets: one process has it at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from vecnet import runtime
from vecnet.errors import HostError
from vecnet.serving.control import server


@contextmanager
def locked(topology: str) -> Iterator[str]:
    """The topology's private folder, which one process has at a time; it is gone at the end. Raises HostError."""
    while True:
        folder, lock = runtime.open_folder(topology)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pid = server(topology)
                who = f"by process {pid}" if pid else "or is just being"
                instead = f"stop it, or let it read the file again: kill -HUP {pid or 'PID'}"
                raise HostError(f"{topology} is served already, {who}", instead) from None
            if not _is(folder, lock):  # another one has ended meanwhile, and has removed it
                continue
            try:
                _sweep(folder)
                yield folder
            finally:
                runtime.remove_folder(folder)
            return
        finally:
            os.close(lock)


def _is(folder: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))  # noqa: PTH116
    except FileNotFoundError:
        return False


def _sweep(folder: str) -> None:
    """Remove what a server that was killed has left: its lock is ours."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108


def cleared(topology: str) -> bool:
    """Remove the folder that a server left which was killed. False where one runs, or it is not this user's."""
    try:
        with locked(topology):
            return True
    except HostError:
        return False
