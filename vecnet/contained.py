"""A command with whom all ends: whatever it has started ends with it, and with this process, however that ends.

    this process ── the first of a process namespace ── the command ── whatever it starts

The kernel kills all of a namespace with its first process, which waits for the command, and which the kernel kills with
this one. The namespace has a /proc of its own, so that a process finds itself there by its number. Where /proc may not
be mounted, as in many containers, there is no namespace, and the command alone ends with this process.

Source: pid_namespaces(7); PR_SET_PDEATHSIG of prctl(2).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from vecnet.kernel import libc
from vecnet.signals import end_with_parent, handled, held, unless_ignored

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_SIGNALS = (signal.SIGINT, *_PASSED_ON)  # a terminal sends the first to the command as well
_NOT_FOUND, _NOT_STARTED, _BY_SIGNAL = 127, 126, 128  # exit statuses, as a shell gives them
_GO, _ENDED = b"g", b"e"  # what the first of a process namespace is told

Say = Callable[[str], None]


def run(words: Sequence[str], say: Say) -> int:
    """Run a command in the foreground; signals reach it, its exit status comes back as a shell gives it.

    What keeps it from being started is said, and is a status as well. No thread may run.
    """
    with held(_SIGNALS):  # until there is a process that they are for
        if not _may_mount_proc():
            return _run(words, say)
        if _interrupted():
            return _BY_SIGNAL + signal.SIGINT
        libc.unshare(libc.CLONE_NEWPID)
        heard, told = os.pipe()
        first = _forked(lambda: _as_first(heard, told, words, say))
        os.close(heard)
        with suppress(BrokenPipeError):  # it was killed at once
            os.write(told, _ENDED if _interrupted() else _GO)  # it was not there for what came before it
        return _status_of(first)


def _interrupted() -> bool:
    """Whether an interrupt waits. A terminal sent it to those that were there, and not to a command to come."""
    return signal.SIGINT in unless_ignored(_SIGNALS) and signal.SIGINT in signal.sigpending()


def _may_mount_proc() -> bool:
    """Tried where it does no harm: a process that has made the namespace could not give up on it."""

    def mount() -> int:
        libc.unshare(libc.CLONE_NEWPID)
        return os.waitstatus_to_exitcode(os.waitpid(_forked(_mount_proc), 0)[1])

    return os.waitpid(_forked(mount), 0)[1] == 0


def _mount_proc() -> int:
    try:
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("proc", "/proc", "proc", 0)
    except OSError:
        return _NOT_STARTED
    return 0


def _as_first(heard: int, told: int, words: Sequence[str], say: Say) -> int:
    os.close(told)
    libc.end_with_parent(signal.SIGKILL)
    word = os.read(heard, 1)
    if word == _ENDED:
        return _BY_SIGNAL + signal.SIGINT
    if select.select([heard], [], [], 0)[0]:  # the pipe's end: the parent has ended already
        return _NOT_STARTED
    _mount_proc()
    return _run(words, say)


def _run(words: Sequence[str], say: Say) -> int:
    def begin(parent: int) -> None:
        for number in unless_ignored(_SIGNALS):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        end_with_parent(parent)

    if _interrupted():
        return _BY_SIGNAL + signal.SIGINT
    try:
        process = subprocess.Popen(words, preexec_fn=partial(begin, os.getpid()))
    except OSError as error:
        say(f"{words[0]}: {error.strerror}")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_STARTED
    return _status_of(process.pid)


def _forked(body: Callable[[], int]) -> int:
    """The number of a child, whose exit status is what `body` returns."""
    child = os.fork()
    if child:
        return child
    status = _NOT_STARTED
    try:
        status = body()
    finally:
        os._exit(status)


def _status_of(child: int) -> int:
    def pass_on(number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    with handled(_SIGNALS, pass_on):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # what came while there was no child is for it, too
        with handled([signal.SIGINT], lambda _: None):
            while True:
                ended, status = os.waitpid(-1, 0)  # the first of a namespace has its orphans, too
                if ended == child:
                    break
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _BY_SIGNAL - code
