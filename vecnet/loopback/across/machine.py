"""The controller's side of an agent: its process here, which starts the agent there, and how the two meet."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from vecnet import __version__
from vecnet.errors import Problem
from vecnet.loopback.across.agent import MARK
from vecnet.loopback.across.answers import Greeting
from vecnet.loopback.across.channel import Channel, Closed
from vecnet.loopback.across.line import Connection
from vecnet.loopback.verdict import Failed, Untested
from vecnet.plain import Senseless, parsed
from vecnet.text import shown

_START = 120.0  # seconds that a connection, and Python there, have to begin
_PULSE = 4.0  # seconds between signs of life
_END = 15.0  # seconds that an agent has to close what it has opened
_MOST_GREETING = 1 << 16  # bytes that a login may print before it
_LAST_WORDS = 400  # characters of what a program said on its standard error


class Machine:
    """An agent on one machine."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Start the command that starts the agent; `meet` waits for it. It ends by `hang_up`, and then by `close`."""
        self.name = name
        self.connection = Connection(name)
        self.own = self.connection.line()  # the first one: for what is the whole machine's
        self._errors = os.fdopen(os.memfd_create("errors"), "w+b")
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                process_group=0,  # the terminal's interrupt is not for it: it ends with its input
            )
        except OSError as error:
            self.connection.lose(f"{command[0]} cannot be started: {error.strerror}")
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())

    @property
    def lost(self) -> str:
        """Why it is of no use, in words; "" where it is."""
        return self.connection.lost

    def hang_up(self) -> None:
        """The end of its input ends the agent, soon."""
        self.connection.lose("it has been told to end")
        self._close_input()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError), self.connection.sending:
                self._process.stdin.close()

    def close(self) -> None:
        """Wait until the agent has ended."""
        if (process := self._process) is not None:
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self.connection.end()
            if process.stdout is not None:
                process.stdout.close()
        self._errors.close()

    def meet(self, text: str, path: str) -> None:
        """Wait until the agent is there, and give it the topology, which it begins to read.

        Where that fails, `lost` says why.
        """
        if self._channel is None:
            return
        try:
            self._channel.until(MARK, _MOST_GREETING, _START)
            theirs = parsed(Greeting, self._channel.until(b"\n", _MOST_GREETING, _START)).vecnet
        except (Closed, TimeoutError) as error:
            self.connection.lose(self._why_not(error))
            return
        except Senseless:
            theirs = "of another kind"
        if theirs != __version__:
            where = f"install {__version__} on {self.name}"
            message = f"vecnet there is {shown(theirs, 40)}, and this is {__version__}"
            self.connection.lose(str(Problem(message, where)))
            return
        self.connection.begin(self._channel)
        with suppress(Untested):
            self.own.begin("load", text=text, path=path, host=self.name)

    def read(self) -> None:
        """Wait until it has read the topology. Where it cannot, `lost` says why."""
        if not self.lost:
            try:
                self.own.finish()
            except (Failed, Untested) as error:
                self.connection.lose(f"it reads the topology otherwise: {error}")

    def _why_not(self, error: Closed | TimeoutError) -> str:
        """Why no agent was there, of what was said on standard error."""
        assert self._process is not None
        if isinstance(error, TimeoutError):
            return f"no answer in {_START:g} seconds; it says: {self._last_words() or 'nothing'}"
        self._close_input()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END)
        words = self._last_words()
        if self._process.returncode == 127 or "No module named vecnet" in words:
            message = f"there is no vecnet: {words}"
            return str(Problem(message, "install it there, or give its ansible_python_interpreter in the inventory"))
        if "--agent" in words:
            return str(Problem(f"vecnet there is of another version: {words}", f"install {__version__} there"))
        return words or f"what was started there {error}, with status {self._process.returncode}"

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read(1 << 16).decode(errors="replace").split("\n")
        return shown(" / ".join(line.strip() for line in lines if line.strip()), _LAST_WORDS)


@contextmanager
def started(commands: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Machine]]:
    """The agents that these commands start, one a host, all at the same time; they end with the block, likewise."""
    machines: dict[str, Machine] = {}
    try:
        for name, command in commands.items():
            machines[name] = Machine(name, command)
        yield machines
    finally:
        for machine in machines.values():
            machine.hang_up()
        for machine in machines.values():
            machine.close()


@contextmanager
def living(machines: Iterable[Machine]) -> Iterator[None]:
    """All machines get signs of life within the block."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_PULSE):
            for machine in machines:
                machine.connection.send()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
