"""Where served sockets and filters lie: folders of this user alone, with names that follow from a topology's. And
guests' own.

    $XDG_RUNTIME_DIR/vecnet/TOPOLOGY/END     with /run/vecnet for root and /tmp/vecnet-UID where that is not set
    …/vecnet/TOPOLOGY:filters/END.bpf

A guest's string names such a path, so it must be known before anything is served. It fits the 107 bytes of a Unix
socket's path: what is longer is shortened to digits that follow from it.

Source: XDG Base Directory Specification, XDG_RUNTIME_DIR; unix(7).
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress

from vecnet.errors import HostError
from vecnet.values import UNIX_PATH_MAX

_DIGITS = 8  # of a name that is shortened
_ROOM = 18  # bytes behind a topology's folder: /lan:web, shortened; or /pxxxxxxxx/control, a program's own
_TRIES = 100  # while others that end remove the folder above
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


def filters_folder(topology: str) -> str:
    """The folder of the filters that guests read. No topology has such a name, and no server removes it."""
    return _within(base(), f"{topology}:filters", _ROOM)


def filter_path(topology: str, end: str) -> str:
    """The path of the filter that an end, such as `web:vec0`, reads."""
    return _within(filters_folder(topology), f"{end}.bpf", 0)


def _within(place: str, name: str, room: int) -> str:
    """A path that leaves `room` bytes behind it."""
    path = f"{place}/{name}"
    if len(path) + room < UNIX_PATH_MAX:
        return path
    return f"{place}/{hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]}"


def guests() -> str:
    """Where this user's guests have their folders, each named by its umid, unless uml_dir= says otherwise.

    Source: HOWTO, "The UML Management Console".
    """
    return f"{os.environ.get('HOME', '')}/.uml"


def console(umid: str) -> str:
    """The path of a guest's console."""
    return f"{guests()}/{umid}/mconsole"


def open_folder(topology: str) -> tuple[str, int]:
    """The folder of a topology, made with those above it for this user alone, and a descriptor of it.

    Raises HostError where it is not ours, or cannot be.
    """
    return _opened(folder(topology))


def open_filters_folder(topology: str) -> tuple[str, int]:
    """The same of the folder of filters. Raises HostError."""
    return _opened(filters_folder(topology))


def _opened(path: str) -> tuple[str, int]:
    for left in reversed(range(_TRIES)):
        try:
            os.makedirs(os.path.dirname(base()), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes longer to load
            _make_private(base())
            _make_private(path)
            return path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:  # who has ended meanwhile has removed it
            if not left:
                raise _unmade(path, error) from None
        except OSError as error:
            raise _unmade(path, error) from None
    raise AssertionError("unreachable: the last try returns or raises")


def remove_folder(path: str) -> None:
    """Remove a topology's folder with all that is in it, and the one above it where it was the last."""
    import shutil  # for who serves alone

    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(base())  # noqa: PTH106


def _make_private(path: str) -> None:
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            instead = "remove it, or set XDG_RUNTIME_DIR to a folder of yours that nobody else may enter"
            raise HostError(f"{path} is not a private folder of this user", instead) from None


def _unmade(path: str, error: OSError) -> HostError:
    instead = "set XDG_RUNTIME_DIR to a folder that you may write to"
    return HostError(f"{path} cannot be made: {error.strerror}", instead)
