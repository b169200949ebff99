"""The loopback of a private network: up, with the outer addresses that guests bind there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecnet.host.plan import Node
from vecnet.host.refusals import refused
from vecnet.host.snapshot import View
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespaces

if TYPE_CHECKING:
    from vecnet.host import Network


def prepare(topology: Network) -> None:
    """Raises HostError. Addresses of the topology's own interfaces are not put on the loopback as well."""
    from vecnet.host import messages

    own = {text.split("/")[0] for interface in topology.interfaces for text in interface.addresses}
    node = Node(None, "lo", "loopback", "")
    with Namespaces() as namespaces:
        view = View.read(namespaces.home)
        have = view.every_address
        wanted = sorted({end.address for end in topology.outer_ends} - own - have)
        lo = view.by_name["lo"].index
        wanted_messages = [messages.set_link("lo", up=True)]
        wanted_messages += [
            messages.address(lo, f"{text}/{128 if ':' in text else 32}", add=True)
            for text in wanted
            if not text.startswith("127.")  # all of 127/8 is local already
        ]
        for start in range(0, len(wanted_messages), netlink.BATCH):
            for answer in namespaces.home.route.batch(wanted_messages[start : start + netlink.BATCH]):
                if answer:
                    raise refused(node, "bring it up with the topology's outer addresses", answer)
