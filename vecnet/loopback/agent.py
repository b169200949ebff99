"""A program that acts in a network namespace: it pings, and carries TCP, for the probes.

It is the host's own stack where it is started as `here`, or a simulated guest's as `private`: then it lives in a
namespace of its own, and a tap there is the guest's NIC, whose descriptor it hands out:

    port under test ── pump ── the tap's descriptor ║ tap, with the guest's addresses: a real stack, in a namespace

Requests and answers are JSON, one a packet, on the socket that it inherits as its standard input.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

from vecnet.errors import VecnetError
from vecnet.kernel import libc
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback.icmp import ping
from vecnet.loopback.verdict import lacks
from vecnet.transports.link import HostInterface, TapAttributes

NIC = "vec0"
_CHUNK = 1 << 16  # bytes
TIMEOUT = 5.0  # seconds without progress, of a transfer


class _Network:
    """What the host wing makes the guest's tap from."""

    name = "loopback-guest"

    def __init__(self, interface: HostInterface) -> None:
        self.interfaces = (interface,)
        self.outer_ends = ()  # a tap carries no outer packets


@dataclass(frozen=True)
class Transferred:
    """What one side of a transfer got: bytes, their SHA-256, and why it ended early, "" where it did not."""

    received: int
    digest: str
    failure: str


def content(seed: int, size: int) -> bytes:
    """What a transfer carries: bytes that follow from the seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - to be told apart, not to be secret


def transfer(connection: socket.socket, outgoing: bytes, expected: int) -> Transferred:
    """Send and receive at the same time."""
    connection.settimeout(TIMEOUT)
    digest, received = hashlib.sha256(), 0
    failure: list[str] = []

    def send() -> None:
        try:
            rest = memoryview(outgoing)
            while rest:  # not sendall, whose time is for all of it
                rest = rest[connection.send(rest[:_CHUNK]) :]
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            failure.append(f"sending: {error.strerror or error}")

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        while chunk := connection.recv(_CHUNK):
            digest.update(chunk)
            received += len(chunk)
    except OSError as error:
        failure.append(f"after {received} of {expected} bytes: {error.strerror or error}")
    sender.join()
    return Transferred(received, digest.hexdigest(), "; ".join(failure))


def in_turn(connection: socket.socket, outgoing: bytes, expected: int, *, first: bool) -> Transferred:
    """Send, and then receive, or the other way round: nobody sends while the other does."""
    connection.settimeout(TIMEOUT)
    digest, received, failure = hashlib.sha256(), 0, ""
    for sends in (first, not first):
        try:
            rest = memoryview(outgoing)
            while sends and rest:
                rest = rest[connection.send(rest[:_CHUNK]) :]
            while not sends and received < expected and (chunk := connection.recv(_CHUNK)):
                digest.update(chunk)
                received += len(chunk)
        except OSError as error:
            failure = "sending" if sends else f"after {received} of {expected} bytes"
            failure += f": {error.strerror or error}"
            break
    return Transferred(received, digest.hexdigest(), failure)


class Agent:
    """The requests, one method each. Their answers are what goes into JSON."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []  # to go with the next answer
        self._listener: socket.socket | None = None

    def attach(self, mac: str, mtu: int, addresses: list[str]) -> dict[str, object]:
        """Make the guest's NIC; its descriptor goes with the answer."""
        from vecnet import host
        from vecnet.kernel import rtnl
        from vecnet.kernel.namespaces import Namespaces
        from vecnet.loopback.wire import wait_until

        interface = HostInterface(
            ifname=NIC,
            kind="tap",
            mtu=mtu,
            mac=mac,
            attributes=TapAttributes(vnet_hdr=False),
            addresses=tuple(addresses),
            link="loopback",
        )
        host.up(_Network(interface))
        self.descriptors = [host.attach_tap(interface)]
        with Namespaces() as namespaces:
            wait_until(partial(rtnl.sends, namespaces.home, NIC))
        return {}

    def detach(self) -> dict[str, object]:
        from vecnet import host

        host.down(_Network.name)
        return {}

    def ping(self, to: str, interface: str, packet: int) -> dict[str, object]:
        return {"seconds": ping(to, interface, packet)}

    def listen(self, address: str, interface: str) -> dict[str, object]:
        """Listen for one connection; `accept` waits for it."""
        self._listener = _socket(address, interface)
        self._listener.bind((address, 0))
        self._listener.listen(1)
        return {"port": self._listener.getsockname()[1]}

    def accept(self, size: int, seed: int, turns: bool) -> dict[str, object]:
        assert self._listener is not None
        with self._listener as listener:
            listener.settimeout(TIMEOUT)
            connection, _ = listener.accept()
        with connection:
            if turns:
                return asdict(in_turn(connection, content(seed, size), size, first=False))
            return asdict(transfer(connection, content(seed, size), size))

    def connect(self, address: str, port: int, interface: str, size: int, seed: int, turns: bool) -> dict[str, object]:
        with _socket(address, interface) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect((address, port))
            if turns:
                return asdict(in_turn(connection, content(seed, size), size, first=True))
            return asdict(transfer(connection, content(seed, size), size))


def _socket(address: str, interface: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    stream = socket.socket(family, socket.SOCK_STREAM)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    return stream


def main(mode: str) -> None:
    """Answer requests until the other end closes, which may be while an answer is made: the probes' process died."""
    libc.end_with_parent(signal.SIGKILL)
    with suppress(BrokenPipeError, ConnectionResetError), socket.socket(fileno=0) as requests:
        agent = Agent()
        methods = (agent.attach, agent.detach, agent.ping, agent.listen, agent.accept, agent.connect)
        does: dict[str, Callable[..., dict[str, object]]] = {method.__name__: method for method in methods}
        greeting: dict[str, object] = {}
        if mode == "private":
            from vecnet import sandbox

            try:
                sandbox.enter()
            except VecnetError as error:
                greeting = {"error": str(error)}
        requests.send(json.dumps(greeting).encode())
        while data := requests.recv(1 << 16):
            request = json.loads(data)
            answer = _answer(does[request.pop("do")], request)
            socket.send_fds(requests, [json.dumps(answer).encode()], agent.descriptors)
            for descriptor in agent.descriptors:
                with suppress(OSError):
                    os.close(descriptor)
            agent.descriptors = []


def _answer(method: Callable[..., dict[str, object]], request: dict[str, object]) -> dict[str, object]:
    try:
        return method(**request)
    except OSError as error:
        short = lacks(error)
        return {"error": str(in_words(error)) if short else error.strerror or str(error), "lacks": short}
    except VecnetError as error:
        return {"error": str(error), "lacks": lacks(error)}


if __name__ == "__main__":
    main(sys.argv[1])
