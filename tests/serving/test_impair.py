"""vecnet impair, on a port that the real `vecnet serve` serves: by the file, by hand, told by status, ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.datapath.wires import receive, wait_for
from tests.serving.test_serve import LAB, folder, guest, serving
from vecnet.cli.impair import command
from vecnet.cli.status import command as status
from vecnet.datapath.port import Port
from vecnet.errors import HostError, InputError
from vecnet.serving.control import PortState, states

__all__ = ["folder"]  # a fixture

IMPAIRED = LAB.replace("lan:web]", "lan:web], impair: loss 100%")
WEB, DB = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def impair(folder: Path, link: str, text: str) -> str:
    done = CliRunner().invoke(command, [str(file(folder)), link, text], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stderr


def file(folder: Path) -> Path:
    return folder.parents[1] / "lab.yaml"


def state(port: str) -> PortState:
    (found,) = (one for one in states("lab") if one.port == port)
    return found


def passes(web: Port, db: Port) -> bool:
    """Whether a frame for web comes out of its port."""
    db.send(WEB + DB + b"\x88\xb5" + bytes(50))
    return bool(web.recv(0.3))


def test_by_the_file_and_by_hand(folder: Path) -> None:
    file(folder).write_text(IMPAIRED)
    with serving(file(folder)) as process, guest(f"{folder}/lan:web") as web, guest(f"{folder}/lan:db") as db:
        web.send(DB + WEB + b"\x88\xb5" + bytes(50))
        assert receive(db, 1)  # what comes in at the port is left alone
        assert not passes(web, db)
        assert state("web").counters["drop_impaired"] == 1
        assert state("web").drops == 1
        assert (state("web").impairment, state("db").impairment) == ("loss 100% seed 1", "")
        assert impair(folder, "web:vec0--lan:web", "off") == "web:vec0--lan:web: lan:web impairs nothing\n"
        assert passes(web, db)
        assert impair(folder, "lan:web", "delay 20ms") == "web:vec0--lan:web: lan:web impairs: delay 20ms seed 1\n"
        assert passes(web, db)
        told = CliRunner().invoke(status, ["lab"]).stdout
        assert "connected impaired: delay 20ms seed 1" in told
        process.send_signal(signal.SIGHUP)  # the file says what it said: what was done by hand stays
        assert process.stderr
        assert process.stderr.readline() == "lab is read again\n"
        assert state("web").impairment == "delay 20ms seed 1"
        file(folder).write_text(IMPAIRED.replace("loss 100%", "loss 50%"))
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: state("web").impairment == "loss 50% seed 1")
        assert state("web").connected  # its guest has not noticed
        file(folder).write_text(LAB)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: state("web").impairment == "")
        assert passes(web, db)


def test_what_cannot_be_impaired(folder: Path) -> None:
    file(folder).write_text(LAB + "  - {transport: fd, endpoints: [app:vec0, db:vec1]}\n")
    with pytest.raises(InputError, match="neither a switch of vecnet's nor an interface at the host"):
        impair(folder, "app:vec0", "delay 10ms 2ms")
    with pytest.raises(InputError, match="'lose all' is not an impairment"):
        impair(folder, "lan:web", "lose all")
    with pytest.raises(InputError, match="lab has no link 'lan:wed'"):
        impair(folder, "lan:wed", "off")
    with pytest.raises(HostError, match="nobody serves lab to this user"):
        impair(folder, "lan:web", "off")
