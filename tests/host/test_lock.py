"""The lock: one run at a time, whatever another user does to its names.

::

    the test's network namespace: abstract names │ vecnet.lock.0 │ vecnet.lock.1 │ …   bound by root, or by somebody
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vecnet.errors import BusyError
from vecnet.host.lock import locked
from vecnet.kernel import unix_sockets
from vecnet.kernel.namespaces import Namespaces

NOBODY = 65534
SQUAT = """
import os, socket, sys
os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})
held = []
for number in range({count}):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        try:
            one.bind(chr(0) + "vecnet.lock." + str(number))
            break
        except OSError:
            pass  # held just now
    if {listens}:
        one.listen({backlog})
        for _ in range({backlog} + 1):
            held.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            held[-1].connect(one.getsockname())
    held.append(one)
print("bound", flush=True)
sys.stdin.read()
"""


@contextmanager
def squatter(user: int = NOBODY, count: int = 1, listens: bool = True, backlog: int = 0) -> Iterator[int]:
    """Another process has bound the lock's first names, as a user; its number."""
    script = SQUAT.format(user=user, count=count, listens=listens, backlog=backlog)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "bound\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def held(timeout: float = 0.2) -> Iterator[None]:
    """The lock of the test's own namespace."""
    with Namespaces() as namespaces, locked([namespaces.home], timeout, lambda _: None):
        yield


@pytest.mark.parametrize(("count", "listens"), [(1, True), (1, False), (200, True)])
def test_another_user_cannot_keep_the_lock_from_root(count: int, listens: bool) -> None:
    with squatter(count=count, listens=listens):
        started = time.monotonic()
        with held(10), pytest.raises(BusyError, match=rf"process {os.getpid()}"), held():
            pass
        assert time.monotonic() - started < 10
        with held(10):
            pass


def test_the_lock_of_root_is_waited_for_whatever_its_backlog_and_name() -> None:
    with squatter(user=0, backlog=0), pytest.raises(BusyError, match="another process"), held():
        pass  # no more connections are taken
    with squatter(user=0, backlog=5), pytest.raises(BusyError), held():
        pass


def test_a_lock_behind_strangers_is_seen_once_they_are_gone() -> None:
    with squatter(), Namespaces() as namespaces:
        lock = locked([namespaces.home])
        lock.__enter__()
    try:
        with pytest.raises(BusyError, match=rf"process {os.getpid()}"), held():
            pass
    finally:
        lock.__exit__(None, None, None)


def test_two_at_once_never_both_hold_it_while_somebody_comes_and_goes() -> None:
    ended, inside, most = threading.Event(), [0], [0]
    taken = [0]

    def take() -> None:
        while not ended.is_set():
            with Namespaces() as namespaces, locked([namespaces.home], 60, lambda _: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                taken[0] += 1
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=take, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            with squatter():
                time.sleep(0.05)
    finally:
        ended.set()
        for thread in threads:
            thread.join(60)
    assert most == [1]
    assert taken[0] > 10


def test_each_kind_of_lock_and_each_namespace_has_its_own() -> None:
    subprocess.run(["ip", "netns", "add", "other"], check=True)
    with (
        Namespaces() as namespaces,
        held(),
        locked([namespaces["other"]], 0.2),
        locked([namespaces.home], 0.2, what="loopback"),
    ):
        pass


def test_an_ordinary_user_waits_for_root_and_for_itself_and_for_nobody_else() -> None:
    script = (
        "import os, sys, vecnet.kernel.netlink; sys.path.insert(0, '.'); from tests.host.test_lock import held; "
        "os.setresgid({me}, {me}, {me}); os.setresuid({me}, {me}, {me}); exec('with held(): print(1)')"
    )

    def taken(me: int) -> bool:
        done = subprocess.run([sys.executable, "-c", script.format(me=me)], capture_output=True, check=False)
        assert done.returncode == 0 or b"BusyError" in done.stderr, done.stderr
        return done.returncode == 0

    assert taken(NOBODY)
    with squatter(user=1):
        assert taken(NOBODY)
        assert not taken(1)
    with squatter(user=0):
        assert not taken(NOBODY)


def test_a_kernel_that_cannot_say_whose_a_socket_is_has_a_lock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_sockets, "users", lambda _: None)
    with held(), pytest.raises(BusyError), held():
        pass
    with squatter(), pytest.raises(BusyError), held():
        pass


def test_who_made_a_socket_is_told_of_its_maker_alone() -> None:
    with squatter(backlog=3):
        assert unix_sockets.users(b"\0vecnet.lock.") == {b"\0vecnet.lock.0": NOBODY}
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with one:
        one.bind("\0vecnet.lock.7")
        assert unix_sockets.users(b"\0vecnet.lock.") == {b"\0vecnet.lock.7": os.geteuid()}
