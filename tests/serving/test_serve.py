"""vecnet serve, the real command: ready, reload, status, the end, and what is left after it was killed.

a guest ── lan:web ══ the switch lan ══ lan:db ── another
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import environment, refused, vecnet
from tests.datapath.wires import receive, wait_for
from tests.host.network import private_network
from tests.need import need_command, need_root
from tests.serving.frames import answer_to_arp
from tests.serving.frames import guest as connected
from vecnet import open_port as vecnet_open
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port
from vecnet.kernel import unix_sockets
from vecnet.serving.control import server, states

LAB = """
name: lab
switches: {lan: }
links:
  - {transport: bess, endpoints: [web:vec0, lan:web]}
  - {transport: bess, endpoints: [db:vec0, lan:db]}
"""
THIRD = LAB + "  - {transport: bess, endpoints: [app:vec0, lan:app]}\n"
WITHOUT_DB = LAB.replace("  - {transport: bess, endpoints: [db:vec0, lan:db]}\n", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sockets of `lab` lie."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "lab.yaml").write_text(LAB)
    return tmp_path / "vecnet" / "lab"


@contextmanager
def serving(file: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`vecnet serve`, once it has said that it is ready. Afterwards it is ended by SIGTERM, unless it has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vecnet", "serve", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )
    assert process.stdout
    assert process.stderr
    with process.stdout, process.stderr:
        line = process.stdout.readline()
        assert line.startswith("lab is served by process"), process.stderr.read()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            assert process.wait(20) is not None


@contextmanager
def guest(path: str) -> Iterator[Port]:
    """A guest that comes in at a door of `lab`, once it is let in: what is sent before that is not for it."""
    with connected(path) as port:
        name = Path(path).name
        wait_for(lambda: any(f"{one.switch}:{one.port}" == name and one.connected for one in states("lab")))
        yield port


def said(process: subprocess.Popen[str]) -> str:
    """The next line of what is for people."""
    assert process.stderr
    return process.stderr.readline()


def test_two_guests_meet_and_nothing_is_left(folder: Path) -> None:
    with serving(folder.parents[1] / "lab.yaml") as process:
        with guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
            web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
            assert len(receive(db, 1)) == 1
        process.terminate()
        assert process.wait(20) == 0
        assert said(process) == ""
    assert not folder.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well(folder: Path, number: int) -> None:
    with serving(folder.parents[1] / "lab.yaml") as process:
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not folder.parent.exists()


def test_a_reload_adds_and_removes_ports_and_those_that_stay_lose_nothing(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    file.write_text(THIRD)
    with serving(file) as process, guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:app") as app:
        with guest(f"{folder}/lan:db") as db:
            db.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))  # so that its address is known
            assert len(receive(web, 1)) == len(receive(app, 1)) == 1
        with drain(app) as seen, generate(web, rate=20_000, follow=seen, window=64) as sent:
            for text in (WITHOUT_DB + THIRD[len(LAB) :], THIRD):
                before = seen.stats["frames"]
                wait_for(lambda before=before: seen.stats["frames"] > before + 500)  # type: ignore[misc]
                file.write_text(text)
                process.send_signal(signal.SIGHUP)
                assert said(process) == "lab is read again\n"
                assert (folder / "lan:db").exists() == ("db" in text)
            sent.stop()
            total = sent.wait(20)["frames"]
            wait_for(lambda: seen.stats["frames"] == total)
        assert seen.stats["lost"] == seen.stats["changed"] == seen.stats["reordered"] == 0
        with guest(f"{folder}/lan:db") as db:
            app.send(b"\xff" * 6 + b"\x02\0\0\0\0\3\x88\xb5" + bytes(46))
            assert len(receive(db, 1)) == 1


def test_a_reload_of_a_broken_file_is_told_and_changes_nothing(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    with serving(file) as process, guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        file.write_text(LAB.replace("lan:web", "lan:vec1"))
        process.send_signal(signal.SIGHUP)
        assert "lab.yaml:5:" in said(process)
        file.write_text(LAB.replace("name: lab", "name: other"))
        process.send_signal(signal.SIGHUP)
        assert said(process) == "it is named other now; stop this one, which serves lab\n"
        web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
        assert len(receive(db, 1)) == 1


def test_the_service_manager_is_told(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        with serving(tmp_path / "lab.yaml", NOTIFY_SOCKET=str(path)) as process:
            ready = manager.recv(4096).decode().splitlines()
            assert "READY=1" in ready
            assert f"MAINPID={process.pid}" in ready
            process.send_signal(signal.SIGHUP)
            assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(4096) == b"READY=1"
            process.terminate()
            assert manager.recv(4096) == b"STOPPING=1"


def test_status_shows_the_ports_and_their_counters(folder: Path) -> None:
    with serving(folder.parents[1] / "lab.yaml"), guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        for _ in range(3):
            web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
        assert len(receive(db, 3)) == 3
        done = vecnet("status", "lab", env={"COLUMNS": "200"})
        assert done.returncode == 0, done.stderr
        rows = {tuple(line.split()[1:4]): line.split()[4:] for line in done.stdout.splitlines()}
        assert rows["lan", "web", "web:vec0"] == ["1", "3", "0", "3", "0", "connected"]
        assert rows["lan", "db", "db:vec0"][:3] == ["0", "0", "3"]
        found = {entry["port"]: entry for entry in json.loads(vecnet("status", "lab", "--json").stdout)}
        assert found["web"]["counters"]["rx_frames"] == 3
        assert found["web"]["healthy"]
        db.close()  # a guest that leaves is no fault of its port's
        wait_for(lambda: not any(one.connected for one in states("lab") if one.port == "db"))
        assert all(one.healthy for one in states("lab"))
    assert vecnet("status", "lab").returncode == 1


def test_one_server_at_a_time(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    with serving(file) as process:
        done = vecnet("serve", file)
        assert done.returncode == 1
        assert done.stderr == (
            f"error: lab is served already, by process {process.pid}; stop it, or let it read the file again: "
            f"kill -HUP {process.pid}\n"
        )
        with guest(f"{folder}/lan:web"):
            pass


def test_it_starts_after_one_that_was_killed(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    with serving(file) as process:
        process.kill()
        process.wait()
    assert folder.exists()
    with serving(file), guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
        assert len(receive(db, 1)) == 1
    assert not folder.parent.exists()


def test_down_removes_what_one_that_was_killed_has_left(folder: Path) -> None:
    need_root()
    file = folder.parents[1] / "lab.yaml"
    with private_network(), serving(file) as process:
        assert vecnet("down", file).returncode == 0
        assert {path.name for path in folder.iterdir()} == {"control", "lan:web", "lan:db"}  # it is served
        process.kill()
        process.wait()
        (folder.parent / "other").mkdir()
        done = vecnet("down", file)
    assert done.returncode == 0
    assert "lab: sockets of a server that was killed are removed" in done.stderr
    assert [path.name for path in folder.parent.iterdir()] == ["other"]


@pytest.mark.parametrize(
    "question",
    [
        *(b"[" * 4000, b"\xff", b"{}", b"[]", b'"do"', b'{"do": "impair"}', b'{"do": "join", "mtu": 1500}', b""),
        *(b'{"do": "join", "switch": "lan", "mtu": %s}' % mtu for mtu in (b"Infinity", b"1e400", b'"1"', b"null")),
    ],
)
def test_a_question_that_makes_no_sense_ends_nothing(folder: Path, question: bytes) -> None:
    with serving(folder.parents[1] / "lab.yaml"):
        with unix_sockets.connected(f"{folder}/control", socket.SOCK_STREAM) as asking:
            socket.send_fds(asking, [question], [asking.fileno()])
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(100) == b""
        assert len(states("lab")) == 2


def test_many_share_one_program_that_takes_one_connection(folder: Path) -> None:
    need_command("slirp4netns")
    file = folder.parents[1] / "lab.yaml"
    file.write_text(LAB + "  - {transport: bess, endpoints: [lan:out, outside:slirp4netns]}\n")
    with serving(file), guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        found = {answer_to_arp(web, "10.0.2.2", "10.0.2.15"), answer_to_arp(db, "10.0.2.2", "10.0.2.16")}
        assert len(found) == 1
        assert None not in found


def test_isolated_ports_reach_others_alone(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    file.write_text(
        THIRD.replace("[web:vec0, lan:web]", "{web:vec0: , lan:web: {isolated: on}}").replace(
            "[db:vec0, lan:db]", "{db:vec0: , lan:db: {isolated: on}}"
        )
    )
    with (
        serving(file),
        guest(f"{folder}/lan:web") as web,
        guest(f"{folder}/lan:db") as db,
        guest(f"{folder}/lan:app") as app,
    ):
        web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
        assert len(receive(app, 1)) == 1
        assert db.recv(0.05) == []


def test_switch_to_switch(folder: Path) -> None:
    """By a socket, and over UDP: two switches, three hosts."""
    file = folder.parents[1] / "lab.yaml"
    file.write_text(
        LAB.replace("{lan: }", "{lan: , far: , farther: }")
        + """
  - {transport: bess, endpoints: [lan:far, far:lan]}
  - {transport: l2tpv3, endpoints: {far:on: {local: 127.0.0.1}, farther:back: {local: 127.0.0.2}}}
  - {transport: bess, endpoints: [app:vec0, farther:app]}
