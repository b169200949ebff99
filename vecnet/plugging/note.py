"""What vecnet has plugged into a guest since it booted: a file in the guest's own folder, a line of JSON an event.

The first line is the guest's boot_id, so that nothing is taken for the next boot's. The guest's kernel removes the file
with all that is in its folder when it ends. Others may write there, too: what is not as it should be is passed over.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vecnet.errors import BusyError, GuestError
from vecnet.kernel.unforeseen import advice
from vecnet.plain import Senseless, parsed

NAME = ".vecnet-plugged"
_BOOT = re.compile(rb"[0-9a-f-]{36}\n")  # proc(5), boot_id
_LONGEST = 1 << 24  # bytes that are read
_OPENED = os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Plugged:
    """A device that was plugged, with the link that it was for. An empty string says that it was removed."""

    unit: int
    string: str
    link: str = ""


def read(folder: Path, boot: str) -> dict[int, Plugged]:
    """The last that is noted of each unit, of this boot."""
    try:
        fd = os.open(folder / NAME, os.O_RDONLY | _OPENED)
    except OSError:
        return {}
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return {}
        first, *lines = os.read(fd, _LONGEST).decode(errors="replace").split("\n")
    finally:
        os.close(fd)
    if first != boot:
        return {}
    found = {}
    for line in lines:
        with suppress(Senseless):
            event = parsed(Plugged, line)
            found[event.unit] = event
    return found


class Note:
    """The file, opened to be written to by this process alone."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def add(self, event: Plugged) -> None:
        """Raises GuestError where it cannot be written."""
        try:
            os.write(self._fd, f"{json.dumps(asdict(event))}\n".encode())
        except OSError as error:
            said = f"it cannot be noted that vec{event.unit} was plugged: {error.strerror}"
            raise GuestError(said, advice(error)) from None


@contextmanager
def opened(folder: Path, boot: str) -> Iterator[Note]:
    """The note of this boot, within the block. Raises GuestError, and BusyError where another vecnet has it."""
    path = folder / NAME
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _OPENED, 0o644)
    except OSError as error:
        said = f"what is plugged cannot be noted in {path}: {error.strerror}"
        raise GuestError(said, advice(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise GuestError(f"{path} is not a file", "remove it")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another vecnet plugs into {folder.name}", "try again when it has ended") from None
        head = f"{boot}\n".encode()
        found = os.pread(fd, len(head), 0)
        if found and not _BOOT.fullmatch(found):
            raise GuestError(f"{path} is no note of vecnet's", "remove it")
        if found != head:  # of a boot before, or none
            os.ftruncate(fd, 0)
            os.write(fd, head)
            owner = folder.stat()
            if os.geteuid() == 0:  # the guest's user shall be able to go on
                os.fchown(fd, owner.st_uid, owner.st_gid)
        yield Note(fd)
    finally:
        os.close(fd)
