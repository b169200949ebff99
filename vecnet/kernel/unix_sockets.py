"""Who has a Unix socket's path, asked of the kernel: connecting only to look would use up a switch's one connection.

Every network namespace lists its own sockets, and a path reaches across all of them.

Source: proc_net(5), unix; net/unix/af_unix.c, unix_seq_show; network_namespaces(7); sock_diag(7), linux/unix_diag.h.
"""

from __future__ import annotations

import socket
import stat
import struct
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import netlink
from vecnet.records import record

_EVERY_PROCESS = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h: the namespace that sees all processes
_LISTENS = 1 << 16  # __SO_ACCEPTCON
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST = struct.Struct("=BBHIIIII")  # family, protocol, padding, states, inode, what to show, cookie
_SHOW_NAME, _SHOW_UID = 0x01, 0x40
# TCP_CLOSE, TCP_LISTEN: a connection to be accepted has its name too, and is said to be root's
_BOUND = 1 << 7 | 1 << 10
_CREDENTIALS = struct.Struct("=iII")  # struct ucred
_TIMEVAL = struct.Struct("@ll")  # struct timeval
_ANSWER_SIZE = 16  # struct unix_diag_msg
_NAME, _UID = 0, 7


@record(frozen=True, slots=True)
class Peer:
    """Who listens at the other end of a connected socket: the process, 0 where it cannot be seen, and its user."""

    process: int
    user: int


def peer(connected: socket.socket) -> Peer:
    """Raises OSError."""
    process, user, _ = _CREDENTIALS.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return Peer(process, user)


def connected(path: str, kind: socket.SocketKind = socket.SOCK_SEQPACKET, timeout: float = 10.0) -> socket.socket:
    """A socket that is connected to whoever listens at `path`. Raises OSError, EAGAIN after `timeout` seconds.

    Python's own time limit is none here: with that, the kernel does not wait for one who has a full queue.
    """
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(timeout), int(timeout % 1 * 1e6)))
        made.connect(path)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, 0))
    except OSError:
        made.close()
        raise
    return made


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


def users(prefix: bytes) -> dict[bytes, int | None] | None:
    """Who made the sockets whose names begin so, in the calling thread's namespace: their users' numbers.

    None where this kernel cannot list sockets; a user is None where it cannot say who it is.
    """
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _BOUND, 0, _SHOW_NAME | _SHOW_UID, 0, 0)
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    found: dict[bytes, int | None] = {}
    try:
        with closing(netlink.Socket(_NETLINK_SOCK_DIAG)) as diag:
            for _, message in diag.dump(netlink.message(_SOCK_DIAG_BY_FAMILY, flags, request)):
                got = netlink.attributes(message[_ANSWER_SIZE:], frozenset((_NAME, _UID)))
                name = bytes(got.get(_NAME, b""))
                if name.startswith(prefix):
                    found[name] = netlink.number(got[_UID]) if _UID in got else None
    except HostError:
        return None
    return found
