"""Paths of bess sockets: a port removes its own alone, and takes none that another process holds.

switch:  a port that listens at a path        guest:  a port that binds a path of its own, and connects to a listener
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import vecnet
from tests.datapath.wires import frame, receive
from vecnet.datapath.port import Port
from vecnet.errors import PortClosed, PortError

KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "sequenced": socket.SOCK_SEQPACKET}
ROLES = ["switch", "guest"]
every_role = pytest.mark.parametrize("role", ROLES)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "listener"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
        one.bind(str(path))
        one.listen()
        yield path


@contextmanager
def bound(role: str, path: Path | str, listener: Path) -> Iterator[Port]:
    """A port that binds this path, and is closed after the block."""
    string = f"vec0:transport=bess,dst={path}" if role == "switch" else f"vec0:transport=bess,dst={listener},src={path}"
    with vecnet.open_port(string, role="switch" if role == "switch" else "guest") as port:
        yield port


@every_role
def test_its_own_path_is_removed(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener):
        assert path.is_socket()
    assert sorted(tmp_path.iterdir()) == [listener]


@every_role
def test_it_can_be_taken_away_before_and_what_took_its_place_stays(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener) as port:
        port.withdraw()
        assert not path.exists()
        path.write_text("precious")
        port.withdraw()
    assert path.read_text() == "precious"
    with pytest.raises(PortClosed):
        port.withdraw()


@every_role
def test_of_what_took_its_place_nothing_is_taken_away(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener) as port:
        path.unlink()
        path.write_text("precious")
        port.withdraw()
        assert path.read_text() == "precious"


def test_what_is_connected_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound("switch", path, path) as switch, vecnet.open_port(f"vec0:transport=bess,dst={path}") as guest:
        switch.withdraw()
        for one, other in ((guest, switch), (switch, guest)):
            one.send(frame(1))
            assert receive(other, 1) == [frame(1)]


@every_role
def test_a_file_that_was_put_there_meanwhile_stays(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener):
        path.unlink()
        path.write_text("somebody's")
    assert path.read_text() == "somebody's"


@every_role
def test_a_link_that_was_put_there_meanwhile_stays(role: str, listener: Path, tmp_path: Path) -> None:
    path, moved = tmp_path / "own", tmp_path / "moved"
    with bound(role, path, listener):
        path.rename(moved)
        path.symlink_to(moved)
    assert path.is_symlink()
    assert moved.is_socket()


@every_role
def test_a_socket_of_somebody_else_s_that_took_the_place_stays(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener):
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(str(path))
    assert path.is_socket()


@every_role
def test_of_two_ports_at_one_path_each_removes_its_own(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener) as first:
        path.unlink()
        with bound(role, path, listener):
            first.close()
            assert path.is_socket()
        assert not path.exists()


@every_role
def test_a_folder_that_was_exchanged_for_a_link_leads_to_no_file(role: str, listener: Path, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(elsewhere / "own"))
        with bound(role, folder / "own", listener):
            folder.rename(tmp_path / "moved")
            folder.symlink_to(elsewhere)
        assert (elsewhere / "own").is_socket()
    assert not (tmp_path / "moved/own").exists()


@every_role
def test_a_relative_path_is_removed_where_it_was_made(
    role: str, listener: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    (there / "own").write_text("somebody's")
    monkeypatch.chdir(here)
    with bound(role, "own", listener):
        monkeypatch.chdir(there)
    assert (there / "own").read_text() == "somebody's"
    assert not list(here.iterdir())


@every_role
def test_a_fork_s_copy_removes_nothing(role: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with bound(role, path, listener) as port:
        child = os.fork()
        if not child:
            port.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert path.is_socket()
    assert not path.exists()


@every_role
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("listens", [True, False])
def test_the_path_of_a_socket_that_lives_is_not_taken(
    role: str, kind: str, listens: bool, listener: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own"
    with socket.socket(socket.AF_UNIX, KINDS[kind]) as other:
        other.bind(str(path))
        if listens and kind != "datagram":
            other.listen()
        before = path.stat()
        with pytest.raises(PortError, match="in use"), bound(role, path, listener):
            pass
        now = path.stat()
        assert (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino)
        if listens or kind == "datagram":  # and it was not disturbed: nobody connected, nothing came
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.recv(1) if kind == "datagram" else other.accept()


def test_the_path_of_a_guest_that_is_connected_is_not_taken(listener: Path, tmp_path: Path) -> None:
    with bound("guest", tmp_path / "own", listener):
        for role in ROLES:
            with pytest.raises(PortError, match="in use"), bound(role, tmp_path / "own", listener):
                pass
        assert (tmp_path / "own").is_socket()


def test_a_live_socket_in_another_network_namespace_counts_too(listener: Path, tmp_path: Path) -> None:
    from tests.host.network import private_network

    path = tmp_path / "own"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(path))
        with private_network(), pytest.raises(PortError, match="in use"), bound("switch", path, listener):
            pass
    assert path.is_socket()


@every_role
@pytest.mark.parametrize("kind", KINDS)
def test_the_path_of_a_socket_that_is_gone_is_taken(role: str, kind: str, listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "own"
    with socket.socket(socket.AF_UNIX, KINDS[kind]) as other:
        other.bind(str(path))
    with bound(role, path, listener) as port:
        if role == "switch":
            with vecnet.open_port(f"vec0:transport=bess,dst={path}") as guest:
                guest.send(frame(1))
                assert receive(port, 1) == [frame(1)]
    assert not path.exists()


@every_role
@pytest.mark.parametrize("what", ["file", "folder", "link to nothing", "link to a socket that is gone", "fifo"])
def test_what_is_no_socket_is_never_taken(role: str, what: str, listener: Path, tmp_path: Path) -> None:
    path, gone = tmp_path / "own", tmp_path / "gone"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(gone))
    if what == "file":
        path.write_text("somebody's")
    elif what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(gone if "socket" in what else tmp_path / "nothing")
    before = path.lstat()
    with pytest.raises(PortError, match="in use"), bound(role, path, listener):
        pass
    after = path.lstat()  # when it was last read may differ: a link is followed
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
