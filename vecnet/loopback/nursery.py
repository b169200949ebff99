"""Where agents come from: one process that has loaded all that they need, and forks for each.

    a stack's thread ── start ──> the nursery ──fork──> an agent, at the other end of the stack's socket

So an agent is there in milliseconds, and shares its memory with the others. The nursery ends with the process that
started it, whose end closes its socket, and the kernel kills the agents with the nursery.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from vecnet.kernel import libc
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback import agent
from vecnet.loopback.verdict import Untested
from vecnet.signals import end_with_parent


class Nursery:
    """The nursery's process, from when the first agent is asked for. A context manager that ends it. For any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            if self._socket is not None:
                self._socket.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def start(self, requests: socket.socket, netns: int | None, *, private: bool) -> int:
        """An agent that answers `requests`, by its process: here, in the namespace of the descriptor `netns`, or in one
        of its own. Raises Untested."""
        descriptors = [requests.fileno(), *([] if netns is None else [netns])]
        return self._ask({"private": private}, descriptors)

    def end(self, pid: int) -> None:
        """Kill an agent."""
        with suppress(Untested):  # the nursery is no more, nor is the agent
            self._ask({"end": pid}, [])

    def _ask(self, request: dict[str, object], descriptors: list[int]) -> int:
        with self._turn:
            try:
                if self._socket is None:
                    self._socket = self._started()
                socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
                answer = self._socket.recv(64)
            except OSError as error:
                raise Untested(f"no stack to test with: {in_words(error)}") from None
            if not answer:
                raise Untested("no stack to test with: the process that starts stacks has ended")
            return int(answer)

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vecnet.loopback.nursery"],
                stdin=theirs.fileno(),
                process_group=0,  # the terminal's interrupt is not for it: it ends with this process
            )
        return ours


def main() -> None:
    """Answer a Nursery until it closes."""
    agent.load()
    with suppress(BrokenPipeError, ConnectionResetError), socket.socket(fileno=0) as requests:
        while True:
            data, descriptors, _, _ = socket.recv_fds(requests, 256, 2)
            if not data:
                return
            request = json.loads(data)
            if "end" in request:
                os.kill(request["end"], signal.SIGKILL)
                os.waitpid(request["end"], 0)
                requests.send(b"0")
                continue
            here = os.getpid()
            if (pid := os.fork()) == 0:
                requests.close()
                _be_agent(here, descriptors, private=bool(request["private"]))
            for descriptor in descriptors:
                os.close(descriptor)
            requests.send(str(pid).encode())


def _be_agent(nursery: int, descriptors: list[int], *, private: bool) -> None:
    """The child's whole life."""
    status = 1
    try:
        end_with_parent(nursery)
        own, *netns = descriptors
        for descriptor in netns:
            libc.setns(descriptor, libc.CLONE_NEWNET)
            os.close(descriptor)
        with socket.socket(fileno=own) as requests:
            agent.serve(requests, private=private)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
