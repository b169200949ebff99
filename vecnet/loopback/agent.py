"""A program that acts in a network namespace: it pings, and carries TCP, for the probes.

It is the host's own stack where it is started as `here`, or a simulated guest's as `private`: then it lives in a
namespace of its own, and a tap there is the guest's NIC, whose descriptor it hands out:

    port under test ── pump ── the tap's descriptor ║ tap, with the guest's addresses: a real stack, in a namespace

Requests and answers are JSON, one a packet, on a socket. Agents are forked by nursery.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from vecnet.errors import VecnetError
from vecnet.kernel.unforeseen import in_words
from vecnet.loopback.icmp import ping
from vecnet.loopback.verdict import lacks

if TYPE_CHECKING:
    from vecnet.kernel.namespaces import Namespace

NIC = "vec0"
_CHUNK = 1 << 16  # bytes
TIMEOUT = 5.0  # seconds without progress, of a transfer
_SETTLES, _LOOK = 2.0, 0.001  # seconds for the last acknowledgements, and between two looks
_SETTLED = (6, 7)  # TCP_TIME_WAIT and TCP_CLOSE, linux/tcp_states.h, of tcpi_state


@dataclass(frozen=True)
class Transferred:
    """What one side of a transfer got: bytes, their SHA-256, and why it ended early, "" where it did not."""

    received: int
    digest: str
    failure: str


@lru_cache(maxsize=4)  # those of one link's transfers
def content(seed: int, size: int) -> bytes:
    """What a transfer carries: bytes that follow from the seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - to be told apart, not to be secret


@lru_cache(maxsize=8)
def digest_of(seed: int, size: int) -> str:
    """The SHA-256 of what a transfer carries."""
    return hashlib.sha256(content(seed, size)).hexdigest()


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
    _settle(connection)
    return Transferred(received, digest.hexdigest(), "; ".join(failure))


def _settle(connection: socket.socket) -> None:
    """Wait until the other end has acknowledged all that was sent, or see to it that closing gives that up.

    The wire is closed next: the kernel would go on sending for minutes, and keep the network namespace for as long.
    """
    end = time.monotonic() + _SETTLES
    while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in _SETTLED:
        if time.monotonic() > end:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        time.sleep(_LOOK)


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


def _do(place: Namespace, *messages: bytes) -> None:
    """Raises OSError for what the kernel refuses."""
    for refusal in filter(None, place.route.batch(messages)):
        raise OSError(refusal.errno, str(refusal))


def _drain(nic: int) -> None:
    """Take away what the last link's guest has still said."""
    os.set_blocking(nic, False)
    with suppress(BlockingIOError):
        while True:
            os.read(nic, _CHUNK)


class Agent:
    """The requests, one method each. Their answers are what goes into JSON."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []  # to go with the next answer
        self._listener: socket.socket | None = None
        self._nic: int | None = None
        self._addresses: list[str] = []  # the NIC's

    def attach(self, mac: str, mtu: int, addresses: list[str]) -> dict[str, object]:
        """Shape the guest's NIC; a descriptor of it goes with the answer.

        It is kept from link to link: the kernel takes as long to remove one as for all else together, and lets nobody
        change a network meanwhile. A new Ethernet address makes it forget its neighbours.
        """
        from vecnet.host.kinds import tap
        from vecnet.kernel import rtnl
        from vecnet.kernel.namespaces import Namespaces
        from vecnet.loopback.wire import wait_until

        with Namespaces() as namespaces:
            home = namespaces.home
            try:
                if self._nic is None:
                    self._nic = tap.attach(NIC)
                index = rtnl.read_link(home, NIC).index
                _do(home, *(rtnl.address(text, add=False).of(index) for text in self._addresses))
                self._addresses = []
                _do(home, rtnl.set_link(NIC, rtnl.Settings(mtu=mtu, mac=mac)))
                home.route.batch([rtnl.keep_ipv6_addresses_off(NIC)])  # refused where there is no IPv6 to be kept off
                _do(home, rtnl.set_link(NIC, rtnl.Settings(up=True)))
                _drain(self._nic)
                _do(home, *(rtnl.address(text, add=True).of(index) for text in addresses))
                self._addresses = addresses
            except BaseException:
                self._forget()
                raise
            wait_until(partial(rtnl.sends, home, NIC))
        self.descriptors = [os.dup(self._nic)]
        return {}

    def _forget(self) -> None:
        """Remove the NIC, which ends with its last descriptor."""
        self._addresses = []
        if self._nic is not None:
            os.close(self._nic)
            self._nic = None

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


def load() -> None:
    """Import all that requests need, before there are many agents to do it."""
    from vecnet import sandbox
    from vecnet.host.kinds import tap
    from vecnet.kernel import encode, namespaces, rtnl
    from vecnet.loopback import wire

    assert all((sandbox, tap, encode, namespaces, rtnl, wire))


def serve(requests: socket.socket, *, private: bool) -> None:
    """Answer requests until the other end closes, which may be while an answer is made: the probes' process died."""
    with suppress(BrokenPipeError, ConnectionResetError):
        agent = Agent()
        methods = (agent.attach, agent.ping, agent.listen, agent.accept, agent.connect)
        does: dict[str, Callable[..., dict[str, object]]] = {method.__name__: method for method in methods}
        greeting: dict[str, object] = {}
        if private:
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
