"""Who has a Unix socket's path, asked of the kernel: connecting only to look would use up a switch's one connection.

Every network namespace lists its own sockets, and a path reaches across all of them.

Source: proc_net(5), unix; net/unix/af_unix.c, unix_seq_show; network_namespaces(7).
"""

from __future__ import annotations

import stat
from contextlib import suppress
from enum import Enum
from pathlib import Path

_EVERY_PROCESS = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h: the namespace that sees all processes
_LISTENS = 1 << 16  # __SO_ACCEPTCON


class Holder(Enum):
    """What has a path."""

    NOBODY = "nothing is there, or the socket of a program that has ended"
    LISTENER = "another program listens at it"
    BOUND = "another program has bound it, and does not listen"
    UNKNOWN = "a socket is there, maybe of a program in a network namespace that cannot be looked into"


def holder(path: str) -> Holder:
    """Who has the path of a socket. A program that gave it relative to its folder is not recognized."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return Holder.NOBODY
    except OSError:
        return Holder.NOBODY
    wanted, tables = Path(path).resolve(), {}
    hidden = Path("/proc/self/ns/pid").stat().st_ino != _EVERY_PROCESS
    for process in [Path("/proc/self"), *Path("/proc").glob("[0-9]*")]:
        try:
            namespace = process  # of a process that may not be looked into, the table can be read all the same
            with suppress(PermissionError):
                namespace = (process / "ns/net").readlink()
            if namespace not in tables:
                tables[namespace] = (process / "net/unix").read_text(errors="surrogateescape")
        except PermissionError:
            hidden = True
        except OSError:
            continue  # it has just ended
    found = [flags for table in tables.values() for flags, bound in _sockets(table) if Path(bound).resolve() == wanted]
    if any(flags & _LISTENS for flags in found):
        return Holder.LISTENER
    return Holder.BOUND if found else Holder.UNKNOWN if hidden else Holder.NOBODY


def _sockets(table: str) -> list[tuple[int, str]]:
    """Flags and path of each socket that has one."""
    found = []
    for line in table.splitlines()[1:]:
        words = line.split(maxsplit=7)  # number, references, protocol, flags, type, state, inode, path
        if len(words) == 8 and words[7].startswith("/"):
            with suppress(ValueError):
                found.append((int(words[3], 16), words[7]))
    return found
