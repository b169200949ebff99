"""Whose a tap is: stated, or the user's that called sudo, since newer hosts keep one that is nobody's to root."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.network import ip, private_network, topology
from tests.host.test_up_down import opened
from tests.need import need_root
from tests.test_launch import vecnet
from vecnet import host
from vecnet.host.kinds.tap import IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, TUNSETIFF

NAME = "lab"
UNSTATED = "links: [{transport: tap, endpoints: {a:vec0: {}, host:t0: {}}}]"
STATED = UNSTATED.replace("t0: {}", 't0: {owner: "1001"}')
GROUPED = UNSTATED.replace("t0: {}", 't0: {group: "1001"}')


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    need_root()
    with private_network():
        yield


def owner() -> int | None:
    (entry,) = json.loads(ip("-j", "-d", "link", "show", "t0"))
    found = entry["linkinfo"]["info_data"].get("user")
    return pwd.getpwnam(found).pw_uid if isinstance(found, str) else found


def by_sudo(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("SUDO_UID", number)


def test_an_unstated_owner_is_who_called_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    by_sudo(monkeypatch, "1234")
    assert "caller 1234" in host.plan(topology(UNSTATED)).describe()
    host.up(topology(UNSTATED))
    assert owner() == 1234
    assert [one.owner for one in host.status(NAME)] == [1234]
    assert [entry["owner"] for entry in json.loads(vecnet("status", NAME, "--json").stdout)] == [1234]


@pytest.mark.parametrize("number", ["", "0", "x", "-1", "4294967295", "9" * 5000, "١"])
def test_no_caller_is_nobody(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    by_sudo(monkeypatch, number)
    host.up(topology(UNSTATED))
    assert owner() is None
    assert [one.owner for one in host.status(NAME)] == [None]


@pytest.mark.parametrize(("lab", "belongs"), [(STATED, 1001), (GROUPED, None)], ids=["owner", "group"])
def test_what_is_stated_holds(monkeypatch: pytest.MonkeyPatch, lab: str, belongs: int | None) -> None:
    by_sudo(monkeypatch, "1234")
    host.up(topology(lab))
    assert owner() == belongs
    assert host.plan(topology(lab)).steps == ()


def test_an_unstated_owner_stays_whoever_calls_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no guest of the first one's loses its tap."""
    by_sudo(monkeypatch, "1234")
    host.up(topology(UNSTATED))
    for number in ("1235", ""):
        by_sudo(monkeypatch, number)
        with opened("t0"):
            assert host.up(topology(UNSTATED)).steps == ()
        assert host.plan(topology(UNSTATED)).steps == ()
    assert owner() == 1234


def test_plan_sees_another_owner_than_the_stated_one() -> None:
    host.up(topology(UNSTATED))
    assert "owner nobody's → 1001" in host.plan(topology(STATED)).describe()
    host.up(topology(STATED))
    assert owner() == 1001


def test_who_called_sudo_may_open_the_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    by_sudo(monkeypatch, "1234")
    host.up(topology(UNSTATED))
    for number, may in ((1234, True), (1235, False)):
        with Path("/dev/net/tun").open("r+b", buffering=0) as tap:  # of whatever permissions
            if not (child := os.fork()):
                try:
                    os.setuid(number)
                    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"t0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
                    os._exit(0)
                finally:
                    os._exit(1)
            assert (os.waitpid(child, 0)[1] == 0) is may
