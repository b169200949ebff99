"""The socket by which a server is asked what it does, for a port's frames, or for a port: a line of JSON each way.

Who may enter the private folder may ask. An answer counts where this user gave it, since the folder's place may be one
that anybody can take beforehand. It is plain data; names in it are escaped where they are shown.

Source: unix(7), SO_PEERCRED.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

from vecnet import runtime
from vecnet.errors import HostError, Refused, VecnetError
from vecnet.impairment import Impairment, ImpairmentText
from vecnet.kernel import unix_sockets
from vecnet.kernel.unforeseen import advice
from vecnet.plain import Senseless, parsed

_PATIENCE = 5.0  # seconds for a question, or an answer
_LONGEST = 1 << 26  # bytes of an answer
_LONGEST_QUESTION = 4096
_SOON = 0.2  # seconds until what is recorded can be read
_ROOM = 4 << 20  # bytes of a recording that wait for its reader
_Attended = TypeVar("_Attended")


@dataclass(frozen=True)
class PortState:
    """A port of a served switch. `why` is empty where it is healthy; `counters` are those of `Switch.stats`."""

    topology: str
    switch: str
    port: str
    link: str
    program: str
    connected: bool
    healthy: bool
    why: str
    addresses: int
    counters: dict[str, int] = field(default_factory=dict)
    impairment: str = ""  # what frames that go out of it suffer

    @property
    def drops(self) -> int:
        """Frames that were dropped, by any cause."""
        return sum(count for name, count in self.counters.items() if "drop_" in name)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Recording(Protocol):
    """What is recorded of a port, and goes to whoever asked for it."""

    @property
    def lost(self) -> int: ...
    @property
    def outer_lost(self) -> int: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Closing(Protocol):
    """What is there until it is closed."""

    def close(self) -> None: ...


class Server(Protocol):
    """Who answers. Every method is for any thread."""

    def states(self) -> list[PortState]: ...
    def record(self, switch: str, port: str, descriptor: int) -> Recording:
        """The descriptor stays the caller's. Raises VecnetError, OSError."""

    def join(self, switch: str, descriptor: int, mtu: int) -> Closing:
        """A port on the switch for who holds the descriptor's other end. It stays the caller's. Raises VecnetError."""

    def impair(self, switch: str, port: str, impairment: Impairment | None) -> None:
        """Raises VecnetError."""


class Answering:
    """Answers at a socket, in threads of its own, until `close`."""

    def __init__(self, path: str, server: Server) -> None:
        """The caller holds the folder's lock. Raises HostError."""
        self._path, self._server = path, server
        self._lock = threading.Lock()
        self._asking: dict[socket.socket, threading.Thread] = {}  # who is answered for longer than a moment
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(path)
            self._listener.listen(16)
        except OSError as error:
            self._listener.close()
            raise HostError(f"{path} cannot be made: {error.strerror}", advice(error)) from None
        self._thread = threading.Thread(target=self._answer_all, name="vecnet control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept
        self._thread.join()
        self._listener.close()
        with self._lock:
            asking = dict(self._asking)
        for connection, thread in asking.items():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
            thread.join()
        with suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer_all(self) -> None:
        while True:
            try:
                asking, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError, Senseless):
                asking.settimeout(_PATIENCE)
                if self._answer(asking):
                    continue
            asking.close()

    def _answer(self, asking: socket.socket) -> bool:
        """Answer a question; whether the connection goes on in another thread."""
        line, descriptors, _, _ = socket.recv_fds(asking, _LONGEST_QUESTION, 1, socket.MSG_CMSG_CLOEXEC)
        with ExitStack() as received:
            for descriptor in descriptors:
                received.callback(os.close, descriptor)
            question = parsed(Question, line)
            if question.do == "status":
                found = {"pid": os.getpid(), "ports": [state.as_json() for state in self._server.states()]}
                asking.sendall(json.dumps(found).encode())
            elif not question.switch:
                raise Senseless("it names no switch")
            elif question.do == "impair":
                self._impair(asking, question.switch, question.port, question.impairment)
            elif question.do == "record" and descriptors:
                return self._record(asking, question.switch, question.port, descriptors[0])
            elif question.do == "join" and descriptors:
                return self._join(asking, question.switch, descriptors[0], question.mtu)
        return False

    def _impair(self, asking: socket.socket, switch: str, port: str, text: str) -> None:
        try:
            self._server.impair(switch, port, ImpairmentText().parse(text) if text else None)
        except (VecnetError, Refused) as error:
            _say(asking, {"error": str(error)})
        else:
            _say(asking, {"done": True})

    def _record(self, asking: socket.socket, switch: str, port: str, descriptor: int) -> bool:
        try:
            recording = self._server.record(switch, port, descriptor)
        except (VecnetError, OSError) as error:
            _say(asking, {"error": str(error)})
            return False
        self._attend(asking, self._recording, recording)
        return True

    def _attend(
        self, asking: socket.socket, attend: Callable[[socket.socket, _Attended], None], what: _Attended
    ) -> None:
        """Go on with a connection in a thread of its own."""

        def run() -> None:
            with asking:
                attend(asking, what)
            with self._lock:
                self._asking.pop(asking, None)

        thread = threading.Thread(target=run, name="vecnet asked", daemon=True)
        with self._lock:
            self._asking[asking] = thread
        thread.start()

    def _recording(self, asking: socket.socket, recording: Recording) -> None:
        """Let what is recorded be read soon, until who asked has had enough."""
        try:
            _say(asking, {"done": True})
            while not select.select([asking], [], [], _SOON)[0]:
                recording.flush()
        except OSError:
            pass  # nobody reads any more
        with suppress(OSError):
            recording.close()
        with suppress(OSError):
            _say(asking, {"lost": recording.lost, "outer_lost": recording.outer_lost})

    def _join(self, asking: socket.socket, switch: str, descriptor: int, mtu: int) -> bool:
        try:
            joined = self._server.join(switch, descriptor, mtu)
        except (VecnetError, OSError) as error:
            _say(asking, {"error": str(error)})
            return False
        self._attend(asking, self._joined, joined)
        return True

    def _joined(self, asking: socket.socket, joined: Closing) -> None:
        """Keep the port until who asked has ended, in whatever way."""
        with closing(joined), suppress(OSError):
            _say(asking, {"done": True})
            select.select([asking], [], [])


