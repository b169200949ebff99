"""The controller's side of an agent: one machine, its end of the wire, and the IP stack there.

Whatever goes wrong is an Outcome, whose sentence begins with the machine's name: what keeps an agent from working is no
fault of a wire, and leaves it untested.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from vecnet import __version__
from vecnet.errors import Problem
from vecnet.loopback.across.agent import MARK, SILENCE
from vecnet.loopback.across.answers import Counted, Greeting, Listening, Pinged, Taken, Wrong
from vecnet.loopback.across.channel import Channel, Closed, Message
from vecnet.loopback.agent import Transferred
from vecnet.loopback.verdict import Failed, Untested, Verdict
from vecnet.plain import Senseless, made, parsed
from vecnet.text import shown

T = TypeVar("T")
PATIENCE = 90.0  # seconds that an agent has for an answer; every request has shorter limits of its own
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
        self.lost = ""  # why it is of no use, in words
        self._owed = 0  # answers that nobody has waited for
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
            self.lost = f"{command[0]} cannot be started: {error.strerror}"
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())

    def hang_up(self) -> None:
        """The end of its input ends the agent, soon."""
        self.lost = self.lost or "it has been told to end"
        self._close_input()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """Wait until the agent has ended."""
        if (process := self._process) is not None:
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
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
            self.lost = self._why_not(error)
            return
        except Senseless:
            theirs = "of another kind"
        if theirs != __version__:
            where = f"install {__version__} on {self.name}"
            self.lost = str(Problem(f"vecnet there is {shown(theirs, 40)}, and this is {__version__}", where))
            return
        with suppress(Untested):
            self.begin("load", text=text, path=path, host=self.name)

    def read(self) -> None:
        """Wait until it has read the topology. Where it cannot, `lost` says why."""
        if not self.lost:
            try:
                self.finish()
            except (Failed, Untested) as error:
                self.lost = self.lost or f"it reads the topology otherwise: {error}"

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

    def pulse(self) -> None:
        """Give a sign of life."""
        if self._channel is not None and not self.lost:
            with suppress(Closed):
                self._channel.send()

    def ask(self, do: str, frames: Iterable[bytes] = (), *, timeout: float = PATIENCE, **words: object) -> Message:
        """Make a request, and wait for its answer. Raises Failed and Untested."""
        self.begin(do, frames, **words)
        return self.finish(timeout)

    def begin(self, do: str, frames: Iterable[bytes] = (), **words: object) -> None:
        """Make a request whose answer `finish` waits for. Raises Untested."""
        while self._owed:  # what nobody waited for, since the other side had failed already
            with suppress(Failed):
                self.finish()
        if self.lost or self._channel is None:
            raise self._silent()
        try:
            self._channel.send({"do": do, **words}, frames)
        except Closed as closed:
            raise self._silent(f"the agent there {closed}") from None
        self._owed = 1

    def finish(self, timeout: float = PATIENCE) -> Message:
        """The answer. Raises Failed and Untested."""
        if self.lost or self._channel is None:
            raise self._silent()
        self._owed = 0
        deadline = time.monotonic() + timeout
        answer = None
        try:
            while answer is None:
                answer = self._channel.receive(SILENCE)
                if answer is None and time.monotonic() > deadline:
                    raise self._silent(f"the agent there gave no answer for {timeout:g} seconds")
        except TimeoutError:
            raise self._silent(f"the agent there gave no sign of life for {SILENCE:g} seconds") from None
        except Closed as closed:
            raise self._silent(f"the agent there {closed}") from None
        if "error" in answer.says:
            wrong = self.made(Wrong, answer)
            told = f"on {self.name}, {wrong.error}"
            raise Failed(wrong.codes, told) if wrong.verdict is Verdict.FAIL else Untested(told)
        return answer

    def told(self, kind: type[T], do: str, frames: Iterable[bytes] = (), **words: object) -> T:
        """Make a request whose answer is one of these. Raises Failed and Untested."""
        self.begin(do, frames, **words)
        return self.made(kind, self.finish())

    def made(self, kind: type[T], answer: Message) -> T:
        """An answer as one of these. Raises Untested where it is none."""
        try:
            return made(kind, answer.says)
        except Senseless:
            raise self.nonsense() from None

    def _silent(self, why: str = "") -> Untested:
        self.lost = self.lost or why
        return Untested(f"{self.name} cannot be used: {self.lost}")

    def nonsense(self) -> Untested:
        """For an answer that is none to what was asked."""
        return self._silent("what it answers makes no sense")


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
                machine.pulse()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class FarEnd:
    """A link's end on another machine, as far as frames go in and out."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def recv(self, timeout: float | None = None) -> list[bytes]:
        return list(self.machine.ask("recv", seconds=timeout).frames)

    def send(self, frames: list[bytes], timeout: float | None = None) -> int:
        return self.machine.told(Taken, "send", frames, seconds=timeout).taken if frames else 0

    @property
    def stats(self) -> Mapping[str, int]:
        return self.machine.told(Counted, "stats").stats


class FarStack:
    """The IP stack behind it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def ping(self, to: str, interface: str, packet: int) -> float:
        return self._machine.told(Pinged, "ping", to=to, interface=interface, packet=packet).seconds

    def listen(self, address: str, interface: str) -> int:
        return self._machine.told(Listening, "listen", address=address, interface=interface).port

    def serve(self, size: int, seed: int) -> None:
        self._machine.ask("serve", size=size, seed=seed)

    def served(self) -> Transferred:
        return self._machine.told(Transferred, "served")

    def connect(self, address: str, port: int, interface: str, size: int, seed: int) -> Transferred:
        return self._machine.told(
            Transferred, "connect", address=address, port=port, interface=interface, size=size, seed=seed
        )
