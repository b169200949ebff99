"""A LAN over two hosts: a tunnel of their kernels joins a bridge on each, and guests on taps of these meet there.

a guest ═ tap0 ── br0 ── trunk ═ 192.0.2.1 ═══ veth ═══ 192.0.2.10, "far" ═ trunk ── br0 ── tap0 ═ another guest
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.host.network import within
from tests.kernel.lab import outer, run, underlay
from vecnet import host
from vecnet.datapath.port import Port, open_port
from vecnet.topology import loads

pytestmark = [pytest.mark.kernel, pytest.mark.long]

LAB = """
name: lab
hosts: {{here: {{address: ["{}", "{}"]}}, there: {{address: ["{}", "{}"]}}}}
guests: {{web: {{on: here}}, db: {{on: there}}}}
bridges: {{here:br0: , there:br0: }}
links:
  - {{transport: tap, endpoints: {{web:vec0: , here:tap0: {{bridge: br0}}}}}}
  - {{transport: tap, endpoints: {{db:vec0: , there:tap0: {{bridge: br0}}}}}}
  - {{{}}}
"""
TRUNKS = {
    "gre": "transport: gre, endpoints: {here:trunk: {bridge: br0}, there:trunk: {bridge: br0}}",
    "l2tpv3": "transport: l2tpv3, cookie: 64, endpoints: {here:trunk: {bridge: br0}, there:trunk: {bridge: br0}}",
    "l2tpv3 on IPv6": "transport: l2tpv3, encap: ip, counter: on, endpoints: "
    f"{{here:trunk: {{bridge: br0, local: '{outer(True, 1)}'}}, there:trunk: {{bridge: br0}}}}",
}
OVERHEAD = {"gre": 42, "l2tpv3": 58, "l2tpv3 on IPv6": 62}


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with underlay():
        yield


def frame(to: str, of: str, size: int) -> bytes:
    """One of an experimental Ethertype (IEEE 802), with `size` bytes inside."""
    return bytes.fromhex(f"{to}{of}88b5".replace(":", "")) + bytes(size)


def arrives(sender: Port, receiver: Port, sent: bytes) -> bool:
    """Whether a frame is taken in; what a bridge floods comes once its ports have been up for a moment."""
    for _ in range(20):
        sender.send([sent])
        if sent in receiver.recv(0.2):
            return True
    return False


@pytest.mark.parametrize("name", TRUNKS)
def test_a_lan_over_two_hosts(name: str) -> None:
    addresses = [outer(six, number) for number in (1, 10) for six in (False, True)]
    lab = loads(LAB.format(*addresses, TRUNKS[name]))
    mtu = 1500 - OVERHEAD[name]
    with ExitStack() as stack:
        ports: dict[str, Port] = {}
        macs: dict[str, str] = {}
        for machine, namespace in (("here", None), ("there", "far")):
            part = lab.on(machine)
            with within(namespace):
                host.up(part)
                assert host.plan(part).changes == ()
                assert {interface.mtu for interface in part.interfaces} == {mtu}
                (device,) = (device for guest in part.guests for device in part.devices(guest))
                ports[machine] = stack.enter_context(open_port(device))
                macs[machine] = str(device.transport.mac)
        for one, other in (("here", "there"), ("there", "here")):
            assert arrives(ports[one], ports[other], frame(macs[other], macs[one], mtu))
    for namespace in (None, "far"):
        with within(namespace):
            host.down("lab")
            assert "trunk" not in run("ip link")
