"""An exported script makes the kernel's tunnels as `up` makes them, and so does networkd."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.programs import as_wanted, exported, networkd, script
from tests.host.network import ip, names, private_network
from tests.need import need_command, need_root
from vecnet.topology import Topology, loads

pytestmark = pytest.mark.kernel
TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def lab(*stems: str) -> list[Topology]:
    texts = [(TOPOLOGIES / f"{stem}.yaml").read_text() for stem in stems]
    return [loads(text, underlay=lambda *_: 1500) for text in texts]


def test_iproute2() -> None:
    need_root()
    need_command("ip", "ethtool")
    for wanted in lab("gretap", "ip6gretap", "l2tpv3-ip", "l2tpv3-udp"):
        with private_network():
            ip("link", "set", "lo", "up")
            (text,) = exported(wanted, "iproute2").values()
            assert not script(text, "up")
            as_wanted(wanted)
            assert not script(text, "down")
            assert not names() - {"gre0", "gretap0", "erspan0", "ip6gre0", "ip6tnl0"}
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
