"""Ports and asyncio: `async for frames in port`, `await port.asend(frames)`, and the loop's add_reader."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing, contextmanager

import pytest

import vecnet
from tests.datapath.wires import frame
from vecnet.datapath.loops import generate
from vecnet.datapath.port import Port
from vecnet.errors import PortClosed


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


@contextmanager
def pair() -> Iterator[tuple[Port, Port]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        one, other = (vecnet.open_port(f"vec0:transport=fd,fd={half.fileno()}") for half in (near, far))
    with one, other:
        yield one, other


def test_every_frame_comes_and_the_loop_goes_on_meanwhile() -> None:
    count = 50_000
    with pair() as (near, far), generate(far, count=count, size=(60, 1514)):
        seen, turns = [], 0

        async def take() -> None:
            async for frames in near:
                seen.extend(frames)
                if len(seen) == count:
                    break

        async def turn() -> None:
            nonlocal turns
            while len(seen) < count:
                turns += 1
                await asyncio.sleep(0)

        async def both() -> None:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(take())
                group.create_task(turn())

        asyncio.run(both())
    assert len(seen) == count
    assert turns > count // near.depth // 2
    numbers = [frame[-8:] for frame in seen]
    assert len(set(map(bytes, seen))) == count, numbers[:3]


def test_what_a_full_queue_takes_later_is_sent_whole() -> None:
    frames = [frame(number) for number in range(3000)]  # more than the socket's queue holds
    with pair() as (near, far):

        async def send() -> int:
            task = asyncio.create_task(near.asend(frames))
            await asyncio.sleep(0.3)
            assert not task.done()  # it waits, and the loop runs
            got = []
            async for batch in far:
                got += batch
                if len(got) == len(frames):
                    break
            await task
            assert got == frames
            return len(got)

        assert asyncio.run(asyncio.wait_for(send(), 60)) == len(frames)
        asyncio.run(near.asend(frame(7)))
        assert far.recv(5.0) == [frame(7)]


@pytest.mark.parametrize("by", ["task", "thread"])
def test_closing_ends_the_iteration(by: str) -> None:
    with pair() as (near, _):

        async def wait() -> list[bytes]:
            if by == "thread":
                threading.Timer(0.1, near.close).start()
            else:
                asyncio.get_running_loop().call_later(0.1, near.close)
            return [one async for frames in near for one in frames]

        assert asyncio.run(asyncio.wait_for(wait(), 10)) == []
        assert asyncio.run(asyncio.wait_for(wait(), 10)) == []  # it is closed already
        assert not near.closers
        with pytest.raises(PortClosed):
            asyncio.run(near.asend(frame(1)))


def test_an_iteration_that_is_cancelled_or_left_takes_nothing_along() -> None:
    with pair() as (near, far):

        async def leave() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(aiter(near)), 0.05)
            await far.asend([frame(1), frame(2)])
            async with aclosing(aiter(near)) as batches:
                assert await anext(batches) == [frame(1), frame(2)]
            assert not near.closers

        asyncio.run(leave())
