"""The IP stacks at the ends of a wire: the host's own, and simulated guests'. Each is an agent, a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from vecnet.loopback.verdict import Failed, Untested

_PATIENCE = 120.0  # seconds that an agent has for an answer; every request has shorter limits of its own


class Stack:
    """An agent's process and the socket to it. A context manager that ends it."""

    def __init__(self, *, private: bool, netns: str | None = None) -> None:
        """Start it here, or in the named namespace, or `private`, in a namespace of its own. Raises Untested."""
        from vecnet.kernel.namespaces import Namespaces

        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, Namespaces() as namespaces, namespaces[netns].entered():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "vecnet.loopback.agent", "private" if private else "here"], stdin=theirs.fileno()
            )
        self._socket.settimeout(_PATIENCE)
        greeting, _ = self._receive()
        if "error" in greeting:
            self.close()
            raise Untested(f"no stack to test with: {greeting['error']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Request and answer. An answer that has "error" says what went wrong."""
        self.tell(do, **request)
        return self.answer()

    def tell(self, do: str, **request: Any) -> None:
        self._socket.send(json.dumps({"do": do, **request}).encode())

    def answer(self) -> dict[str, Any]:
        return self._receive()[0]

    def _receive(self) -> tuple[dict[str, Any], list[int]]:
        data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, 1)
        if not data:
            raise Untested(f"the agent ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(data)
        return answer, descriptors

    @contextmanager
    def nic(self, mac: str, mtu: int, addresses: tuple[str, ...]) -> Iterator[int]:
        """The guest's NIC in a private stack: the descriptor that frames go in and out by, within the block."""
        self.tell("attach", mac=mac, mtu=mtu, addresses=list(addresses))
        answer, descriptors = self._receive()
        if "error" in answer:
            raise Failed(f"the simulated guest's stack: {answer['error']}")
        try:
            yield descriptors[0]
        finally:
            os.close(descriptors[0])
            self.ask("detach")


@dataclass
class Stacks:
    """The stacks that a run of probes has started, kept from link to link."""

    _exit: ExitStack
    _started: dict[tuple[str, str | None], Stack]

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Stacks]:
        """None yet; each starts when it is first needed, and ends with the block."""
        with ExitStack() as exit_stack:
            yield cls(exit_stack, {})

    def host(self, netns: str | None) -> Stack:
        """The host's own stack, in the named network namespace."""
        return self._get("host", netns, private=False)

    def guest(self, which: str) -> Stack:
        """A simulated guest's: the near one's or the far one's."""
        return self._get(which, None, private=True)

    def _get(self, which: str, netns: str | None, *, private: bool) -> Stack:
        key = (which, netns)
        if key not in self._started:
            self._started[key] = self._exit.enter_context(Stack(private=private, netns=netns))
        return self._started[key]
