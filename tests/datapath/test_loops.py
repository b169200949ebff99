"""Loops in C: frames each way over fd and veth, and how a loop judges, stops and fails.

generate ── port ═══ port ── drain          generate, drain ── port ═══ port ── reflect
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

import vecnet
from tests.datapath.wires import (
    MAC_A,
    MAC_B,
    assert_all_in_order,
    frame,
    packet_socket,
    receive,
    tap,
    veth,
    wait_for,
    wait_for_queue,
)
from vecnet.datapath.loops import drain, forward, generate, reflect
from vecnet.datapath.port import Port
from vecnet.errors import ListenerMissing, PortClosed, PortError

TUNNEL = "vec0:transport=gre,src=127.0.0.1,dst=127.0.0.2,rx_key=1,tx_key=2"
KINDS = ["fd", "fd-one-by-one", "veth", "gre"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@contextmanager
def wire(kind: str) -> Iterator[tuple[Port, Port]]:
    """Two ports on one wire."""
    with ExitStack() as held:
        if kind == "veth":
            veth()
            names = ["vec0:transport=raw,ifname=near,gro=1", "vec0:transport=raw,ifname=far,gro=1"]
        elif kind == "gre":
            device = vecnet.parse(TUNNEL)
            names = [str(device), str(device.mirror())]
        else:
            halves = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for half in halves:
                held.enter_context(half)
            vec = ",vec=0" if kind == "fd-one-by-one" else ""
            names = [f"vec0:transport=fd,fd={half.fileno()}{vec}" for half in halves]
        one, other = (held.enter_context(vecnet.open_port(name)) for name in names)
        yield one, other


def exchange(one: Port, other: Port, count: int, size: int | tuple[int, int], seconds: float) -> None:
    """Frames both ways at once: none lost, doubled, reordered or changed."""
    drains = [drain(one, count=count, seconds=seconds, stream=1), drain(other, count=count, seconds=seconds, stream=2)]
    generators = [
        generate(one, count=count, seconds=seconds, size=size, follow=drains[1], stream=2),
        generate(other, count=count, seconds=seconds, size=size, follow=drains[0], stream=1),
    ]
    for loop in generators:
        assert loop.wait()["frames"] == count
    for loop in drains:
        assert_all_in_order(loop.wait(), count)
    for port in (one, other):
        assert not {name: n for name, n in port.stats.items() if "_drop_" in name and n}


@every_kind
@pytest.mark.parametrize("size", [(34, 1514), 60])
def test_frames_each_way_arrive_once_in_order_and_unchanged(kind: str, size: int | tuple[int, int]) -> None:
    with wire(kind) as (one, other):
        exchange(one, other, 100_000, size, seconds=60)


@pytest.mark.unsanitized  # a minute becomes ten
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["fd", "veth"])
def test_ten_million_frames_each_way(kind: str) -> None:
    with wire(kind) as (one, other):
        exchange(one, other, 10_000_000, (60, 1514), seconds=550)


@every_kind
def test_what_is_reflected_comes_back_with_its_addresses_swapped(kind: str) -> None:
    with wire(kind) as (one, other), reflect(other) as mirror:
        assert one.send(frame(1)) == 1
        (back,) = receive(one, 1)
        assert back == MAC_A + MAC_B + frame(1)[12:]
        seen = drain(one, count=20_000, seconds=60)
        sent = generate(one, count=20_000, size=(34, 1514), follow=seen).wait()
        stats = seen.wait()
        assert (stats["frames"], stats["lost"], stats["changed"]) == (20_000, 0, 0)
        assert stats["bytes"] == sent["bytes"]
        wait_for(lambda: mirror.stats["frames"] == 20_001)


def test_frames_are_forwarded_from_port_to_port_both_ways() -> None:
    """generate ── fd ── a ═ forward ═ b ── gre ── drain, and back."""
    with wire("fd") as (left, a), wire("gre") as (b, right), forward(a, b) as out, forward(b, a) as back:
        exchange(left, right, 20_000, (34, 1514), seconds=60)
        wait_for(lambda: (out.stats["frames"], back.stats["frames"]) == (20_000, 20_000))


def test_a_drain_tells_lost_doubled_reordered_changed_and_foreign_frames() -> None:
    with wire("fd") as (one, other):
        with generate(one, count=10, size=100) as source:
            source.wait()
        sent = receive(other, 10)
        assert [(one[14:16], one[20:28]) for one in sent] == [(b"VN", n.to_bytes(8, "big")) for n in range(10)]
        changed, short = bytearray(sent[9]), sent[9][:-1]
        changed[60] ^= 1
        order = [0, 1, 3, 3, 2, 7, 7, 5]
        with drain(other, seconds=60) as seen:
            one.send([sent[n] for n in order])
            one.send([bytes(changed), short, sent[9] + b"x", frame(1), b"", sent[9][:33]])
            one.send(sent[8])
            wait_for(lambda: seen.stats["next"] == 9)
            expected = {"frames": 7, "lost": 2, "doubled": 2, "reordered": 2, "changed": 3, "foreign": 2}
            wait_for(lambda: seen.stats["foreign"] == 2)
        assert {name: seen.stats[name] for name in expected} == expected
        assert seen.stats["bytes"] == 700


def test_frames_padded_to_an_ethernet_s_smallest_are_not_changed() -> None:
    with wire("fd") as (one, other):
        generate(one, count=1, size=34).wait()
        (sent,) = receive(other, 1)
        one.send(sent + bytes(26))
        assert drain(other, count=1, seconds=5).wait()["frames"] == 1


def test_mixed_sizes_follow_from_the_number_and_cover_the_range() -> None:
    with wire("fd") as (one, other):
        with generate(one, count=2000, size=(60, 69)):
            first = [len(one) for one in receive(other, 2000)]
        with generate(one, count=2000, size=(60, 69)):
            assert [len(one) for one in receive(other, 2000)] == first
        assert set(first) == set(range(60, 70))


def test_a_rate_is_kept() -> None:
    with wire("fd") as (one, other), drain(other) as seen:
        began = time.monotonic()
        generate(one, count=500, rate=2000).wait()
        assert time.monotonic() - began >= 499 / 2000
        wait_for(lambda: seen.stats["frames"] == 500)


def test_a_window_is_kept() -> None:
    with wire("fd") as (one, other):
        with drain(other, stream=1) as seen, generate(one, follow=seen, window=7, stream=1) as source:
            wait_for(lambda: source.stats["frames"] >= 1000)
            assert source.stats["next"] - seen.stats["next"] <= 7
        with drain(other, stream=2) as silent, generate(one, follow=silent, window=7, stream=1) as source:
            wait_for(lambda: source.stats["frames"] == 7)
            time.sleep(0.05)
            assert source.stats["frames"] == 7


def test_loops_end_by_time_by_stop_and_with_their_port() -> None:
    with wire("fd") as (one, other):
        began = time.monotonic()
        assert drain(one, seconds=0.1).wait(5)["frames"] == 0
        assert time.monotonic() - began >= 0.1
        stuck = generate(one, seconds=0.1, size=1514).wait(5)  # nobody reads
        assert stuck["frames"] > 0
        with drain(other, seconds=60) as idle, generate(one, seconds=60) as busy:
            assert idle.running
            assert busy.running
        assert not any(loop.running for loop in (idle, busy))
        idle.wait()
        busy.wait()
        loops = [drain(one), reflect(other)]
        with pytest.raises(TimeoutError):
            loops[0].wait(0.05)
        one.close()
        other.close()
        for loop in loops:
            with pytest.raises(PortClosed):
                loop.wait(5)
        with pytest.raises(PortClosed):
            generate(one, count=1).wait(5)


def test_a_program_may_end_while_its_loops_run() -> None:
    code = """
