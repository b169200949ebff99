"""An exported script makes the kernel's tunnels as `up` makes them, and so does networkd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.programs import as_wanted, exported, networkd, script
from tests.host.network import ip, private_network
from tests.need import need_command, need_root
from vecnet import host
from vecnet.topology import loads

pytestmark = pytest.mark.kernel
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
REST = ("ip6gretap", "l2tpv3-ip")


@pytest.mark.parametrize("stem", ["gretap", "l2tpv3-udp", *(pytest.param(one, marks=pytest.mark.long) for one in REST)])
def test_iproute2(stem: str) -> None:
    need_root()
    need_command("ip", "ethtool")
    wanted = loads((TOPOLOGIES / f"{stem}.yaml").read_text(), underlay=lambda *_: 1500)
    (text,) = exported(wanted, "iproute2").values()
    with private_network():
        ip("link", "set", "lo", "up")
        assert not script(text, "up")
        as_wanted(wanted)
        assert not script(text, "down")
        assert not host.status(wanted.name)
        assert not ip("l2tp", "show", "tunnel")


@pytest.mark.long
@pytest.mark.parametrize("stem", ["gretap", "ip6gretap", "l2tpv3-ip"])
def test_networkd(stem: str) -> None:
    need_root()
    text = (TOPOLOGIES / f"{stem}.yaml").read_text().replace("    sequence: on\n", "")  # which networkd lacks
    wanted = loads(text, underlay=lambda *_: 1500)
    with private_network():
        ip("link", "set", "lo", "up")
        with networkd(exported(wanted, "networkd"), 2):
            as_wanted(wanted)
