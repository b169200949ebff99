"""The messages that are sent: stamped ones are those that pyroute2 encodes, and what it encodes wrongly is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.network import ip
from vecnet.kernel import encode, l2tp, rtnl
from vecnet.kernel.netlink import ACKED, MAKE
from vecnet.kernel.rtnl import Settings
from vecnet.kernel.template import Mark, Template

IFNAME = "fifteen-letters"  # whose stamp has no padding beyond what an encoder gives it


def test_a_stamped_message_is_the_encoded_one() -> None:
    settings = Settings(mtu=1400, mac="02:84:ff:00:00:01", group=0x76FFFFFF, alias="vecnet lab ü", gso_max_segs=1)
    attrs = [
        ("IFLA_IFNAME", IFNAME),
        ("IFLA_MTU", 1400),
        ("IFLA_ADDRESS", "02:84:ff:00:00:01"),
        ("IFLA_GROUP", 0x76FFFFFF),
        ("IFLA_GSO_MAX_SEGS", 1),
        ("IFLA_IFALIAS", "vecnet lab ü"),
    ]
    assert rtnl.set_link(IFNAME, settings) == encode.link(rtnl.RTM_NEWLINK, ACKED, attrs)
    header = {"family": 2, "prefixlen": 24, "index": 7}
    attrs = [("IFA_LOCAL", "10.0.0.1"), ("IFA_ADDRESS", "10.0.0.1")]
    stamped = rtnl.address("10.0.0.1/24", add=False).of(7)
    assert stamped == encode.address(rtnl.RTM_DELADDR, ACKED, header, attrs)


@pytest.mark.parametrize("ifname", ["a", "fourteen-chars", IFNAME])
def test_the_kernel_takes_a_stamped_name_of_any_length(ifname: str) -> None:
    from vecnet.kernel.namespaces import Namespaces

    with Namespaces() as namespaces:
        made = rtnl.new_veth(ifname, Settings(mtu=1500, group=7), "peer", Settings(mtu=1400, group=7))
        assert namespaces.home.route.batch([made, rtnl.set_link(ifname, Settings(alias="x", up=True))]) == [None, None]
        (link,) = (link for link in rtnl.read_links(namespaces.home) if link.ifname == ifname)
        assert (link.alias, link.mtu, link.group, link.up) == ("x", 1500, 7, True)
        assert namespaces.home.route.batch([rtnl.delete_link(ifname)]) == [None]
    assert "peer" not in ip("link")


def test_a_mark_that_is_not_there_once_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="is not once in"):
        Template(b"..aaaa..aaaa", place=Mark("a", 4))
    with pytest.raises(ValueError, match="do not fit"):
        Template(b"..aaaa..", place=Mark("a", 4)).stamp(place=b"12345")


@pytest.mark.parametrize("size", [4, 8])
def test_a_cookie_leaves_as_it_is(size: int) -> None:
    cookie, peer = bytes(range(0x7E, 0x7E + size)), bytes(range(0xF0, 0xF0 + size))
    session = l2tp.Session(1, 2, 3, IFNAME, cookie, peer)
    message = l2tp.new_session(33, session, "default")
    head = (size + 4).to_bytes(2, sys.byteorder)
    for kind, value in ((l2tp.COOKIE, cookie), (l2tp.PEER_COOKIE, peer)):
        assert head + kind.to_bytes(2, sys.byteorder) + value in message


def test_pyroute2_still_swaps_ip6gretaps_flags() -> None:
    """Once it does not, `encode.ip6gre_flags` must go."""

    def flags(kind: str, attribute: str) -> bytes:
        info = [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": [(attribute, 0x2000)]})]
        message = encode.link(rtnl.RTM_NEWLINK, MAKE, [("IFLA_LINKINFO", {"attrs": info})])
        return message[-4:-2]

    assert flags("gretap", "IFLA_GRE_IFLAGS") == b"\x20\x00"
    assert flags("ip6gretap", "IFLA_IP6GRE_IFLAGS") == (b"\x00\x20" if sys.byteorder == "little" else b"\x20\x00")


def test_whoever_uses_pyroute2_beside_vecnet_has_all_of_it() -> None:
    script = (
        "import sys, vecnet.kernel.encode; assert 'pyroute2.iproute' not in sys.modules; "
        "from pyroute2 import IPRoute; import pyroute2; "
        "print(IPRoute.__name__, pyroute2.NDB.__name__, pyroute2.netlink.nlmsg.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "IPRoute NDB nlmsg\n"