import socket, time, vecnet
from vecnet.datapath.loops import drain, generate, reflect
halves = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one, other = (vecnet.open_port(f"vec0:transport=fd,fd={half.fileno()}") for half in halves)
seen = drain(one)
generate(one), reflect(other)
while seen.stats["frames"] < 1000: time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("which", [0, 1])
def test_forwarding_ends_with_either_port(which: int) -> None:
    with wire("fd") as (_left, a), wire("gre") as (b, _right):
        loop = forward(a, b)
        time.sleep(0.05)
        (a, b)[which].close()
        with pytest.raises(PortClosed):
            loop.wait(5)


def test_a_wire_that_is_gone_ends_the_loop_with_its_reason() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port:
        loops = [drain(port), generate(port)]
        far.close()
        for loop in loops:
            with pytest.raises(ListenerMissing):
                loop.wait(5)


def test_receiving_waits_its_turn_behind_a_loop() -> None:
    with wire("fd") as (one, other), drain(one) as loop:
        wait_for(lambda: loop.running)
        time.sleep(0.05)
        other.send(frame(1))
        assert one.recv(0.05) == []
        wait_for(lambda: loop.stats["foreign"] == 1)


def test_a_loop_that_waits_for_its_turn_is_stopped_too() -> None:
    with wire("fd") as (one, other):
        with drain(one) as first, drain(one) as second:
            wait_for(lambda: first.running and second.running)
        with drain(one) as first:
            time.sleep(0.05)
            second = drain(one, count=1)
            first.stop()
            generate(other, count=1).wait()
            assert second.wait(5)["frames"] == 1


