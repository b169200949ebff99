"""A host's TCP stream through `forward` between two ports, next to the same stream through the kernel's own bridge.

::

    namespace a: 10.0.0.1 on an interface ── port ══ forward ══ port ── an interface with 10.0.0.2: namespace b
    namespace a: 10.0.0.1 on a veth ─────────────── bridge ──────────── a veth with 10.0.0.2: namespace b

Large frames stay whole on both ways. Needs the `ip` and `nsenter` commands.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from vecnet.bench.result import Stream
from vecnet.datapath.loops import forward
from vecnet.datapath.port import Port, open_port
from vecnet.errors import HostError

TRANSPORTS = ("tap", "hybrid", "raw")
_CLONE_NEWNET = 0x40000000
_SECONDS = 1.0  # of a stream

_SINK = f"""
import socket, time
with socket.create_server(("10.0.0.2", 9)) as server:
    print(flush=True)
    connection, _ = server.accept()
    buffer, count, started = bytearray(1 << 20), 0, time.perf_counter()
    while time.perf_counter() - started < {_SECONDS}:
        count += connection.recv_into(buffer)
    print(count * 8 / (time.perf_counter() - started))
"""
_SOURCE = """
import socket
with socket.create_connection(("10.0.0.2", 9), timeout=10) as connection:
    data = bytes(1 << 20)
    try:
        while True:
            connection.sendall(data)
    except OSError:
        pass
"""


def streams(runs: int) -> Iterator[Stream]:
    """Each transport that takes large frames, run by run next to the bridge."""
    for transport in TRANSPORTS:
        ours, theirs = [], []
        for _ in range(runs):
            with _bridged() as ends:
                theirs.append(_carried(*ends))
            with _forwarded(transport) as ends:
                ours.append(_carried(*ends))
        yield Stream(transport, "TCP through forward", "kernel bridge", tuple(ours), tuple(theirs))


def _carried(source: int, sink: int) -> float:
    """Bits a second that arrive from one namespace in the other."""
    command = (sys.executable, "-c")
    with subprocess.Popen([*_inside(sink), *command, _SINK], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()
        with subprocess.Popen([*_inside(source), *command, _SOURCE]) as client:
            answer = server.stdout.readline()
            client.kill()
    if not answer:
        raise HostError("no stream came about between the two namespaces")
    return float(answer)


@contextmanager
def _bridged() -> Iterator[tuple[int, int]]:
    with _namespaces() as ends:
        _ip("link add name bench-br type bridge")
        _ip("link set bench-br up")
        try:
            for end, pid in zip("ab", ends, strict=True):
                _ip(f"link add bench-{end} type veth peer name eth0 netns {pid}")
                _ip(f"link set bench-{end} up master bench-br")
            _address(ends)
            yield ends
        finally:
            _ip("link del bench-br")


@contextmanager
def _forwarded(transport: str) -> Iterator[tuple[int, int]]:
    with _namespaces() as ends, ExitStack() as stack:
        ports = [stack.enter_context(_port(transport, pid)) for pid in ends]
        _address(ends)
        stack.enter_context(forward(ports[0], ports[1]))
        stack.enter_context(forward(ports[1], ports[0]))
        yield ends


def _port(transport: str, pid: int) -> Port:
    """A port on an interface of the namespace of a process."""
    if transport == "raw":
        _ip("link add eth0 type veth peer name guest", pid)
        _ip("link set guest up", pid)
    else:
        _ip("tuntap add eth0 mode tap vnet_hdr", pid)
    _ip("link set eth0 up", pid)
    ifname = "guest" if transport == "raw" else "eth0"
    with _entered(pid):
        return open_port(f"vec0:transport={transport},ifname={ifname},gro=1")


def _address(ends: tuple[int, int]) -> None:
    for number, pid in enumerate(ends, start=1):
        _ip(f"addr add 10.0.0.{number}/24 dev eth0", pid)
        _ip("link set eth0 up", pid)


@contextmanager
def _namespaces() -> Iterator[tuple[int, int]]:
    """Two processes, each with a network namespace of its own."""
    with ExitStack() as stack:
        pids = []
        for _ in range(2):
            holder = stack.enter_context(
                subprocess.Popen(
                    ["unshare", "-n", "sh", "-c", "echo; exec cat"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(holder.kill)
            assert holder.stdout is not None
            holder.stdout.readline()
            pids.append(holder.pid)
        yield pids[0], pids[1]


@contextmanager
def _entered(pid: int) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = (os.open(f"/proc/{who}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for who in ("self", pid))
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise HostError(f"the network namespace of a process cannot be entered: {os.strerror(ctypes.get_errno())}")
        yield
    finally:
        libc.setns(home, _CLONE_NEWNET)
        os.close(home)
        os.close(there)


def _inside(pid: int) -> list[str]:
    return ["nsenter", f"--net=/proc/{pid}/ns/net"]


def _ip(words: str, pid: int | None = None) -> None:
    command = [*(_inside(pid) if pid else []), "ip", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: {done.stderr.strip()}")
