"""The loopback of a private network: up, with the outer addresses that guests bind there."""

from __future__ import annotations

from collections.abc import Collection

from vecnet.host.plan import Node
from vecnet.host.refusals import refused
from vecnet.kernel import netlink, rtnl
from vecnet.kernel.namespaces import Namespaces


def put_on_loopback(addresses: Collection[str]) -> None:
    """Those that no interface has yet. Raises HostError."""
    node = Node(None, "lo", "loopback", "")
    with Namespaces() as namespaces:
        place = namespaces.home
        (index,) = (link.index for link in rtnl.read_links(place) if link.ifname == node.ifname)
        every = rtnl.read_addresses(place, link_local=False).values()
        have = {text.partition("/")[0] for texts in every for text in texts}
        messages = [rtnl.set_link(node.ifname, rtnl.Settings(up=True))]
        messages += [
            rtnl.address(f"{text}/{128 if ':' in text else 32}", add=True).of(index)
            for text in sorted(set(addresses) - have)
            if not text.startswith("127.")  # all of 127/8 is local already
        ]
        for start in range(0, len(messages), netlink.BATCH):
            for answer in place.route.batch(messages[start : start + netlink.BATCH]):
                if answer:
                    raise refused(node, "bring it up with the topology's outer addresses", answer)
