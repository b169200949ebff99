"""Hostile guests on a switch: what they do to themselves, and that the others lose nothing by it.

Nothing here is a matter of time. The others' frames are numbered, and never more under way than their own queues hold:
each one that is lost was lost by the switch.
"""

from __future__ import annotations

import contextlib
import gc
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import vecnet
from tests.datapath.switches import BROADCAST, counted, hosts, mac, plugged, sent, teach, text
from tests.datapath.wires import receive, wait_for
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch
from vecnet.errors import PortError

FRAMES = 50_000  # of the others
Attack = Callable[[int], list[bytes]]


def sources(turn: int) -> list[bytes]:
    """Each frame is from an address that was never seen."""
    return [sent(2, 1_000_000 + 50 * turn + i) for i in range(50)]


def broadcasts(turn: int) -> list[bytes]:
    return [sent(BROADCAST, 666, turn, 1500) for _ in range(50)]


def unknown(turn: int) -> list[bytes]:
    return [sent(1_000_000 + 50 * turn + i, 666) for i in range(50)]


def thefts(turn: int) -> list[bytes]:
    """Frames as if from anybody, a group among them."""
    return [sent(random.Random(turn).randbytes(6), random.Random(turn + i).randbytes(6)) for i in range(50)]


def nonsense(turn: int) -> list[bytes]:
    chance = random.Random(turn)
    return [chance.randbytes(chance.randrange(1, 1514)) for _ in range(50)]


@contextmanager
def attacking(port: Port, attack: Attack) -> Iterator[None]:
    """Somebody sends this without a pause, and reads nothing."""
    stop = threading.Event()

    def work() -> None:
        turn = 0
        while not stop.is_set():
            port.send(attack(turn), 0.1)
            turn += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("attack", [sources, broadcasts, unknown, thefts, nonsense])
def test_the_others_lose_nothing(attack: Attack) -> None:
    with Switch() as lan, hosts(lan, 3) as ports, plugged(lan, "hostile", storm=1000) as hostile:
        teach(lan, ports)
        hostile.recv(0)
        with attacking(hostile, attack), drain(ports[1], count=FRAMES) as seen:
            # few under way: what the attack floods needs room in the queue as well
            to, by = text(1), text(0)
            moving = generate(ports[0], count=FRAMES, size=(60, 1514), follow=seen, window=32, target=to, source=by)
            moving.wait(120)
            result = seen.wait(120)
        assert (result["lost"], result["changed"], result["doubled"]) == (0, 0, 0)
        assert counted(lan, "b", "drop_full") == 0
        assert counted(lan, "hostile", "rx_frames") > 50
        assert {text(0), text(1), text(2)} <= {one.address for one in lan.table}  # where they were, or followed
        for name, number in zip("abc", range(3), strict=True):
            assert [one.port for one in lan.table if one.address == text(number)] == [name]


def test_a_flood_of_addresses_evicts_its_own_alone() -> None:
    with Switch(addresses=5000) as lan, hosts(lan, 3) as ports, plugged(lan, "hostile", addresses=100) as hostile:
        teach(lan, ports)
        for turn in range(100):
            hostile.send(sources(turn))
            while hostile.recv(0):
                pass
            wait_for(lambda turn=turn: counted(lan, "hostile", "rx_frames") == 50 * (turn + 1))  # type: ignore[misc]
            for port in ports:
                while port.recv(0):
                    pass
        assert {port.name: port.addresses for port in lan.ports} == {"a": 1, "b": 1, "c": 1, "hostile": 100}
        assert counted(lan, "hostile", "learnt") == 5000
        assert counted(lan, "hostile", "crowded") == 4900
        assert [counted(lan, name, "crowded") for name in "abc"] == [0, 0, 0]


def test_an_address_that_is_in_use_outlives_a_flood_behind_the_same_port() -> None:
    with Switch() as lan, hosts(lan, 2) as ports, plugged(lan, "trunk", addresses=64) as trunk:
        teach(lan, ports)
        for turn in range(40):
            trunk.send([*sources(turn)[:25], sent(0, 77, turn), *sources(turn)[25:]])
            assert sent(0, 77, turn) in receive_from(ports[0], 77)
            for port in (*ports, trunk):
                while port.recv(0):
                    pass
        assert text(77) in {one.address for one in lan.table if one.port == "trunk"}
        assert counted(lan, "trunk", "crowded") > 1000


def receive_from(port: Port, number: int) -> list[bytes]:
    """What comes until a frame of this sender's does."""
    frames: list[bytes] = []
    while not frames or frames[-1][6:12] != mac(number):
        got = port.recv(5)
        assert got
        frames += got
        if any(frame[6:12] == mac(number) for frame in got):
            return frames
    return frames


def test_a_full_table_is_shared_fairly() -> None:
    with Switch(addresses=300) as lan, hosts(lan, 3) as ports:
        for number, (port, count) in enumerate(zip(ports, (280, 150, 150), strict=True)):
            for at in range(0, count, 50):
                port.send([sent(BROADCAST, 1000 * number + i) for i in range(at, min(at + 50, count))])
                wait_for(lambda: counted(lan, "abc"[number], "rx_frames") >= min(at + 50, count))  # noqa: B023
                for other in ports:
                    while other.recv(0):
                        pass
        assert sum(port.addresses for port in lan.ports) == 300
        assert [port.addresses for port in lan.ports] == [100, 100, 100]


