"""A program's process: what it says is kept, what it shows can be waited for, and its end is told.

It gets SIGTERM when the thread that started it ends, so that it never outlives vecnet; a program that changes its user
forgets that, and has to see the end of its socket.

Source: prctl(2), PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Self, TypeVar

from vecnet.errors import ProgramError, ProgramMissing
from vecnet.signals import end_with_parent

T = TypeVar("T")

_PATIENCE = 20.0  # seconds for a program to show that it is there, on a busy machine
_PAUSE = 0.005  # seconds between two looks at what nobody tells
_LAST = 200  # lines that are kept, of which the first may be waited for later than they come
_LONGEST = 1000  # bytes of a line
_ENDS = 5.0  # seconds that a program has to end after SIGTERM
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process:
    """A program that runs. `name` is what it is called in sentences. Everything is for any thread."""

    def __init__(self, name: str, words: Sequence[str], package: str, inherited: Sequence[int] = ()) -> None:
        """Start it. Raises ProgramMissing, and ProgramError where it cannot be started."""
        self.name, self.stopping = name, False
        self._changed = threading.Condition()
        self._lines: collections.deque[str] = collections.deque(maxlen=_LAST)
        self._status: int | None = None
        self._told: list[Callable[[], None]] = []
        binary = shutil.which(words[0])
        if binary is None:
            raise ProgramMissing(f"{words[0]} is not installed", f"apt-get install {package}")
        try:
            self._process = subprocess.Popen(
                [binary, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(inherited),
                process_group=0,  # the terminal's interrupt is for us, who end it in turn
                preexec_fn=partial(_begin, os.getpid()),
            )
        except OSError as error:
            raise ProgramError(f"{name} cannot be started: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, name=f"vecnet {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in iter(partial(output.readline, _LONGEST), b""):
                with self._changed:
                    self._lines.append(line.decode(errors="replace").strip())
                    self._changed.notify_all()
        status = self._process.wait()
        with self._changed:
            self._status = status
            self._changed.notify_all()
            told, self._told = self._told, []
        for tell in told:
            tell()

    def wait_for(self, words: str) -> None:
        """Wait until it has said a line with these words. Raises ProgramError where it ends instead."""
        with self._changed:
            said = self._changed.wait_for(
                lambda: self._status is not None or any(words in line for line in self._lines), _PATIENCE
            )
            if not said or self._status is not None:
                raise self._error(said)

    def until(self, tried: Callable[[], T | None]) -> T:
        """What `tried` comes to; it is asked again while that is None. Raises ProgramError where the program ends."""
        end = time.monotonic() + _PATIENCE
        while (found := tried()) is None:
            with self._changed:
                ended = self._changed.wait_for(lambda: self._status is not None, _PAUSE)
                if ended or time.monotonic() > end:
                    raise self._error(ended)
        return found

    def read(self, descriptor: int) -> None:
        """Wait until something can be read of a pipe whose other end is the program's. Raises ProgramError."""
        import select  # asked for by some programs alone

        ready = select.select([descriptor], [], [], _PATIENCE)[0]
        if not ready or not os.read(descriptor, 1):
            with self._changed:  # the pipe's end comes before the process's
                self._changed.wait_for(lambda: self._status is not None, _ENDS)
                raise self._error(bool(ready))

    def _error(self, ended: bool) -> ProgramError:
        if ended:
            return ProgramError(self.end)
        return ProgramError(f"{self.name} did not come up in {_PATIENCE:g} seconds{self._last_words}")

    @property
    def ended(self) -> bool:
        with self._changed:
            return self._status is not None

    @property
    def end(self) -> str:
        """How it ended, with the last that it said."""
        with self._changed:
            status = self._status
        if status is None:
            how = "has closed its connection"
        elif status < 0:
            how = f"has ended by {signal.Signals(-status).name}"
        else:
            how = f"has ended with status {status}"
        return f"{self.name} {how}{self._last_words}"

    @property
    def _last_words(self) -> str:
        said = [line for line in self._lines if line and "syslog" not in line][-3:]
        return f": {' | '.join(said)}" if said else ""

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Call `tell` in a thread once it has ended, at once where it has; not where `stop` ended it."""

        def unless_stopped() -> None:
            if not self.stopping:
                tell()

        with self._changed:
            if self._status is None:
                self._told.append(unless_stopped)
                return
        unless_stopped()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self.stopping = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)  # with what it has started
            self._reader.join(_ENDS)
            if not self._reader.is_alive():
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _begin(parent: int) -> None:
    """In the new process, before it is the program."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    end_with_parent(parent, signal.SIGTERM)
