"""One vecnet at a time in a network namespace.

The lock is a listening Unix socket with an abstract name: such names belong to the network namespace, need no file and
no right, and vanish with their process however it ends. But anybody in the namespace may bind any of them. So:

1. The names are numbered, and a lock counts only where the kernel says that this user or root made the socket. What
   another user has bound is passed over: it neither is the lock nor keeps it from us.
2. Whoever has bound a name looks for another lock that counts, and lets go where there is one: of two that have bound
   two names at once, at least one sees the other. Where no other user is in the way all try one name, and the kernel
   gives it to one of them.
3. Who waits connects to the holder and waits for the end of file.

A kernel that cannot say who made a socket (without unix_diag) has the first name alone, and each that binds it counts.

Source: unix(7), "Abstract sockets" and SO_PEERCRED; sock_diag(7).
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from vecnet.errors import BusyError, HostError
from vecnet.kernel import unix_sockets
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.unforeseen import advice

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
            held.enter_context(_take(place, f"vecnet.{what}", deadline, say))
        yield


def _take(place: Namespace, what: str, deadline: float, say: Say) -> socket.socket:
    told: set[int] = set()
    name = _name(what, 0)
    while True:
        lock = _bound(place, name)
        others = _others(place, what, None if lock is None else name, name)
        rivals = [other for other, user in others.items() if user in (None, 0, os.geteuid())]
        if lock is not None:
            if not rivals:
                return lock
            lock.close()
        strangers = others.keys() - set(rivals)
        name = next(one for number in itertools.count() if (one := _name(what, number)) not in strangers)
        if rivals:
            _wait(place, rivals[0], deadline, say, told)
        elif time.monotonic() >= deadline:
            raise BusyError(f"the lock of {place} cannot be taken: another user has all its names", "stop that user")


def _name(what: str, number: int) -> bytes:
    return f"\0{what}.{number}".encode()


def _bound(place: Namespace, name: bytes) -> socket.socket | None:
    """A socket with the name, None where somebody has it. Raises HostError."""
    with place.entered():
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            lock.bind(name)
            lock.listen(_BACKLOG)
        except OSError as error:
            lock.close()
            if error.errno != errno.EADDRINUSE:
                raise HostError(f"the lock of {place} cannot be taken: {error.strerror}", advice(error)) from error
            return None
        return lock


def _others(place: Namespace, what: str, own: bytes | None, tried: bytes) -> dict[bytes, int | None]:
    """The locks that are held, but for our own, with the users who made them."""
    with place.entered():
        found = unix_sockets.users(f"\0{what}.".encode())
    if found is None:
        return {} if own else {tried: None}
    return {name: user for name, user in sorted(found.items()) if name != own}


def _wait(place: Namespace, name: bytes, deadline: float, say: Say, told: set[int]) -> None:
    """Wait until the holder lets go, which it shows by closing its end."""
    with place.entered():
        waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    left = deadline - time.monotonic()
    pid = 0
    with waiting:
        try:
            waiting.settimeout(max(left, 0.001))
            waiting.connect(name)  # looked up in the namespace that the socket was made in
            pid = unix_sockets.peer(waiting).process
            if pid not in told:
                told.add(pid)
                say(f"waiting for another vecnet (process {pid}) in {place}")
            waiting.recv(1)
        except TimeoutError:
            pass
        except OSError:  # it let go meanwhile, or has too many waiting already
            time.sleep(min(random.uniform(0, _PAUSE), max(left, 0)))  # noqa: S311 - so that two do not keep in step
    if time.monotonic() >= deadline:
        who = f"process {pid}" if pid else "another process"
        raise BusyError(f"another vecnet ({who}) works in {place} and does not end", "wait for it, or stop it")