def test_a_guest_that_reads_nothing_loses_its_own_frames_and_holds_nobody_up() -> None:
    with Switch() as lan, hosts(lan, 2) as ports, plugged(lan, "deaf") as deaf:
        deaf.send(sent(BROADCAST, 9))
        for port in ports:
            receive(port, 1)
        teach(lan, ports)
        with drain(ports[1], count=FRAMES) as seen:
            moving = generate(ports[0], count=FRAMES, follow=seen, target=text(1), source=text(0))
            for number in range(100):
                ports[1].send([sent(9, 1, 50 * number + i, 1514) for i in range(50)], 5)
            moving.wait(60)
            assert seen.wait(60)["lost"] == 0
        wait_for(lambda: counted(lan, "b", "rx_frames") >= 5000)
        stats = lan.stats["deaf"]
        assert stats["drop_full"] > 0
        assert stats["queued"] > 500
        assert lan.stats["b"]["drop_full"] == 0
        # what waits is bounded, in order, and not lost: it comes once the guest reads
        got = [frame for frame in receive(deaf, stats["tx_frames"] + stats["queued"], 0.5) if frame[6:12] == mac(1)]
        numbers = [int.from_bytes(frame[14:18], "big") for frame in got if frame[:6] == mac(9)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) + counted(lan, "deaf", "drop_full") == 5000
        ports[1].send(sent(9, 1, 7))
        assert receive(deaf, 1) == [sent(9, 1, 7)]


def test_a_port_that_others_flood_loses_no_more_than_it_must() -> None:
    """Two send to one at once, more than it reads: what is lost is counted at it, and all else arrives in order."""
    with Switch() as lan, hosts(lan, 3) as ports:
        teach(lan, ports)
        drained: dict[int, list[int]] = {0: [], 1: []}
        for turn in range(200):
            for number in (0, 1):
                ports[number].send([sent(2, number, 50 * turn + i, 1000) for i in range(50)], 5)
            for frame in ports[2].recv(0):
                drained[int.from_bytes(frame[8:12], "big")].append(int.from_bytes(frame[14:18], "big"))
        while frames := ports[2].recv(0.5):
            for frame in frames:
                drained[int.from_bytes(frame[8:12], "big")].append(int.from_bytes(frame[14:18], "big"))
        for numbers in drained.values():
            assert numbers == sorted(set(numbers))
        assert sum(map(len, drained.values())) + counted(lan, "c", "drop_full") == 20_000


@pytest.mark.unsanitized
def test_memory_is_bounded_whatever_guests_do() -> None:
    def held() -> int:
        gc.collect()
        fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields["RssAnon"].split()[0]) * 1024

    with Switch(addresses=2000) as lan, ExitStack() as stack:
        ports = [stack.enter_context(plugged(lan, f"port{i}", storm=None)) for i in range(8)]
        before = held()
        grown = []
        for turn in range(60):
            for port in ports:  # none of which reads
                port.send(sources(turn) + broadcasts(turn), 0)
            if turn % 20 == 19:
                grown.append(held() - before)
        assert grown[-1] < 8 * (1 << 20) + (16 << 20)  # a queue each, and buffers that are in use for the first time
        assert grown[-1] - grown[0] < 2 << 20
        assert len(lan.table) <= 2000


@pytest.mark.unsanitized
def test_guests_that_come_and_go_leave_nothing_behind() -> None:
    with Switch() as lan, plugged(lan, "host") as host:
        lan.add("vec0:transport=bess,dst=/run/lan", name="lan")

        def visit() -> None:
            with vecnet.open_port("vec0:transport=bess,dst=/run/lan") as guest:
                guest.send([sent(BROADCAST, 1000 + i) for i in range(60)])
                assert len(receive(host, 60)) == 60
                host.send([sent(BROADCAST, 1, size=1514) for _ in range(60)])
            wait_for(lambda: not [port for port in lan.ports if port.listener and port.connected])

        for _ in range(30):
            visit()
        gc.collect()
        descriptors, memory = len(list(Path("/proc/self/fd").iterdir())), rss()
        for _ in range(200):
            visit()
        gc.collect()
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
        assert rss() - memory < 1 << 20
        assert [port.name for port in lan.ports] == ["host", "lan", "lan.1"]


def rss() -> int:
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def test_a_guest_that_connects_and_hangs_up_at_once_is_no_harm() -> None:
    with Switch() as lan, hosts(lan, 2) as ports:
        lan.add("vec0:transport=bess,dst=/run/lan", name="lan", guests=3)
        teach(lan, ports)
        with drain(ports[1], count=FRAMES) as seen:
            moving = generate(ports[0], count=FRAMES, follow=seen, target=text(1), source=text(0))
            for number in range(500):
                with (
                    vecnet.open_port("vec0:transport=bess,dst=/run/lan") as guest,
                    contextlib.suppress(PortError),  # three were there still
                ):
                    guest.send(sent(1000 + number, 500), 0)
            moving.wait(60)
            assert seen.wait(60)["lost"] == 0
        with vecnet.open_port("vec0:transport=bess,dst=/run/lan") as guest:
            guest.send(sent(BROADCAST, 500))
            assert receive(ports[0], 1, 5)
