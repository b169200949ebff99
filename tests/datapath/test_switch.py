"""The learning switch: where frames go, and who may look at it, and change it, meanwhile."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecnet
from tests.datapath.switches import (
    BROADCAST,
    MULTICAST,
    counted,
    hosts,
    mac,
    nothing,
    plugged,
    sent,
    teach,
    text,
)
from tests.datapath.wires import receive, wait_for
from vecnet.datapath.capture import read_capture
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.switch import COUNTERS, Switch
from vecnet.errors import InputError, PortClosed, PortError


@pytest.fixture
def lan() -> Iterator[Switch]:
    with Switch() as switch:
        yield switch


# ---- where frames go ----


@pytest.mark.parametrize("to", [BROADCAST, MULTICAST, mac(99)], ids=["broadcast", "multicast", "unknown"])
def test_what_is_for_all_or_for_nobody_known_goes_to_every_other_port(lan: Switch, to: bytes) -> None:
    with hosts(lan, 4) as ports:
        frame = sent(to, 0)
        ports[0].send(frame)
        for port in ports[1:]:
            assert receive(port, 1) == [frame]
        nothing(*ports)
        assert counted(lan, "a", "flooded") == 1


def test_what_is_for_a_known_address_goes_to_its_port_alone(lan: Switch) -> None:
    with hosts(lan, 4) as ports:
        teach(lan, ports)
        frames = [sent(2, 0, number) for number in range(50)]
        ports[0].send(frames)
        assert receive(ports[2], 50) == frames
        nothing(*ports)
        assert counted(lan, "a", "flooded") == 1  # what it was taught by


def test_order_is_kept_from_what_is_flooded_to_what_is_not(lan: Switch) -> None:
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        frames = [sent(BROADCAST if number % 3 else 1, 0, number) for number in range(200)]
        for at in range(0, 200, 50):
            ports[0].send(frames[at : at + 50])
            assert receive(ports[1], 50) == frames[at : at + 50]


def test_the_table_tells_what_was_learnt(lan: Switch) -> None:
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        assert {(one.address, one.port) for one in lan.table} == {(text(0), "a"), (text(1), "b"), (text(2), "c")}
        assert all(0 <= one.idle < 5 for one in lan.table)
        assert [port.addresses for port in lan.ports] == [1, 1, 1]
        assert counted(lan, "a", "learnt") == 1


def test_an_address_that_moves_is_followed(lan: Switch) -> None:
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        ports[2].send(sent(0, 1))  # b's address, at c now
        receive(ports[0], 1)
        ports[0].send(sent(1, 0, 7))
        assert receive(ports[2], 1) == [sent(1, 0, 7)]
        nothing(ports[1])
        assert counted(lan, "c", "moved") == 1
        assert [port.addresses for port in lan.ports] == [1, 0, 2]


def test_an_address_that_is_silent_is_forgotten() -> None:
    with Switch(age=0.3) as lan, hosts(lan, 3) as ports:
        teach(lan, ports)
        ports[0].send(sent(1, 0))
        receive(ports[1], 1)
        wait_for(lambda: not lan.table)
        ports[0].send(sent(1, 0, 1))
        assert [receive(port, 1) for port in ports[1:]] == [[sent(1, 0, 1)]] * 2  # nobody knows where it is
        wait_for(lambda: [port.addresses for port in lan.ports] != [1, 1, 1])


def test_an_address_that_sends_is_not_forgotten() -> None:
    with Switch(age=0.5) as lan, hosts(lan, 3) as ports:
        teach(lan, ports)
        for number in range(12):
            ports[1].send(sent(BROADCAST, 1, number))
            assert [len(receive(ports[other], 1)) for other in (0, 2)] == [1, 1]
            time.sleep(0.1)
        ports[0].send(sent(1, 0))
        receive(ports[1], 1)
        nothing(ports[2])


def test_what_is_for_an_address_at_the_same_port_stays_there(lan: Switch) -> None:
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        ports[0].send(sent(BROADCAST, 50))  # a second address behind it
        for port in ports[1:]:
            receive(port, 1)
        ports[0].send(sent(50, 0))
        nothing(*ports)
        assert counted(lan, "a", "drop_home") == 1


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (sent(1, MULTICAST), "drop_sender"),
        (sent(1, bytes(6)), "drop_sender"),
        (sent(bytes.fromhex("0180c2000001"), 0), "drop_reserved"),  # pause, IEEE 802.3 annex 31B
        (sent(bytes.fromhex("0180c200000e"), 0), "drop_reserved"),  # LLDP
        (sent(1, 0)[:13], "drop_short"),
    ],
)
def test_what_no_switch_passes_on_is_dropped_and_counted(lan: Switch, frame: bytes, cause: str) -> None:
    with hosts(lan, 2) as ports:
        ports[0].send(frame)
        wait_for(lambda: counted(lan, "a", cause) == 1)
        nothing(*ports)


def test_spanning_tree_s_frames_pass_as_they_do_a_wire(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        ports[0].send(sent(bytes.fromhex("0180c2000000"), 0))
        assert len(receive(ports[1], 1)) == 1


def test_isolated_ports_do_not_see_each_other(lan: Switch) -> None:
    with (
        plugged(lan, "up") as up,
        plugged(lan, "one", isolated=True) as one,
        plugged(lan, "two", isolated=True) as two,
    ):
        ports = [up, one, two]
        one.send(sent(BROADCAST, 1))
        assert len(receive(up, 1)) == 1
        two.send(sent(BROADCAST, 2))
        assert len(receive(up, 1)) == 1
        up.send(sent(BROADCAST, 0))
        assert [len(receive(port, 1)) for port in (one, two)] == [1, 1]
        one.send([sent(2, 1), sent(0, 1)])
        assert receive(up, 1) == [sent(0, 1)]
        two.send(sent(0, 2))
        assert receive(up, 1) == [sent(0, 2)]
        nothing(*ports)
        assert counted(lan, "one", "drop_isolated") == 1


def test_frames_longer_than_a_port_s_mtu_are_not_for_it(lan: Switch) -> None:
    with plugged(lan, "large", ",mtu=9000") as large, plugged(lan, "small") as small:
        large.send([sent(BROADCAST, 0, 1, 1515), sent(BROADCAST, 0, 2, 1514)])
        assert receive(small, 1) == [sent(BROADCAST, 0, 2, 1514)]
        assert counted(lan, "small", "drop_long") == 1
        tagged = mac(1) + mac(0) + bytes.fromhex("81000005") + bytes(1502)
        large.send(tagged)  # longer by its tag
        assert receive(small, 1) == [tagged]


def test_a_storm_is_limited_and_told(lan: Switch) -> None:
    with plugged(lan, "loud", storm=100) as loud, plugged(lan, "other") as other, plugged(lan, "third"):
        other.send(sent(BROADCAST, 1))
        receive(loud, 1)
        started = time.monotonic()
        for _ in range(40):
            loud.send([sent(BROADCAST, 0) for _ in range(50)])
            loud.send([sent(1, 0) for _ in range(10)])
        broadcasts = known = 0
        while known < 400:
            for frame in other.recv(5):
                broadcasts += frame[:6] == BROADCAST
                known += frame[:6] == mac(1)
        most = 10 + 100 * (time.monotonic() - started) + 1
        assert 10 <= broadcasts <= most
        assert counted(lan, "loud", "drop_storm") == 2000 - broadcasts


def test_between_two_ports_nothing_is_a_storm(lan: Switch) -> None:
    with plugged(lan, "loud", storm=1) as loud, plugged(lan, "silent") as silent:
        for number in range(10):
            loud.send([sent(1, 0, 50 * number + i) for i in range(50)])
            assert len(receive(silent, 50)) == 50


# ---- who looks, and changes ----


def test_ports_come_and_go_while_frames_pass(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        teach(lan, ports)
        with drain(ports[1], count=100_000) as seen:
            moving = generate(ports[0], count=100_000, size=60, follow=seen, target=text(1), source=text(0))
            for number in range(50):
                with plugged(lan, f"more{number}") as more:
                    more.send(sent(BROADCAST, 1000 + number))
                    wait_for(lambda number=number: counted(lan, f"more{number}", "learnt") == 1)  # type: ignore[misc]
                lan.remove(f"more{number}")
            assert moving.wait(30)["frames"] == 100_000
            assert seen.wait(30)["lost"] == 0
        assert sorted(port.name for port in lan.ports) == ["a", "b"]


def test_whoever_asks_is_answered_while_it_is_busy(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        teach(lan, ports)
        with (
            drain(ports[1]) as seen,
            generate(ports[0], follow=seen, target=text(1), source=text(0)),
        ):
            took = []
            for _ in range(200):
                began = time.monotonic()
                assert len(lan.table) == 2
                took.append(time.monotonic() - began)
            assert sorted(took)[100] < 0.05  # the median: a round, and what else the machine does


def test_many_ask_at_once(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        teach(lan, ports)
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                assert lan.stats["a"]["learnt"] == 1

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            with drain(ports[1], count=20_000) as seen:
                generate(ports[0], count=20_000, follow=seen, target=text(1), source=text(0))
                assert seen.wait(60)["lost"] == 0  # they do not keep it from its work
        finally:
            stop.set()
            for asker in askers:
                asker.join()


def test_a_removed_port_s_addresses_are_forgotten(lan: Switch) -> None:
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        lan.remove("b")
        assert {one.port for one in lan.table} == {"a", "c"}
        ports[0].send(sent(1, 0))
        assert len(receive(ports[2], 1)) == 1
        assert counted(lan, "a", "flooded") == 2


def test_a_stopped_switch_keeps_its_ports_and_their_frames(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        lan.stop()
        assert not lan.running
        ports[0].send(sent(BROADCAST, 0))
        nothing(ports[1])
        lan.start()
        assert len(receive(ports[1], 1)) == 1


def test_it_runs_in_the_foreground_for_a_time_or_until_it_is_stopped() -> None:
    lan = Switch()
    with hosts(lan, 2) as ports:
        ports[0].send(sent(BROADCAST, 0))
        lan.run(0.01)
        assert len(ports[1].recv(0)) == 1
        threading.Timer(0.2, lan.stop).start()
        began = time.monotonic()
        lan.run()
        assert 0.1 < time.monotonic() - began < 5
    lan.close()


def test_what_is_closed_says_so_and_keeps_its_counters(lan: Switch) -> None:
    with hosts(lan, 2) as ports:
        teach(lan, ports)
        lan.close()
        lan.close()
        assert (lan.ports, lan.table) == ([], [])
        assert lan.stats["a"]["learnt"] == 1
        for call in (lan.start, lan.run, lambda: lan.add("vec0:transport=fd,fd=0"), lambda: lan.record("/run/x")):
            with pytest.raises(PortClosed, match="the switch is closed"):
                call()
        with pytest.raises(PortError):  # its ports are closed: the other ends notice
            ports[0].recv(5)


def test_a_port_that_was_added_is_closed_for_its_owner(lan: Switch) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        port = vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}")
        lan.add(port, name="mine")
        assert port.closed
        for use in (lambda: port.recv(0), lambda: port.send(b"x" * 60), port.fileno, lambda: lan.add(port)):
            with pytest.raises(PortClosed):
                use()
        port.close()
        assert [one.name for one in lan.ports] == ["mine"]
        with plugged(lan, "other") as other:
            far.send(sent(BROADCAST, 3))
            assert receive(other, 1) == [sent(BROADCAST, 3)]


def test_a_port_that_a_loop_uses_cannot_be_added(lan: Switch) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port, drain(port):
        with pytest.raises(PortError, match="moves the port's frames"):
            lan.add(port)
        assert not port.closed


def test_what_makes_no_sense_is_refused(lan: Switch) -> None:
    with hosts(lan, 1):
        for settings in ({"storm": 0}, {"addresses": 0}, {"guests": 0}, {"guests": 5000}, {"name": "no name"}):
            with pytest.raises(InputError):
                lan.add("vec0:transport=fd,fd=0", **settings)
        with pytest.raises(InputError, match="no port 'z'; it has a"):
            lan.remove("z")
        with pytest.raises(InputError, match="no port 'z'"):
            lan.mirror("z")
        with pytest.raises(PortError, match="has a port a already"), plugged(lan, "a"):
            pass
    for wrong in ({"age": 0}, {"age": float("nan")}, {"addresses": 0}):
        with pytest.raises(InputError):
            Switch(**wrong)


def test_names_are_given_where_none_are(lan: Switch) -> None:
    with plugged(lan, "port2"), plugged(lan, ""), plugged(lan, ""):
        assert sorted(port.name for port in lan.ports) == ["port1", "port2", "port3"]


def test_every_counter_has_a_meaning(lan: Switch) -> None:
    with hosts(lan, 1):
        assert set(COUNTERS) < set(lan.stats["a"])
        assert all(COUNTERS.values())


def test_a_fork_s_copy_can_be_closed_and_the_parent_s_goes_on(lan: Switch) -> None:
    with hosts(lan, 3) as ports, drain(ports[1], count=50_000) as seen:
        ports[1].send(sent(BROADCAST, 1))
        wait_for(lambda: len(lan.table) == 1)
        moving = generate(ports[0], count=50_000, follow=seen, target=text(1), source=text(0), rate=100_000)
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    try:
                        lan.run(1)
                    except PortClosed:
                        lan.close()
                        code = 0 if lan.ports == [] else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        moving.wait(30)
        assert seen.wait(30)["lost"] == 0


# ---- mirror, recording ----


def test_a_monitor_gets_a_copy_of_all_and_takes_part_in_nothing(lan: Switch) -> None:
    with hosts(lan, 3) as ports, plugged(lan, "probe") as probe:
        teach(lan, ports)
        receive(probe, 3)
        lan.mirror("probe")
        ports[0].send([sent(1, 0), sent(BROADCAST, 0)])
        assert receive(ports[1], 2) == receive(probe, 2) == [sent(1, 0), sent(BROADCAST, 0)]
        receive(ports[2], 1)
        probe.send(sent(BROADCAST, 9))
        wait_for(lambda: counted(lan, "probe", "drop_monitor") == 1)
        nothing(*ports, probe)
        lan.mirror(None)
        probe.send(sent(BROADCAST, 9))
        assert [len(receive(port, 1)) for port in ports] == [1, 1, 1]


def test_only_some_ports_are_mirrored_both_ways_and_once(lan: Switch) -> None:
    with hosts(lan, 3) as ports, plugged(lan, "probe") as probe:
        teach(lan, ports)
        receive(probe, 3)
        lan.mirror("probe", of=["a", "b"])
        ports[0].send(sent(1, 0, 1))  # between two that are: one copy
        ports[2].send(sent(0, 2, 2))  # to one that is
        receive(ports[1], 1), receive(ports[0], 1)
        ports[2].send(sent(BROADCAST, 2, 3))
        receive(ports[0], 1), receive(ports[1], 1)
        copies = receive(probe, 3)
        assert sorted(copies) == sorted([sent(1, 0, 1), sent(0, 2, 2), sent(BROADCAST, 2, 3)])
        nothing(probe)
        with pytest.raises(InputError, match="cannot be the monitor"):
            lan.mirror("probe", of=["probe"])


def test_what_passes_is_recorded(lan: Switch, tmp_path: Path) -> None:
    file = tmp_path / "lan.pcapng"
    with hosts(lan, 3) as ports:
        teach(lan, ports)
        with lan.record(file):
            ports[0].send(sent(1, 0, 5))
            receive(ports[1], 1)
        ports[0].send(sent(1, 0, 6))
        receive(ports[1], 1)
    found = [(one.interface_name, one.direction) for one in read_capture(file) if one.data == sent(1, 0, 5)]
    assert sorted(found) == [("a", "in"), ("a outer", "in"), ("b", "out"), ("b outer", "out")]
    assert not [one for one in read_capture(file) if one.data == sent(1, 0, 6)]
