"""bridge: joins links on the host. Kernel documentation, networking/bridge.

Its mtu follows its smallest member's unless it is set once it has them: so that comes at the very end.
"""

from __future__ import annotations

from collections.abc import Iterator

from vecnet.host.kinds.base import InterfaceKind, Scene, new_link
from vecnet.host.plan import Node
from vecnet.host.stages import Op, Stage
from vecnet.kernel import rtnl
from vecnet.kernel.rtnl import Settings


class Bridge(InterfaceKind):
    name = "bridge"
    kernel_name = "bridge"
    modules = ("bridge",)
    set_at = Stage.FINISH

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        yield new_link(self, node, scene)
        message = rtnl.set_link(node.ifname, Settings(mtu=node.ends[0].mtu))
        yield Op(Stage.FINISH, node, scene.place(node.netns), "set its mtu", message)
