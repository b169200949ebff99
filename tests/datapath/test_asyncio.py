"""Ports and asyncio: the loop's add_reader tells when frames wait, as in the package's own words."""

from __future__ import annotations

import asyncio
import socket

import vecnet
from tests.datapath.wires import frame
from vecnet.datapath.port import Port


async def frames_of(port: Port) -> list[bytes]:
    """The next frames, without a thread and without blocking the others."""
    loop = asyncio.get_running_loop()
    while not (frames := port.recv(timeout=0)):
        readable = asyncio.Event()
        loop.add_reader(port, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(port)
    return frames


def test_many_ports_in_one_event_loop() -> None:
    """Twenty ports answer each other's frames, twenty times, in one thread."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(10)]
    ports = [[vecnet.open_port(f"vec0:transport=fd,fd={half.fileno()}") for half in pair] for pair in pairs]

    async def answer(port: Port) -> None:
        for number in range(20):
            assert await frames_of(port) == [frame(number)]
            assert port.send(frame(number + 1), timeout=0) == 1

    async def ask(port: Port) -> None:
        for number in range(20):
            assert port.send(frame(number), timeout=0) == 1
            assert await frames_of(port) == [frame(number + 1)]

    async def everyone() -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for one, other in ports:
                group.create_task(ask(one))
                group.create_task(answer(other))

    asyncio.run(everyone())
    for pair, halves in zip(ports, pairs, strict=True):
        for port, half in zip(pair, halves, strict=True):
            port.close()
            half.close()


def test_cancelling_leaves_the_port_as_it_was() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port:

        async def impatient() -> list[bytes]:
            try:
                async with asyncio.timeout(0.05):
                    return await frames_of(port)
            except TimeoutError:
                far.send(frame(1))
                return await frames_of(port)

        assert asyncio.run(impatient()) == [frame(1)]
