"""Where everything is: the hosts that a file names, which of them each guest and switch is on, what may cross.

1. Without `hosts:` all is on this machine, which is called host.
2. An end outside is on the host of its link's other end. One elsewhere is on none of them.
3. A link between two hosts is a tunnel. `local` of an end whose link leaves its host is an address of that host, unless
   it is stated: of the first family, IPv4 before IPv6, that both ends have.
4. The way between two hosts takes what `mtu` says at either, or 1500 bytes; the way within one is its loopback. The
   kernel of the machine that reads the file is not asked, so that all of them find the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from vecnet.text import a
from vecnet.topology import grammar
from vecnet.topology.document import Document, Stated
from vecnet.transports import TRANSPORTS, Transport
from vecnet.transports.base import DEFAULT_MTU
from vecnet.transports.link import ELSEWHERE, OUTSIDE, End, Link
from vecnet.values import is_v6

LOOPBACK_MTU = 65536  # drivers/net/loopback.c

Ends = list[tuple[End, Stated]]


class Places:
    """The hosts by name, and the homes of guests and switches."""

    def __init__(self, hosts: dict[str, Stated]) -> None:
        self.hosts = hosts
        self.homes: dict[str, str] = {}
        self._asked: set[str] = set()  # whose home was looked for

    def settle(self, doc: Document, what: str, named: Mapping[str, Stated]) -> None:
        """Take in what `on` says of guests or switches."""
        for name, stated in named.items():
            on = stated.given.get("on")
            if "on" in stated.entries and not self.hosts:
                doc.wrong(stated.at("on"), f"on: the topology names no hosts for the {what} {name}", "add hosts:")
            elif on in self.hosts:
                self.homes[name] = on
            elif on is not None:
                doc.wrong(stated.at("on"), f"on: there is no host {on!r}", self._instead(on))
            elif "on" not in stated.entries:
                self._home(doc, stated, name, f"add on: {next(iter(self.hosts), '')}, or another of hosts")
            self._asked.add(name)

    def _instead(self, name: str) -> str:
        import difflib  # for mistakes alone

        near = difflib.get_close_matches(name, self.hosts, 1)
        return f"did you mean {near[0]}?" if near else f"write one of {', '.join(self.hosts)}"

    def _home(self, doc: Document, stated: Stated, name: str, instead: str) -> None:
        """Of a guest or switch that states none: the only host, where there is one."""
        if len(self.hosts) == 1:
            self.homes[name] = next(iter(self.hosts))
        elif self.hosts:
            doc.wrong(stated.node, f"it is not said which host {name} is on", instead)

    def placed(self, doc: Document, transport: type[Transport], ends: Ends) -> Ends | None:
        """The ends of a link, each on its host and with an outer address; None where that cannot be told.

        What cannot cross is an error.
        """
        if not self.hosts and not transport.elsewhere_keys:
            return ends
        if not self.hosts:
            return [(_on(end, ELSEWHERE) if end.kind == ELSEWHERE else end, stated) for end, stated in ends]
        homes = [self._host_of(doc, end, stated) for end, stated in ends]
        here = next(home for home, (end, _) in zip(homes, ends, strict=True) if end.kind not in (OUTSIDE, ELSEWHERE))
        if not here or "" in homes:
            return None
        found = [(_on(end, home or here), stated) for home, (end, stated) in zip(homes, ends, strict=True)]
        (near, _), (far, stated) = sorted(found, key=lambda one: str(one[0]))
        if near.host != far.host and ELSEWHERE not in (near.host, far.host) and not transport.elsewhere_keys:
            message = (
                f"{a(transport.name)} link lies within one host, and {near} is on {near.host}, {far} on {far.host}"
            )
            crossing = " or ".join(name for name, kind in TRANSPORTS.items() if kind.elsewhere_keys)
            doc.wrong(stated.node, message, f"write transport: {crossing}, or put both on one host")
            return None
        return self._with_outer_addresses(doc, transport, found)

    def _host_of(self, doc: Document, end: End, stated: Stated) -> str | None:
        """ "" where it is not known, None outside."""
        if end.kind == ELSEWHERE:
            return ELSEWHERE
        if end.is_host:
            return end.host
        name = end.node or end.switch
        if name is None:
            return None
        if name not in self._asked:
            self._asked.add(name)
            self._home(doc, stated, name, f"write guests: {{{name}: {{on: {next(iter(self.hosts))}}}}}")
        return self.homes.get(name, "")

    def _with_outer_addresses(self, doc: Document, transport: type[Transport], ends: Ends) -> Ends | None:
        found: Ends = []
        for index, (end, stated) in enumerate(ends):
            other = ends[1 - index][0]
            key = grammar.end_keys(transport, end.kind, end.ifname).get("local")
            if key is None or not key.by_host or "local" in stated.entries:
                found.append((end, stated))
            elif end.host not in self.hosts or end.host == other.host:
                doc.wrong(stated.node, f"{end} needs local, {key.doc}", "add local:")
            elif local := self._local(end, other):
                given = {**end.given, "local": local}
                found.append((End(end.node, end.ifname, given, end.where, end.host), stated))
            else:
                return None  # the host's own address is wrong
        return found

    def _local(self, end: End, other: End) -> str:
        own = self.addresses(end.host)
        theirs = [other.given["local"]] if "local" in other.given else self.addresses(other.host)
        shared = {is_v6(address) for address in own} & {is_v6(address) for address in theirs}
        fitting = [address for address in own if not shared or is_v6(address) in shared]
        return min(fitting, key=lambda address: bool(is_v6(address)), default="")

    def addresses(self, host: str) -> list[str]:
        """Of a host that the file names, as far as they are right."""
        return list(self.hosts[host].given.get("address", ())) if host in self.hosts else []

    def path_mtu(self, link: Link) -> int:
        """Bytes of the largest outer packet on the way between a link's ends."""
        near, far = (end.host for end in link.ends)
        if near == far:
            return LOOPBACK_MTU
        return min(int(self.hosts[host].given.get("mtu", DEFAULT_MTU)) for host in (near, far) if host in self.hosts)

    def check(self, doc: Document, used: Iterable[str], *, is_whole: bool) -> None:
        """Report addresses that are no machine's own, and hosts on which nothing is."""
        seen: dict[str, str] = {}
        for name, stated in self.hosts.items():
            for address in self.addresses(name):
                for message, instead in _odd(address):
                    doc.wrong(stated.at("address"), message, instead)
                if seen.setdefault(address, name) != name:
                    message = f"{address} is the address of the host {seen[address]}, too"
                    doc.wrong(stated.at("address"), message, "give each host an address of its own")
            if name not in used and is_whole:
                doc.wrong(stated.node, f"no link has an end on the host {name}", "leave it out")


def _on(end: End, host: str) -> End:
    return End(end.node, end.ifname, end.given, end.where, host)  # dataclasses.replace takes four times as long


def _odd(text: str) -> Iterator[tuple[str, str]]:
    address = ip_address(text)
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        yield f"{address} is no address by which another machine reaches a host", "give one that the others reach"
