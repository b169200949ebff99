"""The socket by which a server is asked what it does: a line of JSON each way.

Who may enter the private folder may ask. An answer counts where this user gave it, since the folder's place may be one
that anybody can take beforehand. It is plain data; names in it are escaped where they are shown.

Source: unix(7), SO_PEERCRED.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vecnet import runtime
from vecnet.errors import HostError
from vecnet.kernel import unix_sockets
from vecnet.kernel.unforeseen import advice

_PATIENCE = 5.0  # seconds for a question, or an answer
_LONGEST = 1 << 26  # bytes of an answer


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

    @property
    def drops(self) -> int:
        """Frames that were dropped, by any cause."""
        return sum(count for name, count in self.counters.items() if "drop_" in name)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@contextmanager
def answering(path: str, states: Callable[[], list[PortState]]) -> Iterator[None]:
    """Answer at the socket `path` within the block. The caller holds the folder's lock. Raises HostError."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(path)
            listener.listen(16)
        except OSError as error:
            raise HostError(f"{path} cannot be made: {error.strerror}", advice(error)) from None
        thread = threading.Thread(target=_answer_all, args=(listener, states), name="vecnet control", daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # ends the accept
            thread.join()
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108


def _answer_all(listener: socket.socket, states: Callable[[], list[PortState]]) -> None:
    while True:
        try:
            asking, _ = listener.accept()
        except OSError:
            return
        with asking, suppress(OSError, ValueError):
            asking.settimeout(_PATIENCE)
            if json.loads(asking.recv(4096)) == {"do": "status"}:
                found = {"pid": os.getpid(), "ports": [state.as_json() for state in states()]}
                asking.sendall(json.dumps(found).encode())


@dataclass(frozen=True)
class _Answer:
    pid: int
    ports: list[PortState]


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


def _ask(folder: str) -> _Answer | None:
    """What the server of a folder answers; None where there is none."""
    try:
        with unix_sockets.connected(f"{folder}/{runtime.CONTROL}", socket.SOCK_STREAM, _PATIENCE) as asking:
            asking.settimeout(_PATIENCE)
            if unix_sockets.peer(asking).user != os.geteuid():
                return None
            asking.sendall(json.dumps({"do": "status"}).encode())
            answer = b""
            while (more := asking.recv(1 << 16)) and len(answer) < _LONGEST:
                answer += more
        found = json.loads(answer)
        return _Answer(int(found["pid"]), [PortState(**port) for port in found["ports"]])
    except (OSError, ValueError, KeyError, TypeError):  # another version's, perhaps
        return None
