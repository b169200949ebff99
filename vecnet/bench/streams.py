"""A host's TCP stream through `forward` between two ports, next to the same stream through the kernel's own bridge.

::

    namespace a: 10.11.0.1 on an interface ── port ══ forward ══ port ── an interface with 10.11.0.2: namespace b
    namespace a: 10.11.0.1 on a veth ─────────────── bridge ──────────── a veth with 10.11.0.2: namespace b

Large frames stay whole on both ways. Needs the `ip`, `nsenter` and `unshare` commands.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from vecnet.bench.figures import Effort, Stream
from vecnet.bench.place import (
    FAR,
    FAR_PROCESSOR,
    NEAR,
    NEAR_PROCESSOR,
    inside,
    ip,
    on,
    port_on_interface,
    two_namespaces,
)
from vecnet.datapath.loops import forward
from vecnet.errors import HostError

_SINK = """
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
with socket.create_server((address, 9)) as server:
    print(flush=True)
    connection, _ = server.accept()
    buffer, count, started = bytearray(1 << 20), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        count += connection.recv_into(buffer)
    print(count * 8 / (time.perf_counter() - started))
"""
_SOURCE = """
import socket, sys
with socket.create_connection((sys.argv[1], 9), timeout=10) as connection:
    data = bytes(1 << 20)
    try:
        while True:
            connection.sendall(data)
    except OSError:
        pass
"""


Between = Callable[[str, tuple[int, int]], AbstractContextManager[None]]


def stream(transport: str, effort: Effort) -> Stream:
    """One of the transports that take large frames, run by run next to the bridge."""
    return next_to_bridge(transport, "TCP through forward", _forwarded, effort)


def next_to_bridge(transport: str, what: str, between: Between, effort: Effort) -> Stream:
    """What joins ports on `eth0` of two namespaces, run by run next to the bridge that joins theirs."""
    ours, theirs = [], []
    for _ in range(effort.slow_runs):
        with _bridged() as ends:
            theirs.append(_carried(*ends, effort.seconds))
        with two_namespaces() as ends, between(transport, ends):
            _address(ends)
            ours.append(_carried(*ends, effort.seconds))
    return Stream(transport, what, "kernel bridge", tuple(ours), tuple(theirs))


def _carried(source: int, sink: int, seconds: float) -> float:
    """Bits a second that arrive from one namespace in the other."""
    python = (sys.executable, "-c")
    with on(FAR_PROCESSOR):
        server = subprocess.Popen([*inside(sink), *python, _SINK, FAR, str(seconds)], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        server.stdout.readline()
        with on(NEAR_PROCESSOR):
            client = subprocess.Popen([*inside(source), *python, _SOURCE, FAR])
        with client:
            answer = server.stdout.readline()
            client.kill()
    if not answer:
        raise HostError("no stream came about between the two namespaces")
    return float(answer)


@contextmanager
def _bridged() -> Iterator[tuple[int, int]]:
    with two_namespaces() as ends:
        ip("link add name bench-br type bridge")
        ip("link set bench-br up")
        try:
            for end, pid in zip("ab", ends, strict=True):
                ip(f"link add bench-{end} type veth peer name eth0 netns {pid}")
                ip(f"link set bench-{end} up master bench-br")
            _address(ends)
            yield ends
        finally:
            ip("link del bench-br")


@contextmanager
def _forwarded(transport: str, ends: tuple[int, int]) -> Iterator[None]:
    with ExitStack() as stack:
        ports = [stack.enter_context(port_on_interface(transport, pid)) for pid in ends]
        for processor, (port, to) in ((FAR_PROCESSOR, ports), (NEAR_PROCESSOR, ports[::-1])):
            with on(processor):  # of the receiver of what it moves
                stack.enter_context(forward(port, to))
        yield


def _address(ends: tuple[int, int]) -> None:
    for address, pid in zip((NEAR, FAR), ends, strict=True):
        ip(f"addr add {address}/24 dev eth0", pid)
        ip("link set eth0 up", pid)
