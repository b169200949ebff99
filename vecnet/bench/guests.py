"""A real guest on the same string: how fast it sends small and large UDP packets, next to a port in its place.

The guest has the host's root as its own (hostfs); `dd` writes a datagram a system call, and the wire's far port counts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from vecnet.bench.result import Result
from vecnet.datapath.native import bench_one_way
from vecnet.datapath.port import Port
from vecnet.errors import HostError
from vecnet.loopback.wire import Wire

KERNEL = "linux.uml"
_HEADERS = 42  # bytes of Ethernet, IPv4 and UDP header
_SECONDS = 0.5  # of counting, a run
_BOOT = 60.0  # seconds
_BATCH, _SLICES = 64, 100

_INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
ip link set {device} up && ip addr add 10.11.0.1/24 dev {device}
ip neigh add 10.11.0.2 lladdr 02:00:00:00:00:02 dev {device} nud permanent
while [ ! -e {folder}/stop ]; do
    dd if=/dev/zero bs={payload} count=20000 status=none >/dev/udp/10.11.0.2/9
done
poweroff -f
"""


def available() -> bool:
    return shutil.which(KERNEL) is not None


def transmit(name: str, wire: Wire, length: int, runs: int) -> Iterator[Result]:
    """A guest that sends as fast as it can, next to the port that has the same string. Closes the wire's near port."""
    near, far = wire.near.handle, wire.far.handle
    packets = _BATCH * _SLICES
    ours = tuple(bench_one_way((near, False), (far, False), length, _BATCH, _SLICES)[0] / packets for _ in range(runs))
    wire.near.close()
    with tempfile.TemporaryDirectory(prefix="vecnet-guest-") as folder:
        device = wire.near.device
        init = Path(folder, "init")
        init.write_text(_INIT.format(device=device.ifname, payload=length - _HEADERS, folder=folder))
        init.chmod(0o755)
        command = [KERNEL, "mem=128M", "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "rw", f"init={init}"]
        guest = subprocess.Popen(
            [*command, "con=null", "con0=null,null", str(device)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": folder, "HOME": folder},
        )
        try:
            theirs = tuple(_counted(wire.far, length) for _ in range(runs))
        finally:
            Path(folder, "stop").touch()
            try:
                guest.wait(10)
            except subprocess.TimeoutExpired:
                guest.kill()
                guest.wait()
    yield Result(name, "transmit", "a real guest", length, ours, theirs)


def _counted(port: Port, length: int) -> float:
    """Nanoseconds a packet, of those that arrive. Raises HostError where none does."""
    end = time.monotonic() + _BOOT
    while not any(len(frame) == length for frame in port.recv(timeout=1.0)):
        if time.monotonic() > end:
            raise HostError(f"a guest on {port.device.transport.name} sends nothing")
    count, started = 0, time.perf_counter_ns()
    while (spent := time.perf_counter_ns() - started) < _SECONDS * 1e9:
        count += sum(len(frame) == length for frame in port.recv(timeout=0.2, copy=False))
    return spent / max(count, 1)
