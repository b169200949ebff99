"""The loopback of a private network: up, with the outer addresses that guests bind there."""

from __future__ import annotations

from collections.abc import Collection

from vecnet.errors import HostError
from vecnet.host.refusals import refused
from vecnet.kernel import netlink, rtnl
from vecnet.kernel.namespaces import Namespaces
from vecnet.kernel.probe import lacks_ipv6

_NAME = "lo"


def put_on_loopback(addresses: Collection[str]) -> None:
    """Those that no interface has yet. Raises HostError."""
    with Namespaces() as namespaces:
        place = namespaces.home
        (index,) = (link.index for link in rtnl.read_links(place) if link.ifname == _NAME)
        ipv6 = sorted(text for text in addresses if ":" in text)
        why, instead = lacks_ipv6(place, _NAME) if ipv6 else ("", "")
        if why:
            raise HostError(f"loopback {_NAME} cannot get {', '.join(ipv6)}: {why}", instead)
        every = rtnl.read_addresses(place, link_local=False).values()
        have = {rtnl.bare(text) for texts in every for text in texts}
        messages = [rtnl.set_link(_NAME, rtnl.Settings(up=True))]
        messages += [
            rtnl.address(f"{text}/{128 if ':' in text else 32}", add=True).of(index)
            for text in sorted(set(addresses) - have)
            if not text.startswith("127.")  # all of 127/8 is local already
        ]
        for start in range(0, len(messages), netlink.BATCH):
            for answer in place.route.batch(messages[start : start + netlink.BATCH]):
                if answer:
                    raise refused(f"loopback {_NAME}", "bring it up with the topology's outer addresses", answer)
