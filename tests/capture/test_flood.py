"""A capture at a served switch's port under as many frames as the machine moves: the traffic loses none, and what the
capture loses is told to the frame.

web ══ lan:web ── served switch lan ── lan:db ══ db        vecnet capture FILE lan:web

By bess each frame is a packet of its own; by l2tpv3 over UDP a call takes a train of them, so many more pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.serving.test_serve import LAB, folder, guest, serving
from vecnet import load, open_port
from vecnet.datapath.loops import drain, generate
from vecnet.datapath.port import Port

__all__ = ["folder"]  # a fixture

Guests = Callable[[Path, Path], AbstractContextManager[tuple[Port, Port]]]

COUNT = 1_000_000
WEB, DB = "02:00:00:00:00:01", "02:00:00:00:00:02"
OVER_UDP = """
name: lab
switches: {lan: }
links:
  - {transport: l2tpv3, endpoints: {web:vec0: {local: 127.0.0.1}, lan:web: {local: 127.0.0.2}}}
  - {transport: l2tpv3, endpoints: {db:vec0: {local: 127.0.0.3}, lan:db: {local: 127.0.0.4}}}
"""


@contextmanager
def by_bess(file: Path, folder: Path) -> Iterator[tuple[Port, Port]]:
    with guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        yield web, db


@contextmanager
def over_udp(file: Path, folder: Path) -> Iterator[tuple[Port, Port]]:
    lab = load(file)
    with open_port(lab.devices("web")[0]) as web, open_port(lab.devices("db")[0]) as db:
        yield web, db


@pytest.mark.long
@pytest.mark.parametrize(("text", "guests"), [(LAB, by_bess), (OVER_UDP, over_udp)])
def test_the_traffic_waits_for_no_capture(folder: Path, tmp_path: Path, text: str, guests: Guests) -> None:
    file = folder.parents[1] / "lab.yaml"
    file.write_text(text)
    with serving(file) as server, guests(file, folder) as (web, db):
        db.send(bytes.fromhex("ffffffffffff020000000002" + "88b5") + bytes(46))  # so that it is known
        assert web.recv(5)
        bare = moved(server.pid, web, db)
        capturing = subprocess.Popen(
            [sys.executable, "-m", "vecnet", "capture", str(file), "lan:web", "-w", str(tmp_path / "flood.pcapng")],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert capturing.stderr
        with capturing.stderr:
            assert "capturing" in capturing.stderr.readline()
            captured = moved(server.pid, web, db)
            capturing.terminate()
            told = capturing.stderr.readline()
        assert capturing.wait(60) == 0
    kept, lost = (int(words.split()[0]) for words in told.split(","))
    assert kept + lost == COUNT
    assert kept > 0
    print(f"without a capture {bare}, with one {captured}, which loses {lost / COUNT:.1%}")


def moved(server: int, web: Port, db: Port) -> str:
    """What it takes to move all from the one to the other; none is lost, none changed."""
    began, used = time.monotonic(), processor(server)
    with (
        drain(db, count=COUNT) as seen,
        generate(web, count=COUNT, follow=seen, window=4096, target=DB, source=WEB) as sent,
    ):
        sent.wait(200)
        stats = seen.wait(200)
    assert stats["frames"] == COUNT
    assert not stats["lost"] + stats["doubled"] + stats["reordered"] + stats["changed"]
    rate, cost = COUNT / (time.monotonic() - began), (processor(server) - used) / COUNT
    return f"{rate / 1e6:.2f} million frames a second, {1e9 * cost:.0f} ns of the server's processor time a frame"


def processor(process: int) -> float:
    """The seconds of processor time that it has used: proc(5), stat."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
