"""What frames suffer that go out of a switch's port: each word by itself, measured, and the same by the same seed.

Shares are judged by five sigmas, as `vecnet loopback` does: one run in 1.7 million is beyond by chance alone.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator

import pytest

from tests.datapath.switches import counted, hosts, plugged, sent, teach
from tests.datapath.test_streams import talk, two_hosts
from tests.datapath.wires import receive, wait_for
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch
from vecnet.errors import InputError
from vecnet.impairment import Impairment, ImpairmentText

COUNT = 2000
PIECE = 50  # frames at a time


@pytest.fixture
def lan() -> Iterator[Switch]:
    with Switch(age=1000) as switch:
        yield switch


def words(text: str) -> Impairment:
    return ImpairmentText().parse(text)


def passed(one: Port, other: Port, count: int = COUNT, rest: float = 0.2) -> list[bytes]:
    """What comes of numbered frames from host 0 to host 1: all that comes until there is nothing for `rest` seconds."""
    got: list[bytes] = []
    for first in range(0, count, PIECE):
        one.send([sent(1, 0, number) for number in range(first, first + PIECE)])
        while more := other.recv(0):
            got += map(bytes, more)
    while more := other.recv(rest):
        got += map(bytes, more)
    return got


def number_of(frame: bytes) -> int:
    return int.from_bytes(frame[14:18], "big")


def fits(share: float, of: int, those: int) -> bool:
    return abs(those / of - share) <= 5 * math.sqrt(share * (1 - share) / of)


def test_lost(lan: Switch) -> None:
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("loss 10% seed 3"))
        numbers = list(map(number_of, passed(one, other)))
        assert numbers == sorted(set(numbers))
        assert fits(0.1, COUNT, COUNT - len(numbers))
        assert counted(lan, "b", "drop_impaired") == COUNT - len(numbers)
        lan.impair("b", words("loss 10% seed 3"))
        assert list(map(number_of, passed(one, other))) == numbers
        lan.impair("b", words("loss 10% seed 4"))
        assert list(map(number_of, passed(one, other))) != numbers
        lan.impair("b", None)
        assert len(passed(one, other)) == COUNT
        other.send([sent(0, 1, number) for number in range(PIECE)])  # what comes in there is left alone
        assert len(receive(one, PIECE)) == PIECE


def test_doubled(lan: Switch) -> None:
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("duplicate 10%"))
        numbers = list(map(number_of, passed(one, other)))
        assert sorted(set(numbers)) == list(range(COUNT))
        assert fits(0.1, COUNT, len(numbers) - COUNT)
        assert counted(lan, "b", "doubled") == len(numbers) - COUNT


def test_corrupted(lan: Switch) -> None:
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("corrupt 10%"))
        got = passed(one, other)
        assert len(got) == COUNT
        bits = [
            (int.from_bytes(frame, "big") ^ int.from_bytes(sent(1, 0, number), "big")).bit_count()
            for number, frame in enumerate(got)  # in their order
        ]
        assert set(bits) == {0, 1}
        assert fits(0.1, COUNT, sum(bits))
        assert counted(lan, "b", "corrupted") == sum(bits)


def test_late_and_overtaken(lan: Switch) -> None:
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("delay 60ms 20ms"))
        began = time.monotonic()
        one.send([sent(1, 0, number) for number in range(PIECE)])
        numbers = list(map(number_of, receive(other, PIECE)))
        assert 0.04 <= time.monotonic() - began < 0.5
        assert numbers == list(range(PIECE))
        lan.impair("b", words("delay 60ms reorder 20%"))
        numbers = list(map(number_of, passed(one, other, 500)))
        assert sorted(numbers) == list(range(500))
        assert numbers != sorted(numbers)
        assert fits(0.2, 500, counted(lan, "b", "overtaking"))


def test_slowed_down(lan: Switch) -> None:
    """60 bytes are 480 bits: of 100 frames at 200 kbit/s the last comes after 0.24 s."""
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("rate 200kbit"))
        began = time.monotonic()
        one.send([sent(1, 0, number) for number in range(100)])
        assert len(receive(other, 100)) == 100
        assert 0.24 <= time.monotonic() - began < 1.5


def test_no_more_than_a_thousand_wait(lan: Switch) -> None:
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("delay 30s"))
        for first in range(0, 1200, PIECE):
            one.send([sent(1, 0, number) for number in range(first, first + PIECE)])
        wait_for(lambda: counted(lan, "b", "drop_impaired") == 200)
        assert other.recv(0) == []
        lan.impair("b", None)  # what waits goes out
        assert list(map(number_of, receive(other, 1000))) == list(range(1000))


def test_what_finds_no_room_takes_no_time_of_the_wire(lan: Switch) -> None:
    """At 5 Mbit/s the thousand frames that wait take 0.1 s, and the 40,000 that were lost would take 4 s."""
    with hosts(lan, 2) as (one, other):
        teach(lan, [one, other])
        lan.impair("b", words("rate 5mbit"))
        for first in range(0, 40_000, PIECE):
            one.send([sent(1, 0, number) for number in range(first, first + PIECE)])
            while other.recv(0):
                pass
        wait_for(lambda: counted(lan, "a", "rx_frames") >= 40_000)
        began = time.monotonic()
        while other.recv(0.2):
            pass
        assert time.monotonic() - began < 1.5
        assert counted(lan, "b", "drop_impaired") > 20_000


def test_a_port_that_goes_takes_what_waits_along(lan: Switch) -> None:
    with hosts(lan, 1) as (one,), plugged(lan, "late") as other:
        other.send(sent(0, 1))
        receive(one, 1)
        lan.impair("late", words("delay 30s"))
        one.send([sent(1, 0, number) for number in range(PIECE)])
        wait_for(lambda: counted(lan, "a", "rx_frames") == PIECE)
        other.close()
        wait_for(lambda: counted(lan, "late", "drop_down") == PIECE)
        lan.remove("late")
        with pytest.raises(InputError, match="the switch has no port 'late'"):
            lan.impair("late", None)


def test_large_frames_are_cut_before(lan: Switch) -> None:
    """A bit that is changed in one with an open checksum would be made right again by whoever fills that in."""
    with two_hosts() as (one, other):
        lan.add(one, name="left")
        lan.add(other, name="right")
        lan.impair("right", words("delay 1ms"))
        talk(socket.AF_INET)
        assert lan.stats["right"]["cut"] > 0
        assert not {cause: n for cause, n in lan.stats["right"].items() if "drop" in cause and n}
