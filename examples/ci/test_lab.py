"""What our lab's network must do. Each test has the topology up in a network of its own, and needs no root."""

import subprocess

import pytest

pytestmark = pytest.mark.vecnet("lab.yaml")

WEB, DB = bytes.fromhex("020000000001"), bytes.fromhex("020000000004")


def frame(to: bytes, source: bytes, payload: bytes) -> bytes:
    return to + source + b"\x88\xb5" + payload.ljust(46, b"\0")


def wait_for(port, wanted: bytes) -> bool:
    """Whether a frame comes; what the host's stack says by itself passes by."""
    while frames := port.recv(timeout=2.0):
        if wanted in frames:
            return True
    return False


def test_the_private_wire_carries_frames(vecnet_ports):
    web, db = vecnet_ports["web:vec1"], vecnet_ports["db:vec1"]
    hello = frame(DB, WEB, b"hello")
    web.send(hello)
    assert wait_for(db, hello)
    assert db.stats["rx_drop_key"] == 0


def test_the_bridge_joins_both_guests(vecnet_ports):
    web, db = vecnet_ports["web:vec0"], vecnet_ports["db:vec0"]
    everyone = frame(b"\xff" * 6, WEB, b"who is there?")
    for _ in range(20):  # a bridge's new member is not heard at once
        web.send(everyone)
        if everyone in db.recv(timeout=0.2):
            return
    pytest.fail("the broadcast did not cross the bridge")


@pytest.mark.usefixtures("vecnet_topology")
def test_the_host_has_its_bridge():
    shown = subprocess.run(["ip", "-br", "addr", "show", "lan"], capture_output=True, text=True, check=True)
    assert "10.0.0.1/24" in shown.stdout