def test_a_switch_s_loop_outlives_its_guests(tmp_path: object) -> None:
    device = f"vec0:transport=bess,dst={tmp_path}/switch"
    with vecnet.open_port(device, role="switch") as switch, reflect(switch) as mirror:
        for _ in range(3):
            with vecnet.open_port(device) as guest:
                seen = drain(guest, count=1000, seconds=30)
                generate(guest, count=1000, follow=seen).wait()
                assert seen.wait()["lost"] == 0
        assert mirror.running


def test_a_tap_is_driven_by_loops_too() -> None:
    tap()
    with vecnet.open_port("vec0:transport=tap,ifname=tap0") as port, packet_socket("tap0") as host:
        wait_for_queue("tap0")
        generate(port, count=100).wait()
        sent = [host.recv(2000) for _ in range(100)]
        assert [int.from_bytes(one[20:28], "big") for one in sent] == list(range(100))
        with drain(port, count=100, seconds=10) as seen:
            for one in sent:
                host.send(one)
            assert seen.wait()["lost"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"size": 33}, {"size": (60, 59)}, {"size": 70000}, {"target": "x"}),
        *({"rate": 0.5}, {"rate": float("inf")}, {"rate": float("nan")}, {"window": 0}, {"window": 2**64}),
        *({"count": 0}, {"count": 1.5}, {"count": 2**64}, {"seconds": float("nan")}, {"stream": -1}, {"stream": 2**32}),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with wire("fd") as (one, _other), pytest.raises(PortError):
        generate(one, **wrong)  # type: ignore[arg-type]


def test_moments_tell_how_long_frames_were_on_their_way() -> None:
    with wire("fd") as (one, other), drain(other, count=1000, moments=(100, 8)) as seen:
        before = time.monotonic_ns()
        sent = generate(one, count=1000, rate=50_000, follow=seen, moments=(100, 8))
        sent.wait()
        seen.wait(10)
        after = time.monotonic_ns()
        out, came = sent.moments, seen.moments
    assert len(out) == len(came) == 8, "there is room for no more"
    assert all(before <= there <= here <= after for there, here in zip(out, came, strict=True))
    assert out == sorted(out)
    assert out[-1] - out[0] > 10_000_000, "700 frames at that rate take 14 ms"


def test_a_frame_that_does_not_come_has_no_moment() -> None:
    with wire("fd") as (one, other), drain(other, moments=(1, 4)) as seen:
        generate(one, count=2, moments=(1, 4)).wait()
        wait_for(lambda: seen.stats["frames"] == 2)
        with pytest.raises(PortError, match="wait for it first"):
            seen.moments  # noqa: B018 - asking is what is wrong
        seen.stop()
        seen.wait(10)
        assert [bool(moment) for moment in seen.moments] == [True, True, False, False]
    with wire("fd") as (one, _), generate(one, count=1) as sent:
        sent.wait()
        assert sent.moments == []


@pytest.mark.parametrize("moments", [(-1, 1), (1, -1), (1, 1 << 24), (1 << 63, 1)])
def test_moments_that_make_no_sense(moments: tuple[int, int]) -> None:
    with wire("fd") as (one, _), pytest.raises(PortError, match="moments="):
        generate(one, moments=moments)