"""
    )
    with serving(file), guest(f"{folder}/lan:web") as web, guest(f"{folder}/farther:app") as app:
        web.send(b"\xff" * 6 + b"\x02\0\0\0\0\1\x88\xb5" + bytes(46))
        assert len(receive(app, 1)) == 1
        app.send(b"\x02\0\0\0\0\1" + b"\x02\0\0\0\0\2\x88\xb5" + bytes(46))
        assert len(receive(web, 1)) == 1


def test_nothing_to_serve_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "tap.yaml"
    file.write_text("links: [{transport: tap, endpoints: [web:vec0, host:tap0]}]\n")
    assert "has no switch and no program outside" in refused("serve", file)


def test_what_cannot_be_opened_is_told_all_at_once(folder: Path) -> None:
    file = folder.parents[1] / "lab.yaml"
    file.write_text(
        LAB + "  - {transport: tap, endpoints: [lan:host, host:no-such-tap]}\n"
        "  - {transport: raw, endpoints: [lan:other, host:no-such-if]}\n"
    )
    done = vecnet("serve", file)
    assert done.returncode == 1
    assert "lan:host--host:no-such-tap: " in done.stderr
    assert "lan:other--host:no-such-if: " in done.stderr
    assert not folder.parent.exists()


def test_a_monitor_gets_a_copy_of_what_passes(folder: Path) -> None:
    """Two guests speak to each other, and a tap of the host's sees it, which is in nothing else."""
    need_root()
    file = folder.parents[1] / "lab.yaml"
    file.write_text(LAB + "  - {transport: tap, endpoints: {lan:see: {mirror: all}, host:tap-see: }}\n")
    with private_network():
        assert vecnet("up", file).returncode == 0
        with (
            serving(file),
            vecnet_open("vec0:transport=raw,ifname=tap-see") as seen,
            guest(f"{folder}/lan:web") as web,
            guest(f"{folder}/lan:db") as db,
        ):
            for sender, to, own in ((web, 2, 1), (db, 1, 2), (web, 2, 1)):
                sender.send(b"\x02\0\0\0\0" + bytes([to]) + b"\x02\0\0\0\0" + bytes([own]) + b"\x88\xb5" + bytes(46))
            copies = [frame for frame in receive(seen, 3) if frame[12:14] == b"\x88\xb5"]
            assert len(copies) == 3
        file.write_text(LAB)


FOREIGN = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.setresuid(65534, 65534, 65534)
server.listen()
print("listens", flush=True)
asking, _ = server.accept()
asking.recv(4096)
asking.sendall(b'{"pid": 1, "ports": []}')
asking.close()
sys.stdin.read()
"""


def test_another_user_who_answers_in_the_folders_place_serves_nothing(folder: Path) -> None:
    """`run` would not serve, and the guests would join that user's switch."""
    need_root()
    folder.mkdir(parents=True)
    words = [sys.executable, "-c", FOREIGN, str(folder / "control")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as foreign:
        assert foreign.stdout
        assert foreign.stdout.readline() == "listens\n"
        assert server("lab") is None
        foreign.kill()


def test_a_switch_that_takes_nobody_is_not_waited_for_without_end(tmp_path: Path) -> None:
    path = str(tmp_path / "door")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(0)
        with unix_sockets.connected(path):  # waits to be accepted
            with pytest.raises(BlockingIOError):
                unix_sockets.connected(path, timeout=0.2)
            threading.Timer(0.2, lambda: listener.accept()[0].close()).start()
            unix_sockets.connected(path).close()  # nor given up at once
