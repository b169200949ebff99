"""What a kind of host interface must say of itself. What all kinds share (addresses, mtu, up, …) is done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from vecnet.host.plan import Node
from vecnet.transports.link import HostInterface

if TYPE_CHECKING:
    from vecnet.host.snapshot import Snapshot
    from vecnet.host.stages import Work
    from vecnet.kernel.rtnl import Interface

REGISTRY: dict[str, Kind] = {}


@dataclass(frozen=True, slots=True)
class End:
    """One kernel interface of a node. `prefix` stands before the names of its values: "peer_" at a pair's second."""

    netns: str | None
    ifname: str
    prefix: str = ""


class Kind:
    """A kind of interface. Its files' order: facts, what is wanted, what is seen, how it is made."""

    name: ClassVar[str]
    kernel_name: ClassVar[str] = ""  # IFLA_INFO_KIND, "" where rtnetlink has none
    modules: tuple[str, ...] = ()  # that a kernel without this kind lacks
    fixed: ClassVar[frozenset[str]] = frozenset()  # values that only a new interface can have
    late: ClassVar[tuple[str, ...]] = ()  # values that `make` cannot set and that follow with the alias
    noted: ClassVar[tuple[str, ...]] = ()  # values that cannot be read back: noted in the alias, unless True
    turn: ClassVar[int] = 0  # kinds of a later turn are made once those of an earlier one have their addresses
    offloads: ClassVar[bool] = False  # whether checksums left open may reach what is behind it

    def __init_subclass__(cls) -> None:
        if "name" in cls.__dict__:
            REGISTRY[cls.name] = cls()

    def wanted(self, interface: HostInterface) -> dict[str, Any]:
        """The kind's own values of an interface that shall be. Raises HostError."""
        return {}

    def seen(self, link: Interface, netns: str | None, world: Snapshot) -> dict[str, Any] | None:
        """The kind's own values of an interface that is; None where half of it is missing."""
        return {}

    def found(self, topology: str, world: Snapshot, keep: frozenset[str]) -> Iterable[Node]:
        """A topology's nodes that are known by more than their interface's mark."""
        return ()

    def ends(self, node: Node) -> list[End]:
        return [End(node.netns, node.ifname)]

    def in_use(self, link: Interface, netns: str | None, world: Snapshot) -> str:
        """Who uses the interface and would be cut off; empty if nobody is known to."""
        return ""

    def lacking(self, netns: str | None, world: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        """The modules that this kernel lacks and that `nodes` need; none where it may not be asked."""
        from vecnet.kernel.probe import lacks_kind

        return self.modules if lacks_kind(world.place(netns), self.kernel_name) else ()

    def make(self, work: Work, node: Node) -> None:
        """Plan the messages that make the interface, marked from the first moment."""
        raise TypeError(f"{self.name} has no way to be made")

    def remove(self, work: Work, node: Node) -> None:
        work.delete(node.netns, node)
