"""bridge: joins links on the host. Kernel documentation, networking/bridge."""

from __future__ import annotations

from typing import ClassVar

from vecnet.host.kinds.base import Kind
from vecnet.host.plan import Node
from vecnet.host.stages import Stage, Work


class Bridge(Kind):
    name: ClassVar[str] = "bridge"
    kernel_name = "bridge"
    modules = ("bridge",)

    def make(self, work: Work, node: Node) -> None:
        work.new_link(node, "bridge")
        # a bridge's mtu follows its smallest member's unless it is set once it has them
        mtu = node.values["mtu"]
        work.route(Stage.FINISH, node, node.netns, "set its mtu", lambda n: n.set_link(node.ifname, mtu=mtu))
