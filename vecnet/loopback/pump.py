"""Moves frames between a port under test and a simulated guest's NIC, in C, both ways at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vecnet.transports.fd import Fd
from vecnet.vecstring import VecDevice

if TYPE_CHECKING:
    from vecnet.datapath.port import Port


@contextmanager
def pumping(port: Port, descriptor: int, mtu: int) -> Iterator[None]:
    """Frames go between `port` and the NIC's descriptor within the block."""
    from vecnet.datapath.port import open_port

    with open_port(VecDevice(0, Fd(fd=descriptor, vec=False, mtu=mtu))) as nic:
        stop = threading.Event()
        threads = [
            threading.Thread(target=_move, args=ends, daemon=True) for ends in ((port, nic, stop), (nic, port, stop))
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _move(source: Port, sink: Port, stop: threading.Event) -> None:
    while not stop.is_set():
        frames = source.recv(timeout=0.05)
        while frames and not stop.is_set():
            frames = frames[sink.send(frames, timeout=0.05) :]
