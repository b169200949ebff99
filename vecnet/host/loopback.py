"""The loopback of a private network: up, with the outer addresses that guests bind there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecnet.host import wire
from vecnet.host.model import Node
from vecnet.host.namespaces import Namespaces
from vecnet.host.observe import View
from vecnet.host.words import refused

if TYPE_CHECKING:
    from vecnet.host import Network


def prepare(topology: Network) -> None:
    """Raises HostError. Addresses of the topology's own interfaces are not put on the loopback as well."""
    from vecnet.host import netlink

    own = {text.split("/")[0] for interface in topology.interfaces for text in interface.addresses}
    node = Node(None, "lo", "loopback", "")
    with Namespaces() as namespaces:
        view = View.read(namespaces.home)
        have = view.every_address
        wanted = sorted({end.address for end in topology.outer_ends} - own - have)
        lo = view.by_name["lo"].index
        messages = [netlink.set_link("lo", up=True)]
        messages += [
            netlink.address(lo, f"{text}/{128 if ':' in text else 32}", add=True)
            for text in wanted
            if not text.startswith("127.")  # all of 127/8 is local already
        ]
        for start in range(0, len(messages), wire.BATCH):
            for answer in namespaces.home.route.batch(messages[start : start + wire.BATCH]):
                if answer:
                    raise refused(node, "bring it up with the topology's outer addresses", answer)
