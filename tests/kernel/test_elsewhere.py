"""A router elsewhere, played by the kernel in another namespace: it is configured by what `plan` tells, with `ip`.

the guest's string ═ under 192.0.2.1 ═══ veth ═══ over 192.0.2.10, "far" ═ a gretap or l2tp device, made by hand
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.host.network import topology, within
from tests.kernel.guest_end import ETH_P_TEST, GuestEnd, frame
from tests.kernel.lab import outer, run, tapped, underlay
from vecnet import host

pytestmark = pytest.mark.kernel

LINKS = {
    "gre": "transport: gre",
    "gre with keys": "transport: gre, key: on, sequence: on",
    "l2tpv3": "transport: l2tpv3, cookie: 64",
    "l2tpv3 on IP": "transport: l2tpv3, encap: ip, cookie: 32, counter: on",
}


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with underlay():
        yield


@pytest.mark.parametrize("name", LINKS)
def test_what_is_told_configures_the_kernel(name: str) -> None:
    near, far = outer(False, 1), outer(False, 10)
    ends = f"web:vec0: {{local: {near}}}, elsewhere:router: {{local: {far}}}"
    wanted = topology(f"links: [{{{LINKS[name]}, endpoints: {{{ends}}}}}]")
    assert host.up(wanted).steps == ()
    told = wanted.links[0].far_settings
    with ExitStack() as stack:
        with within("far"):
            if name.startswith("gre"):
                keys = f"ikey {told['local key']} okey {told['remote key']}" if "local key" in told else ""
                sequence = "oseq" if told["sequence numbers"] == "sent" else ""
                run(f"ip link add router type gretap local {told['local']} remote {told['remote']} {keys} {sequence}")
            else:
                udp = "local port" in told
                ports = f"udp_sport {told['local port']} udp_dport {told['remote port']}" if udp else ""
                addresses = f"local {told['local']} remote {told['remote']}"
                encap = "udp" if udp else "ip"
                run(f"ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap {encap} {addresses} {ports}")
                mine, theirs = (str(told[f"{end} cookie"]).removeprefix("0x") for end in ("local", "remote"))
                sublayer = "none" if told["L2-specific sublayer"] == "none" else "default"
                run(
                    f"ip l2tp add session name router tunnel_id 1 session_id {told['local session']} "
                    f"peer_session_id {told['remote session']} l2spec_type {sublayer} "
                    f"cookie {theirs} peer_cookie {mine}"
                )
            run(f"ip link set router mtu {told['mtu']} up")
            router = stack.enter_context(tapped("router", ETH_P_TEST))
        guest = stack.enter_context(GuestEnd(wanted.devices("web")[0]))
        guest.send(frame(b"to the router"))
        assert router.recv(65536) == frame(b"to the router")
        router.send(frame(b"to the guest"))
        assert next(guest.received()).frame == frame(b"to the guest")
