"""bess and fd: bare frames on Unix sockets.

bess:  port ── dst ── a listening socket of the test; or the port listens, and the test's socket connects
fd:    port ── one half of a socket pair
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import vecnet
from tests.datapath.wires import frame, nothing_more, receive
from vecnet.errors import ListenerMissing, PermissionMissing, PortError


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind(str(tmp_path / "switch"))
        one.listen()
        one.settimeout(5)
        yield one


def test_bess_binds_connects_and_moves_frames(listener: socket.socket, tmp_path: Path) -> None:
    own = tmp_path / "guest"
    with vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch,src={own}") as port:
        switch, address = listener.accept()
        with switch:
            assert address == str(own)
            assert port.send([frame(1), frame(2, 1514)]) == 2
            assert [switch.recv(2000), switch.recv(2000)] == [frame(1), frame(2, 1514)]
            for n in range(10):
                switch.send(frame(n))
            assert receive(port, 10) == [frame(n) for n in range(10)]
            nothing_more(port)
        with pytest.raises(ListenerMissing, match="closed the connection"):
            port.recv(1)
        with pytest.raises(ListenerMissing):
            port.send(frame(1))
    assert not own.exists()


def test_bess_takes_the_place_of_a_socket_that_nobody_uses(listener: socket.socket, tmp_path: Path) -> None:
    own = tmp_path / "guest"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left_over:
        left_over.bind(str(own))
    with vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch,src={own}") as port:
        assert port.send(frame(1)) == 1
    own.write_text("a file of somebody's")
    with pytest.raises(PortError, match="in use"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch,src={own}")
    assert own.read_text() == "a file of somebody's"


def test_bess_as_the_switch_serves_one_guest_after_another(tmp_path: Path) -> None:
    path = tmp_path / "switch"
    with vecnet.open_port(f"vec0:transport=bess,dst={path}", role="switch") as port:
        assert port.recv(0) == []
        assert port.send(frame(0), timeout=0) == 0
        for turn in range(3):
            with vecnet.open_port(f"vec0:transport=bess,dst={path}") as guest:
                assert select.select([port], [], [], 5)[0] == [port]
                assert guest.send([frame(turn), frame(turn + 10)]) == 2
                assert receive(port, 2) == [frame(turn), frame(turn + 10)]
                assert port.send(frame(turn + 20), timeout=5) == 1
                assert receive(guest, 1) == [frame(turn + 20)]
            nothing_more(port)
    assert not path.exists()


def test_a_switch_that_only_sends_goes_on_with_the_next_guest(tmp_path: Path) -> None:
    device = f"vec0:transport=bess,dst={tmp_path}/switch"
    with vecnet.open_port(device, role="switch") as switch:
        for turn in range(3):
            with vecnet.open_port(device) as guest:
                assert switch.send(frame(turn), timeout=5) == 1
                assert receive(guest, 1) == [frame(turn)]


def test_a_guest_is_served_by_both_threads_that_wait_for_it(tmp_path: Path) -> None:
    """One of them accepts the connection, and the other must not go on waiting for another one."""
    device = f"vec0:transport=bess,dst={tmp_path}/switch"
    with ThreadPoolExecutor(2) as threads:
        for turn in range(100):
            with vecnet.open_port(device, role="switch") as switch:
                received, sent = threads.submit(switch.recv, 20), threads.submit(switch.send, frame(turn), 20)
                time.sleep(0.002)
                with vecnet.open_port(device) as guest:
                    assert receive(guest, 1) == [frame(turn)]
                    assert guest.send(frame(turn)) == 1
                    assert sent.result() == 1
                    assert received.result(5) == [frame(turn)]


def test_what_a_guest_sent_before_it_left_is_received(tmp_path: Path) -> None:
    """Even where it left without receiving everything, which the kernel tells first: ECONNRESET."""
    device = f"vec0:transport=bess,dst={tmp_path}/switch"
    with vecnet.open_port(device, role="switch") as switch:
        with vecnet.open_port(device) as guest:
            assert switch.send([frame(1), frame(2)], timeout=5) == 2
            assert guest.send([frame(3), frame(4)]) == 2
        assert switch.send(frame(5), timeout=0.1) == 0  # nobody is there
        assert receive(switch, 2) == [frame(3), frame(4)]
        nothing_more(switch)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port:
        assert port.send(frame(1)) == 1
        far.send(frame(2))
        far.close()
        assert receive(port, 1) == [frame(2)]
        with pytest.raises(ListenerMissing):
            port.recv(1)


@pytest.mark.parametrize("options", ["", ",vec=0"])
def test_an_empty_packet_is_no_farewell(options: str) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}{options}") as port:
        for one in (b"", frame(1), b"", frame(2), b""):
            far.send(one)
        assert receive(port, 2) == [frame(1), frame(2)]
        nothing_more(port)
        assert port.stats["rx_drop_short"] == 3
        far.send(frame(3))
        far.close()
        assert receive(port, 1) == [frame(3)]
        with pytest.raises(ListenerMissing):
            port.recv(1)


def test_bess_says_what_is_missing(listener: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(ListenerMissing, match=r"nobody listens at .*/none"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/none")
    listener.close()
    with pytest.raises(ListenerMissing, match="start the switch first"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch")
    with pytest.raises(PortError, match="mkdir"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/none/switch", role="switch")
    with pytest.raises(PortError, match="only bess has"):
        vecnet.open_port("vec0:transport=fd,fd=0", role="switch")


def test_a_switch_that_does_not_accept_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as busy:
        busy.bind(str(tmp_path / "switch"))
        busy.listen(0)
        began = time.monotonic()
        first = vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch")
        with first, pytest.raises(ListenerMissing, match="accepts nobody"):
            vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch")
        assert time.monotonic() - began < 5


KINDS = {"datagram": socket.SOCK_DGRAM, "sequenced": socket.SOCK_SEQPACKET}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", ["", ",vec=0", ",depth=3"])
def test_fd_moves_frames_and_leaves_the_caller_s_descriptor_open(kind: str, options: str) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, KINDS[kind])
    with near, far:
        far.settimeout(5)
        with vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}{options}") as port:
            assert port.send([frame(1), frame(2, 9000)]) == 2
            assert [far.recv(9999), far.recv(9999)] == [frame(1), frame(2, 9000)]
            for n in range(5):
                far.send(frame(n, 60 + n))
            assert receive(port, 5) == [frame(n, 60 + n) for n in range(5)]
            nothing_more(port)
        far.send(frame(6))
        assert near.recv(2000) == frame(6)


def test_a_full_queue_stops_the_sender_and_is_counted() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far, vecnet.open_port(f"vec0:transport=fd,fd={near.fileno()}") as port:
        frames = [frame(n, 1514) for n in range(10000)]
        taken = port.send(frames, timeout=0.05)
        assert 0 < taken < 10000
        assert port.send(frames[taken:], timeout=0) == 0
        assert port.stats["tx_flow_control_xoff"] == 1
        assert [far.recv(2000) for _ in range(taken)] == frames[:taken]
        assert port.send(frames[taken:], timeout=0) > 0
        assert port.stats["tx_flow_control_xon"] == 1


def test_fd_that_is_not_open_says_so() -> None:
    read_end, write_end = os.pipe()
    with pytest.raises(PortError, match="descriptor 999 is not open"):
        vecnet.open_port("vec0:transport=fd,fd=999")
    with pytest.raises(PortError, match="for reading and writing"):
        vecnet.open_port(f"vec0:transport=fd,fd={read_end}")
    os.close(read_end)
    os.close(write_end)


def test_a_socket_without_permission_says_so(listener: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "switch").chmod(0)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionMissing, match=r"writable|in the way"):
            vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch")
    finally:
        os.seteuid(0)
        os.setegid(0)
