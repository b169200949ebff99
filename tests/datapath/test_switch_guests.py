"""Guests that connect to a switch by bess, any number at one path; who leaves, comes back, or lies in wait."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import vecnet
from tests.datapath.switches import BROADCAST, counted, mac, nothing, plugged, sent, text
from tests.datapath.wires import receive, wait_for
from tests.need import need_command
from vecnet.datapath.capture import read_capture
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port
from vecnet.datapath.switch import Switch
from vecnet.errors import ListenerMissing, PortError

GUEST = "vec0:transport=bess,dst=/run/lan"


@pytest.fixture
def lan() -> Iterator[Switch]:
    with Switch() as switch:
        yield switch


@contextmanager
def guests(switch: Switch, count: int) -> Iterator[list[Port]]:
    with ExitStack() as held:
        ports = [held.enter_context(vecnet.open_port(GUEST)) for _ in range(count)]
        wait_for(lambda: len(connected(switch)) == count)
        yield ports


def connected(switch: Switch) -> list[str]:
    return [port.name for port in switch.ports if port.connected]


def test_guests_at_one_path_are_ports_of_their_own(lan: Switch) -> None:
    lan.add(GUEST, name="lan")
    with guests(lan, 3) as (one, two, three):
        assert connected(lan) == ["lan.1", "lan.2", "lan.3"]
        assert {port.listener for port in lan.ports if port.connected} == {"lan"}
        assert [port.listens for port in lan.ports] == [True, False, False, False]
        one.send(sent(2, 1))
        assert receive(two, 1) == receive(three, 1) == [sent(2, 1)]
        two.send(sent(1, 2))
        assert receive(one, 1) == [sent(1, 2)]
        nothing(three)


def test_a_guest_that_leaves_and_comes_back_is_a_port_again(lan: Switch) -> None:
    lan.add(GUEST, name="lan")
    with guests(lan, 1) as (stays,):
        for number in range(5):
            with vecnet.open_port(GUEST) as other:
                other.send(sent(BROADCAST, 2))
                assert len(receive(stays, 1)) == 1
                stays.send(sent(2, 1, number))
                assert receive(other, 1) == [sent(2, 1, number)]
            wait_for(lambda: connected(lan) == ["lan.1"])
            assert {one.port for one in lan.table} == {"lan.1"}
        assert [port.name for port in lan.ports] == ["lan", "lan.1", "lan.2"]
        assert counted(lan, "lan.2", "connected") == 5
        assert counted(lan, "lan.2", "rx_frames") == 5  # of all that were there


def test_the_port_of_a_single_guest_is_the_guest_s(lan: Switch) -> None:
    lan.add(GUEST, name="web", guests=1)
    with plugged(lan, "host") as host:
        for number in range(3):
            with vecnet.open_port(GUEST) as guest:
                guest.send(sent(BROADCAST, 1, number))
                assert receive(host, 1) == [sent(BROADCAST, 1, number)]
                assert {port.name for port in lan.ports} == {"web", "host"}
                assert {one.port for one in lan.table} == {"web"}
        wait_for(lambda: connected(lan) == ["host"])
        assert counted(lan, "web", "connected") == 3


def test_one_more_than_there_are_places_is_refused(lan: Switch) -> None:
    lan.add(GUEST, name="lan", guests=2)
    with guests(lan, 2), vecnet.open_port(GUEST) as third:
        with pytest.raises(ListenerMissing):
            third.recv(5)
        assert counted(lan, "lan", "refused") == 1
        assert connected(lan) == ["lan.1", "lan.2"]


@pytest.mark.parametrize("most", [1, 2])
def test_a_guest_that_boots_again_at_once_takes_its_place(most: int) -> None:
    """The last guest's frames are not all received when the next one comes: they are, and then it has the place."""
    lan = Switch()
    lan.add(GUEST, name="lan", guests=most)
    with plugged(lan, "host") as host:
        with ExitStack() as held:
            old = [held.enter_context(vecnet.open_port(GUEST)) for _ in range(most)]
            lan.run(0.01)
            for number, port in enumerate(old):
                port.send([sent(BROADCAST, 10 + number, i) for i in range(150)])
        new = [vecnet.open_port(GUEST) for _ in range(most)]
        lan.run(0.2)
        assert len(connected(lan)) == 1 + most
        assert lan.stats["lan"]["refused"] == 0
        lan.start()
        assert len(receive(host, 150 * most)) == 150 * most
        new[0].send(sent(BROADCAST, 1))
        assert receive(host, 1) == [sent(BROADCAST, 1)]
        for port in new:
            port.close()
    lan.close()


def test_a_guest_s_port_can_be_taken_away_and_a_door_with_all_its_guests(lan: Switch) -> None:
    lan.add(GUEST, name="lan")
    with guests(lan, 3) as (one, two, three):
        lan.remove("lan.2")
        with pytest.raises(PortError):
            two.recv(5)
        assert connected(lan) == ["lan.1", "lan.3"]
        lan.remove("lan")
        for port in (one, three):
            with pytest.raises(PortError):
                port.recv(5)
        assert lan.ports == []
        assert not Path("/run/lan").exists()
        with pytest.raises(ListenerMissing):
            vecnet.open_port(GUEST)


