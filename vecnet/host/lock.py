"""One vecnet at a time in a network namespace.

The lock is a listening Unix socket with an abstract name: such names belong to the network namespace, need no file, and
vanish with their process however it ends. Who finds the name taken connects to it and waits for the end of file.

Source: unix(7), "Abstract sockets" and SO_PEERCRED.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from vecnet.errors import BusyError, HostError
from vecnet.kernel.namespaces import Namespace

TIMEOUT = 60.0  # seconds
_PAUSE = 0.05  # seconds between tries where the holder cannot be waited for
_BACKLOG = 64

Say = Callable[[str], None]


def say_on_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def locked(
    places: Sequence[Namespace], timeout: float = TIMEOUT, say: Say = say_on_stderr, what: str = "lock"
) -> Iterator[None]:
    """Hold the lock of each namespace, of those called `what`.

    Raises BusyError after `timeout` seconds of waiting for another vecnet.
    """
    deadline = time.monotonic() + timeout
    with ExitStack() as held:
        # always in the same order, so that two runs never wait for each other
        for place in sorted({place.cookie: place for place in places}.values(), key=lambda place: place.cookie):
            held.enter_context(_take(place, f"\0vecnet.{what}".encode(), deadline, say))
        yield


def _take(place: Namespace, name: bytes, deadline: float, say: Say) -> socket.socket:
    told: set[int] = set()
    while True:
        with place.entered():
            lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                lock.bind(name)
                lock.listen(_BACKLOG)
                return lock
            except OSError as error:
                lock.close()
                if error.errno != errno.EADDRINUSE:
                    raise HostError(f"the lock of {place} cannot be taken: {error.strerror}") from error
            waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with waiting:
            _wait(waiting, place, name, deadline, say, told)


def _wait(waiting: socket.socket, place: Namespace, name: bytes, deadline: float, say: Say, told: set[int]) -> None:
    """Wait until the holder lets go, which it shows by closing its end."""
    left = deadline - time.monotonic()
    pid = 0
    try:
        waiting.settimeout(max(left, 0.001))
        waiting.connect(name)  # looked up in the namespace that the socket was made in
        pid = struct.unpack("=iII", waiting.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        if pid not in told:
            told.add(pid)
            say(f"waiting for another vecnet (process {pid}) in {place}")
        waiting.recv(1)
    except TimeoutError:
        pass
    except OSError:
        time.sleep(min(_PAUSE, max(left, 0)))  # it let go meanwhile, or has too many waiting already
    if time.monotonic() >= deadline:
        who = f"process {pid}" if pid else "another process"
        raise BusyError(f"another vecnet ({who}) works in {place} and does not end", "wait for it, or stop it")
