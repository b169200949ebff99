"""Stand-ins, in a private network, for the interfaces that a topology finds on its host and that are not vecnet's.

They bear no mark, since `plan` and `down` must take them for somebody else's there, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vecnet.host.kinds.tap import IFF_NO_PI, IFF_TAP, IFF_TUN_EXCL, IFF_VNET_HDR, Make
from vecnet.host.refusals import refused
from vecnet.kernel import rtnl
from vecnet.kernel.namespaces import Namespaces
from vecnet.kernel.netlink import Refusal
from vecnet.kernel.rtnl import Settings
from vecnet.transports.link import HostInterface, chosen_ifname


def make_stand_ins(interfaces: Sequence[HostInterface]) -> None:
    """Those that are not there yet: bridges, taps, and else one end of a veth pair. Raises HostError."""
    with Namespaces() as namespaces:
        for interface in interfaces:
            place = namespaces[interface.netns]
            if not interface.existing or any(link.ifname == interface.ifname for link in rtnl.read_links(place)):
                continue
            what = f"make a stand-in for {interface.ifname}"
            try:
                if interface.kind == "tap":
                    Make(interface.ifname, IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | IFF_VNET_HDR, _mtu(interface))(place)
            except OSError as error:
                raise refused("sandbox", what, Refusal(error.errno or 0)) from error
            for answer in place.route.batch([*_messages(interface)]):
                if answer:
                    raise refused("sandbox", what, answer)


def _messages(interface: HostInterface) -> Iterator[bytes]:
    name, settings = interface.ifname, Settings(mtu=interface.mtu)
    if interface.kind == "bridge":
        yield rtnl.new_link(name, "bridge", settings)
    elif interface.kind == "veth":
        beyond = chosen_ifname(f"beyond-{name}", name)
        yield rtnl.new_veth(name, settings, beyond, settings)
        yield rtnl.set_link(beyond, Settings(up=True))
    yield rtnl.set_link(name, Settings(up=True))


def _mtu(interface: HostInterface) -> bytes:
    return rtnl.set_link(interface.ifname, Settings(mtu=interface.mtu))
