"""bess and fd: bare frames on Unix sockets.

bess:  port ── dst ── a listening socket of the test; or the port listens, and the test's socket connects
fd:    port ── one half of a socket pair
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
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


def test_bess_says_what_is_missing(listener: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(ListenerMissing, match=r"nobody listens at .*/none"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/none")
    listener.close()
    with pytest.raises(ListenerMissing, match="start the switch first"):
        vecnet.open_port(f"vec0:transport=bess,dst={tmp_path}/switch")
    with pytest.raises(PortError, match="only bess has"):
        vecnet.open_port("vec0:transport=fd,fd=0", role="switch")


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
