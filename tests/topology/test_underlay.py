"""The underlay's MTU, asked of a real kernel in a network namespace of its own.

namespace:  under 192.0.2.1/24, fd00:2::1/64, mtu 1400 ══ veth ══ peer (no addresses)
            route to 198.51.100.0/24 through it, with an MTU of 1300 of its own
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.need import need_command, need_root

SETUP = """
set -e
ip link set lo up
ip link add under mtu 1400 type veth peer name peer mtu 1400
ip link set under up
ip link set peer up
ip address add 192.0.2.1/24 dev under
ip -6 address add fd00:2::1/64 dev under nodad
ip route add 198.51.100.0/24 via 192.0.2.2 mtu 1300
exec "$@"
"""
TOPOLOGY = """
links:
  - transport: {}
    {}
    endpoints: {{web:vec0: {{local: "{}"}}, host:t0: {{local: "{}"}}}}
"""


def inside(code: str, *arguments: str) -> object:
    """What `code` prints as JSON, run in the namespace that is drawn above."""
    need_root()
    need_command("unshare", "ip")
    command = ["unshare", "--net", "sh", "-c", SETUP, "sh", sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("local", "remote", "mtu"),
    [
        ("192.0.2.1", "192.0.2.2", 1400),
        ("fd00:2::1", "fd00:2::2", 1400),
        ("192.0.2.1", "198.51.100.1", 1300),
        ("127.0.0.1", "127.0.0.2", 65535),
        ("127.0.0.7", "127.0.0.8", 65535),  # the whole of 127/8 is local
        ("::1", "::1", 65536),
        ("192.0.2.1", "203.0.113.1", None),  # no route
        ("192.0.2.9", "192.0.2.2", None),  # not an address of this host
        ("fd00:9::1", "fd00:2::2", None),
    ],
)
def test_the_mtu_of_a_route(local: str, remote: str, mtu: int | None) -> None:
    code = (
        "import json, sys; from vecnet.topology.underlay import route_mtu; print(json.dumps(route_mtu(*sys.argv[1:])))"
    )
    assert inside(code, local, remote) == mtu


@pytest.mark.parametrize(
    ("transport", "option", "ends", "mtu"),
    [
        ("gre", "", ("192.0.2.2", "192.0.2.1"), 1400 - 38),
        ("gre", "key: on", ("192.0.2.1", "192.0.2.2"), 1400 - 42),
        ("gre", "", ("fd00:2::1", "fd00:2::2"), 1400 - 58),
        ("l2tpv3", "cookie: 64", ("192.0.2.1", "198.51.100.1"), 1300 - 58),
        ("gre", "", ("203.0.113.1", "203.0.113.2"), 1500 - 38),
        ("gre", "", ("127.0.0.1", "127.0.0.2"), 1500),
    ],
)
def test_a_link_takes_what_its_route_leaves(transport: str, option: str, ends: tuple[str, str], mtu: int) -> None:
    code = "import json, sys, vecnet.topology as t; print(json.dumps([l.mtu for l in t.loads(sys.argv[1]).links]))"
    assert inside(code, TOPOLOGY.format(transport, option, *ends)) == [mtu]
