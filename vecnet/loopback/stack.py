"""The IP stacks at the ends of a wire: the host's own, and simulated guests'. Each is an agent, a process."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from vecnet.loopback.agent import Transferred
from vecnet.loopback.codes import Code
from vecnet.loopback.nursery import Nursery
from vecnet.loopback.verdict import Failed, Untested

PATIENCE = 60.0  # seconds that an agent has for an answer; every request has shorter limits of its own


class Stack:
    """An agent's process and the socket to it. A context manager that ends it.

    Every request raises Failed where the stack could not do it, and Untested where the agent says nothing: then it
    has ended, or is ended, since a late answer would be taken for the next request's.
    """

    def __init__(self, nursery: Nursery, *, private: bool, netns: str | None = None) -> None:
        """Start it here, or in the named namespace, or `private`, in a namespace of its own. Raises Untested."""
        from vecnet.kernel.namespaces import Namespaces

        self.name = "a simulated guest's IP stack" if private else "the host's IP stack"
        self.ended = False
        self._owed = True  # an answer that is still to come
        self._nursery = nursery
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, Namespaces() as namespaces:
                place = None if netns is None else namespaces[netns].fd
                self.pid = nursery.start(theirs, place, private=private)
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(PATIENCE)
        try:
            self._answer()
        except (Failed, Untested) as error:
            self.close()
            raise Untested(f"no stack to test with: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            self._socket.close()
            self._nursery.end(self.pid)

    def ping(self, to: str, interface: str, packet: int) -> float:
        """The round trip, in seconds, of an echo request of `packet` bytes that leaves by `interface`."""
        self._ask("ping", to=to, interface=interface, packet=packet)
        return float(self._answer()[0]["seconds"])

    def listen(self, address: str, interface: str) -> int:
        """Listen for one TCP connection; the port that was chosen."""
        self._ask("listen", address=address, interface=interface)
        return int(self._answer()[0]["port"])

    def serve(self, size: int, seed: int, *, turns: bool = False) -> None:
        """Begin to take that connection, and to move `size` bytes each way; `served` tells what came of it.

        With `turns` not at the same time: who has connected sends first.
        """
        self._ask("accept", size=size, seed=seed, turns=turns)

    def served(self) -> Transferred:
        return Transferred(**self._answer()[0])

    def connect(
        self, address: str, port: int, interface: str, size: int, seed: int, *, turns: bool = False
    ) -> Transferred:
        """Connect, and move `size` bytes each way: those sent follow from the seed. `turns` as in `serve`."""
        self._ask("connect", address=address, port=port, interface=interface, size=size, seed=seed, turns=turns)
        return Transferred(**self._answer()[0])

    @contextmanager
    def nic(self, mac: str, mtu: int, addresses: tuple[str, ...]) -> Iterator[int]:
        """The guest's NIC in a private stack: the descriptor that frames go in and out by, within the block."""
        self._ask("attach", mac=mac, mtu=mtu, addresses=list(addresses))
        try:
            _, descriptors = self._answer()
        except (Failed, Untested) as error:  # the tester lacks something, and nothing is said of the wire
            raise Untested(f"no stack to test with: {error}") from None
        try:
            yield descriptors[0]
        finally:
            os.close(descriptors[0])

    def _ask(self, do: str, **request: object) -> None:
        if self._owed:  # what nobody waited for, since the other side had failed already
            with suppress(Failed):
                self._answer()
        try:
            self._owed = True
            self._socket.send(json.dumps({"do": do, **request}).encode())
        except OSError:
            raise self._silent("ended") from None

    def _answer(self) -> tuple[dict[str, Any], list[int]]:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, 1)
        except TimeoutError:
            raise self._silent(f"gave no answer for {PATIENCE:g} seconds") from None
        except OSError:
            data = b""
        self._owed = False
        if not data:
            raise self._silent("ended")
        answer: dict[str, Any] = json.loads(data)
        if "error" in answer:
            if answer.get("lacks"):
                raise Untested(answer["error"])
            raise Failed(Code.NO_STACK, answer["error"])
        return answer, descriptors

    def _silent(self, what: str) -> Untested:
        self.close()
        return Untested(f"{self.name} {what}")


@dataclass
class Stacks:
    """The stacks that a run of probes has started, kept from link to link."""

    _exit: ExitStack
    _nursery: Nursery
    _started: dict[tuple[str, str | None], Stack]

    @classmethod
    @contextmanager
    def started(cls, nursery: Nursery | None = None) -> Iterator[Stacks]:
        """None yet; each starts when it is first needed, and ends with the block. For one thread."""
        with ExitStack() as exit_stack:
            yield cls(exit_stack, nursery or exit_stack.enter_context(Nursery()), {})

    def host(self, netns: str | None) -> Stack:
        """The host's own stack, in the named network namespace."""
        return self._get("host", netns, private=False)

    def guest(self, which: str) -> Stack:
        """A simulated guest's: the near one's or the far one's."""
        return self._get(which, None, private=True)

    def _get(self, which: str, netns: str | None, *, private: bool) -> Stack:
        key = (which, netns)
        if key not in self._started or self._started[key].ended:
            self._started[key] = self._exit.enter_context(Stack(self._nursery, private=private, netns=netns))
        return self._started[key]