def test_all_that_wait_when_it_starts_are_let_in() -> None:
    lan = Switch()
    lan.add(GUEST)
    with ExitStack() as held:
        for _ in range(200):
            held.enter_context(vecnet.open_port(GUEST))
        with lan:
            wait_for(lambda: len(connected(lan)) == 200)


FEW = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
from vecnet import Switch
with Switch() as lan:
    lan.add("vec0:transport=bess,dst=/run/lan", name="lan")
    print("ready", flush=True)
    for line in sys.stdin:
        print(sum(port.connected for port in lan.ports), lan.stats["lan"]["refused"], flush=True)
"""


def test_guests_wait_at_a_door_that_has_no_descriptors_left() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FEW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def told() -> tuple[int, int]:
            print("how many", file=process.stdin, flush=True)
            inside, refused = process.stdout.readline().split()  # type: ignore[union-attr]
            return int(inside), int(refused)

        def spent() -> int:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])  # clock ticks, proc(5)

        with ExitStack() as held:
            first = [held.enter_context(vecnet.open_port(GUEST)) for _ in range(3)]
            wait_for(lambda: told() == (3, 0))
            rest = [held.enter_context(vecnet.open_port(GUEST)) for _ in range(20)]
            first[0].send(sent(BROADCAST, 1))
            assert len(receive(first[1], 1)) == 1  # those inside are served
            inside, refused = told()
            assert 3 < inside < 23
            before = spent()
            nothing(first[0])
            first[0].recv(0.5)
            assert spent() - before < 20  # of 50: it does not try without a pause
            assert told() == (inside, refused)
            for port in first:
                port.close()
            wait_for(lambda: told()[0] >= inside)
            assert rest
        process.stdin.close()
        assert process.wait(10) == 0


ORDINARY = """
import os, socket, sys
import vecnet
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.switch import Switch

assert os.getuid() == 65534
far = "transport=l2tpv3,udp=1,rx_session=1,tx_session=1,depth=128"
with Switch() as here, Switch() as there:
    here.add(f"vec0:transport=bess,dst={sys.argv[1]}/lan", name="guests")
    here.add(f"vec0:{far},src=127.0.0.1,dst=127.0.0.2,srcport=4001,dstport=4002", name="far")
    there.add(f"vec0:{far},src=127.0.0.2,dst=127.0.0.1,srcport=4002,dstport=4001", name="far")
    near, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    there.add(f"vec0:transport=fd,fd={near.fileno()}", name="host")
    one = vecnet.open_port(f"vec0:transport=bess,dst={sys.argv[1]}/lan")
    other = vecnet.open_port(f"vec0:transport=fd,fd={end.fileno()}")
    with drain(other, count=100_000) as seen, generate(one, count=100_000, size=(60, 1400), follow=seen) as sent:
        sent.wait(60)
        result = seen.wait(60)
    assert result["lost"] == result["changed"] == 0, result
print("as meant")
"""


def test_an_ordinary_user_s_guests_meet_on_two_switches_over_udp(tmp_path: Path) -> None:
    need_command("setpriv")
    folder = Path("/run/ordinary")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    script = folder / "script.py"
    script.write_text(ORDINARY)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, script, folder],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(vecnet.__file__).parents[1])},
    )
    assert done.stdout == "as meant\n", done.stderr


def test_a_guest_that_comes_back_goes_on_in_the_recording(lan: Switch, tmp_path: Path) -> None:
    lan.add(GUEST, name="lan", guests=1)
    file = tmp_path / "lan.pcapng"
    with plugged(lan, "host") as host, lan.record(file):
        for number in range(100):  # more than one file has interfaces
            with vecnet.open_port(GUEST) as guest:
                guest.send(sent(BROADCAST, 1, number))
                receive(host, 1)
        wait_for(lambda: connected(lan) == ["host"])
    frames = [one.data for one in read_capture(file) if one.interface_name == "lan"]
    assert frames == [sent(BROADCAST, 1, number) for number in range(100)]


def test_a_port_whose_wire_is_gone_is_told(lan: Switch) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near:
        lan.add(f"vec0:transport=fd,fd={near.fileno()}", name="gone")
        far.send(sent(BROADCAST, 7))
        wait_for(lambda: len(lan.table) == 1)
        far.close()
        wait_for(lambda: not lan.ports[0].connected)
        assert lan.ports[0].error == "Connection reset by peer"
        assert lan.table == []
        with plugged(lan, "other") as other:
            other.send(sent(7, 1))
            wait_for(lambda: counted(lan, "other", "flooded") == 1)
        lan.remove("gone")


def test_a_switch_is_a_guest_of_another_switch(lan: Switch) -> None:
    lan.add(GUEST, name="lan")
    with Switch() as other:
        other.add(vecnet.open_port(GUEST), name="uplink")
        with plugged(lan, "here") as here, plugged(other, "there") as there:
            there.send(sent(BROADCAST, 1))
            assert receive(here, 1) == [sent(BROADCAST, 1)]
            with drain(there, count=50_000) as seen:
                generate(here, count=50_000, follow=seen, target=text(1), source=text(2)).wait(30)
                assert seen.wait(30)["lost"] == 0
            assert {one.port for one in other.table if one.address == mac(2).hex(":")} == {"uplink"}