def _say(asking: socket.socket, answer: dict[str, object]) -> None:
    asking.sendall(json.dumps(answer).encode() + b"\n")


@dataclass(frozen=True)
class Question:
    """What is asked of a server: status, or to record, join or impair."""

    do: str
    switch: str = ""
    port: str = ""
    impairment: str = ""
    mtu: int = 0


@dataclass(frozen=True)
class _Answer:
    pid: int
    ports: tuple[PortState, ...]


@dataclass(frozen=True)
class _Word:
    """An answer while a connection goes on."""

    error: str = ""
    lost: int | None = None
    outer_lost: int = 0
    done: bool = False


def server(topology: str) -> int | None:
    """The process that serves a topology; None where nobody does."""
    found = _ask(runtime.folder(topology))
    return found.pid if found else None


def states(topology: str | None = None) -> list[PortState]:
    """The ports that are served to this user: of a topology, or of all."""
    folders: list[str] = [] if topology is None else [runtime.folder(topology)]
    if topology is None:
        with suppress(OSError):
            folders = sorted(str(path) for path in Path(runtime.base()).iterdir())
    return [port for folder in folders if (found := _ask(folder)) is not None for port in found.ports]


class Connection:
    """To the server of a topology, by which something else than its state is asked."""

    def __init__(self, topology: str) -> None:
        """Raises HostError where nobody serves it to this user."""
        try:
            self._socket = unix_sockets.connected(
                f"{runtime.folder(topology)}/{runtime.CONTROL}", socket.SOCK_STREAM, _PATIENCE
            )
        except OSError:
            instead = "serve it first: vecnet serve FILE, or vecnet run"
            raise HostError(f"nobody serves {topology} to this user", instead) from None
        self._socket.settimeout(_PATIENCE)
        self._answers = self._socket.makefile("rb")
        if unix_sockets.peer(self._socket).user != os.geteuid():
            self.close()
            raise HostError(f"another user serves {topology}", "set XDG_RUNTIME_DIR as it was set there")

    def ask(self, question: Question, descriptors: Sequence[int] = ()) -> None:
        """Raises HostError where that is refused."""
        socket.send_fds(self._socket, [json.dumps(asdict(question)).encode()], descriptors)
        answer = self.answer()
        if not answer.done:
            where = f"{question.switch}:{question.port}".rstrip(":")
            why = answer.error or "who serves it does not know how: it may be of another version"
            raise HostError(f"{where}: {why}")

    def answer(self) -> _Word:
        """The next answer; with nothing in it where there is none."""
        try:
            return parsed(_Word, self._answers.readline(_LONGEST_QUESTION))
        except (OSError, Senseless):
            return _Word()

    def end(self) -> None:
        """Say that nothing more is asked."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def impair(topology: str, switch: str, port: str, impairment: Impairment | None) -> None:
    """Impair a served port; None ends it. Raises HostError."""
    with closing(Connection(topology)) as server:
        text = str(impairment) if impairment else ""
        server.ask(Question("impair", switch, port, impairment=text))


class Watched:
    """A recording of a served port, as who asked for it has it: pcapng comes from `descriptor`, to its end."""

    def __init__(self, topology: str, switch: str, port: str) -> None:
        """Raises HostError where nobody serves it, or it cannot be recorded."""
        with ExitStack() as opened:
            self._server = opened.enter_context(closing(Connection(topology)))
            mine, theirs = socket.socketpair()
            self._stream = opened.enter_context(mine)
            with theirs:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
                self._server.ask(Question("record", switch, port), [theirs.fileno()])
            opened.pop_all()

    @property
    def descriptor(self) -> int:
        return self._stream.fileno()

    def stop(self) -> None:
        """Have it end: what was recorded comes still."""
        self._server.end()

    def lost(self) -> tuple[int, int] | None:
        """Frames that we did not read in time, and outer packets, once the descriptor is at its end; None: not told."""
        word = self._server.answer()
        return None if word.lost is None else (word.lost, word.outer_lost)

    def close(self) -> None:
        self._server.close()
        self._stream.close()


def _ask(folder: str) -> _Answer | None:
    """What the server of a folder answers; None where there is none."""
    try:
        with unix_sockets.connected(f"{folder}/{runtime.CONTROL}", socket.SOCK_STREAM, _PATIENCE) as asking:
            asking.settimeout(_PATIENCE)
            if unix_sockets.peer(asking).user != os.geteuid():
                return None
            asking.sendall(json.dumps(asdict(Question("status"))).encode())
            answer = b""
            while (more := asking.recv(1 << 16)) and len(answer) < _LONGEST:
                answer += more
        return parsed(_Answer, answer)
    except (OSError, Senseless):  # another version's, perhaps
        return None
