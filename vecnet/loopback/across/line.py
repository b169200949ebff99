"""Conversations with an agent, many through one connection: a line is for one end of a wire, and for the stack there.

    a thread ── line 1 ─┐                              ┌─ a thread of the agent's
    a thread ── line 2 ─┼─ connection ══ ssh ══ agent ─┼─ another

Whatever goes wrong is an Outcome, whose sentence begins with the machine's name: what keeps an agent from working is no
fault of a wire, and leaves it untested. What is asked on one line waits for no other line.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import Lock, Thread
from typing import TypeVar

from vecnet.loopback.across.agent import SILENCE
from vecnet.loopback.across.answers import Wrong
from vecnet.loopback.across.channel import Channel, Closed, Message
from vecnet.loopback.verdict import Failed, Untested, Verdict
from vecnet.plain import Senseless, made

T = TypeVar("T")
PATIENCE = 90.0  # seconds that an agent has for an answer; every request has shorter limits of its own
_MOST = 16  # answers that nobody has asked for


class Connection:
    """What the lines to one machine share. For any thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost = ""  # why it is of no use, in words
        self._channel: Channel | None = None
        self._lines: dict[int, Line] = {}
        self._numbers = itertools.count()
        self._turn = Lock()
        self.sending = Lock()  # whoever closes what is sent to is to have it
        self._receiver = Thread(target=self._receive, name=f"answers of {name}", daemon=True)

    def begin(self, channel: Channel) -> None:
        """From here on answers are received."""
        self._channel = channel
        self._receiver.start()

    def end(self) -> None:
        """Wait until nothing is received any more, once the agent has ended."""
        if self._receiver.ident is not None:
            self._receiver.join()

    def line(self) -> Line:
        """Another one."""
        with self._turn:
            line = Line(self, next(self._numbers))
            self._lines[line.number] = line
        return line

    def send(self, says: Mapping[str, object] | None = None, frames: Iterable[bytes] = ()) -> None:
        """Send a message, or a sign of life; whether it is lost shows `lost`."""
        with self.sending:
            if self._channel is None or self.lost:
                return
            try:
                self._channel.send(says, frames)
            except Closed as closed:
                self.lose(f"the agent there {closed}")

    def lose(self, why: str) -> None:
        """It is of no use any more, and who waits for an answer is told so."""
        with self._turn:
            self.lost = self.lost or why
            for line in self._lines.values():
                line.answers.put(None)

    def _receive(self) -> None:
        """The thread's."""
        assert self._channel is not None
        try:
            while True:
                answer = self._channel.receive(SILENCE)
                if answer is not None:
                    self._take(answer)
        except TimeoutError:
            self.lose(f"the agent there gave no sign of life for {SILENCE:g} seconds")
        except Closed as closed:
            self.lose(f"the agent there {closed}")

    def _take(self, answer: Message) -> None:
        says = dict(answer.says)
        number = says.pop("line", None)
        with self._turn:
            line = self._lines.get(number) if isinstance(number, int) else None
        if line is None or line.answers.qsize() >= _MOST:
            raise Closed("says what nobody has asked for")
        line.answers.put(Message(says, answer.frames))


class Line:
    """Requests, and an answer to each. For one thread."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection, self.number = connection, number
        self.answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()  # None: no more will come
        self._owed = 0  # answers that nobody has waited for
        self._hangs = ""

    @property
    def name(self) -> str:
        """The machine's."""
        return self.connection.name

    @property
    def usable(self) -> bool:
        """Whether an answer can be expected."""
        return not (self.connection.lost or self._hangs)

    def ask(self, do: str, frames: Iterable[bytes] = (), *, timeout: float = PATIENCE, **words: object) -> Message:
        """Make a request, and wait for its answer. Raises Failed and Untested."""
        self.begin(do, frames, **words)
        return self.finish(timeout)

    def begin(self, do: str, frames: Iterable[bytes] = (), **words: object) -> None:
        """Make a request whose answer `finish` waits for. Raises Untested."""
        while self._owed:  # what nobody waited for, since the other side had failed already
            with suppress(Failed):
                self.finish()
        if self.usable:
            self.connection.send({"do": do, "line": self.number, **words}, frames)
        if not self.usable:
            raise self._silent()
        self._owed = 1

    def finish(self, timeout: float = PATIENCE) -> Message:
        """The answer. Raises Failed and Untested."""
        self._owed = 0
        if self._hangs:
            raise self._silent()
        try:
            answer = self.answers.get(timeout=timeout)
        except queue.Empty:
            self._hangs = f"the agent there gave no answer for {timeout:g} seconds"
            answer = None
        if answer is None:
            self.answers.put(None)
            raise self._silent()
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

    def nonsense(self) -> Untested:
        """For an answer that is none to what was asked."""
        self.connection.lose("what it answers makes no sense")
        return self._silent()

    def _silent(self) -> Untested:
        return Untested(f"{self.name} cannot be used: {self.connection.lost or self._hangs}")
