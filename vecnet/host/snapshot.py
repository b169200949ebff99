"""The host's namespaces as they were seen at one moment, with the marks in what is there."""

from __future__ import annotations

import gc
import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import cached_property

from vecnet.errors import HostError
from vecnet.host import as_netem, mark
from vecnet.host.plan import Key
from vecnet.impairment import Impairment
from vecnet.kernel import ethtool, genl, netem
from vecnet.kernel.l2tp import Session, Tunnel, read_tunnels
from vecnet.kernel.namespaces import Namespace, Namespaces, ran_out
from vecnet.kernel.rtnl import Interface, bare, read_addresses, read_links, read_packet_sockets
from vecnet.records import record


def is_link_local(text: str) -> bool:
    """Whether an address is of fe80::/10 (RFC 4291); IPv4's are given by people."""
    return text.startswith("fe") and ipaddress.ip_address(bare(text)).is_link_local


@contextmanager
def many_objects() -> Iterator[None]:
    """The garbage collector rests: it would walk, over and over, thousands of objects that all stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@record(frozen=False)
class View:
    """All that is known of a namespace; what is dear is read when it is first asked for."""

    place: Namespace
    links: list[Interface] = field(default_factory=list)
    keep: frozenset[str] = frozenset()  # IPv6's link-local addresses that count

    @cached_property
    def by_name(self) -> dict[str, Interface]:
        return {link.ifname: link for link in self.links}

    @cached_property
    def by_alternative_name(self) -> dict[str, Interface]:
        return {name: link for link in self.links for name in link.alternative_names}

    @cached_property
    def by_index(self) -> dict[int, Interface]:
        return {link.index: link for link in self.links}

    @cached_property
    def _marks(self) -> dict[int, mark.Mark | None]:
        return {link.index: mark.read(link.alias) for link in self.links if link.alias}

    @property
    def marks(self) -> list[mark.Mark]:
        """All that are here."""
        return [said for said in self._marks.values() if said]

    def mark(self, link: Interface) -> mark.Mark | None:
        """What an interface's alias says, where it is vecnet's."""
        return self._marks.get(link.index)

    @cached_property
    def _addresses(self) -> dict[int, list[str]]:
        return read_addresses(self.place, link_local=bool(self.keep))

    def addresses(self, link: Interface) -> tuple[str, ...]:
        """An interface's addresses, with their prefix lengths."""
        texts = self._addresses.get(link.index, ())
        return tuple(text for text in texts if not is_link_local(text) or text in self.keep)

    @cached_property
    def every_address(self) -> set[str]:
        """All local addresses, without prefix lengths."""
        return {str(ipaddress.ip_address(bare(text))) for texts in self._addresses.values() for text in texts}

    @cached_property
    def tunnels(self) -> list[Tunnel]:
        return read_tunnels(self.place)

    @cached_property
    def sessions(self) -> dict[str, Session]:
        """The L2TP sessions, by their interfaces' names."""
        return {session.ifname: session for tunnel in self.tunnels for session in tunnel.sessions}

    @cached_property
    def _packet_sockets(self) -> frozenset[int]:
        with self.place.entered():
            return read_packet_sockets()

    def bound(self, link: Interface) -> bool:
        """Whether a packet socket is bound to the interface, as a guest's raw transport does."""
        return link.index in self._packet_sockets

    @cached_property
    def _checksums(self) -> dict[int, bool]:
        return ethtool.read_checksum_offload(self.place)

    def offload(self, link: Interface) -> bool | None:
        """Whether the interface wants to be handed checksums that are still to be filled; None where it cannot."""
        return self._checksums.get(link.index)

    @cached_property
    def _roots(self) -> dict[int, netem.Root]:
        return netem.read_roots(self.place)

    def impairment(self, link: Interface) -> Impairment | None:
        """What frames suffer that the interface sends, where vecnet has it so."""
        root = self._roots.get(link.index) if link.qdisc == "netem" else None
        return as_netem.meant(root.values) if root and root.values else None

    def foreign_queue(self, link: Interface) -> str:
        """The queueing discipline that somebody else gave the interface; empty where none did."""
        root = self._roots.get(link.index)
        return root.kind if root and root.values is None else ""

    def joins(self, link: Interface) -> tuple[str, ...]:
        """The features, by ethtool's words, with which the interface joins what it receives into large frames."""
        return ethtool.read_joining(self.place, link.index)

    def master(self, link: Interface) -> str | None:
        """The name of the bridge that the interface is a member of."""
        above = self.by_index.get(link.master) if link.master else None
        return above.ifname if above else None


class Snapshot:
    """Everything in home and in the named namespaces that matters. Read once; a new look is a new Snapshot."""

    def __init__(
        self,
        namespaces: Namespaces,
        names: Iterable[str] = (),
        *,
        counters: bool = False,
        keep: frozenset[str] = frozenset(),
        everywhere: bool = False,
    ) -> None:
        """Look at home, at the namespaces `names`, and at every other that can be entered. Raises HostError.

        `keep` are the link-local addresses that count, with their prefix lengths, since IPv6 gives others itself.
        `everywhere` looks into namespaces without a name, too, where somebody may have moved an interface.
        """
        self._namespaces = namespaces
        self._families: dict[str, int] = {}  # of generic netlink, the same in every namespace
        self.home_cookie = namespaces.home.cookie

        def look(place: Namespace) -> View:
            return View(place, list(read_links(place, counters)), keep)

        with many_objects():
            self._views: dict[str | None, View] = {None: look(namespaces.home)}
            for name in sorted(names):
                self._views[name] = look(namespaces[name])
            seen = {namespaces[name].cookie for name in self._views}
            for place in namespaces.others(everywhere):
                if place.cookie not in seen:  # maybe by another name
                    try:
                        view = look(place)
                    except (OSError, HostError) as error:
                        if ran_out(error):
                            raise
                        continue
                    if place.is_named or any(self.is_ours(said, place.name) for said in view.marks):
                        self._views[place.name] = view

    def place(self, netns: str | None) -> Namespace:
        """The namespace of that name, home where it is None."""
        return self._namespaces[netns]

    def view(self, netns: str | None) -> View:
        """What was seen in one namespace."""
        return self._views[netns]

    def views(self) -> Iterator[tuple[str | None, View]]:
        """All that were looked at, home first."""
        return iter(self._views.items())

    def at(self, key: Key) -> Interface | None:
        """The interface of that name in that namespace, where there is one."""
        return self._views[key[0] or None].by_name.get(key[1])

    def named(self, key: Key) -> Interface | None:
        """The interface that has that name, be it an alternative one, which no other may have."""
        view = self._views[key[0] or None]
        return view.by_name.get(key[1]) or view.by_alternative_name.get(key[1])

    def group(self, topology: str, netns: str | None) -> int:
        """The interface group of what a topology has in a namespace."""
        return mark.group(topology, None if netns is None else self.home_cookie)

    def is_ours(self, said: mark.Mark, netns: str | None) -> bool:
        """Whether what carries this mark was made from home, and not from another namespace."""
        return netns is None if said.home is None else said.home == self.home_cookie

    def family(self, name: str) -> int:
        """The number of a generic netlink family, asked for once. Raises HostError where this kernel has none."""
        if name not in self._families:
            self._families[name] = genl.family(self.place(None), name)
        return self._families[name]

    def topologies(self) -> list[str]:
        """The names of all topologies that have something here."""
        marks = [(netns, view.mark(link)) for netns, view in self.views() for link in view.links]
        return sorted({said.topology for netns, said in marks if said and self.is_ours(said, netns)})
