"""raw: packet sockets bound to an interface, most often one end of a veth pair; virtio-net headers on both.

Source: HOWTO, "raw socket transport"; packet(7).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

from vecnet.guests import Case
from vecnet.options import Reading, Value, option
from vecnet.runtime import filter_path
from vecnet.transports.answers import Sample
from vecnet.transports.base import Transport, small_buffers
from vecnet.transports.link import (
    GuestFilter,
    HostInterface,
    Key,
    Link,
    Mistake,
    Peer,
    VethAttributes,
    chosen_ifname,
    chosen_mac,
    existing_interface,
)
from vecnet.values import FilterText, Flag, IfName, NewIfName, Word

_AT_THE_HOST, _BETWEEN_GUESTS = VethAttributes(), VethAttributes(autoconf=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raw(Transport):
    """Packet sockets on an interface. Privilege: CAP_NET_RAW."""

    name: ClassVar[str] = "raw"
    link_keys = {
        "bpffile": Key(Word(), "a file of classic BPF that filters what the guest receives"),
        "bpfflash": Key(Flag(), "whether the guest may load a filter by itself"),
        "filter": Key(FilterText(), "what guests receive, in pcap's language: `up` compiles it into their bpffile"),
    }
    guest_keys = {"ifname": Key(NewIfName(), "the interface that the guest binds: its end of the veth pair")}
    interface_keys = ("ip", "mac", "bridge", "netns", "existing")
    vnet = True
    varying = frozenset({"ifname", "bpffile"})
    samples = (Sample("raw", "endpoints: ['a:vec{unit}', 'host:raw{unit}']"),)
    howto = "> 6"

    ifname: str = option(IfName(), Reading.TEXT, "the interface")
    ifup: str | None = option(Word(), Reading.TEXT, "a program that is run with the interface's name", default=None)
    bpffile: str | None = option(
        Word(), Reading.TEXT, "a file of struct sock_filter, 8 bytes an instruction", default=None
    )
    bpfflash: bool = option(
        Flag(), Reading.DECIMAL, "let the guest load a filter with ethtool's flash command", default=False
    )

    @classmethod
    def cases(cls, values: Mapping[str, Value]) -> Iterator[Case]:
        yield from super().cases(values)
        if not values["gro"]:
            yield small_buffers(f"ethtool -K {values['ifname']} tx off, and at its other end")

    @classmethod
    def options_for(cls, link: Link, end: int) -> dict[str, Value]:
        options: dict[str, Value] = {"ifname": veth_name(link, end)}
        if link.given:
            options |= {key: link.given[key] for key in ("bpffile", "bpfflash") if key in link.given}
            if "filter" in link.given and link.ends[end].node:
                options["bpffile"] = filter_path(link.topology, str(link.ends[end]))
        return options

    @classmethod
    def mistakes(cls, link: Link) -> Iterator[Mistake]:
        yield from super().mistakes(link)
        if "filter" in link.given and "bpffile" in link.given:
            yield Mistake("filter and bpffile are two filters of one wire", "leave one of them out", "bpffile")
        if "filter" in link.given and not any(end.node for end in link.ends):
            yield Mistake("filter has no effect: no guest is at this wire", "leave it out", "filter")

    @classmethod
    def host_interfaces(cls, link: Link, ends: tuple[Self, Self]) -> tuple[HostInterface, ...]:
        """One veth pair. Between a guest and the host the guest's end is the peer of the named interface.

        Of an interface that exists the guest's packet sockets are on itself.
        """
        if link.existing:
            there = existing_interface(link, "veth", ends[1].mtu, offload=ends[0].gro)
            return (dataclasses.replace(there, filters=tuple(_filters(link, ends))),)
        given = link.ends[1].given
        return (
            HostInterface(
                ifname=ends[1].ifname,
                kind="veth",
                mtu=ends[1].mtu,
                # a guest's end must not have the guest's own address, or the host's stack would take its packets
                mac=(link.host and given.get("mac")) or _veth_mac(link, 1),
                attributes=_BETWEEN_GUESTS if link.host is None else _AT_THE_HOST,
                peer=Peer(ends[0].ifname, _veth_mac(link, 0)),
                addresses=tuple(given.get("ip", ())) if link.host else (),
                bridge=given.get("bridge") if link.host else None,
                netns=given.get("netns") if link.host else None,
                offload=ends[0].gro and ends[1].gro,
                link=link.title,
                host=link.ends[0].host,
                filters=tuple(_filters(link, ends)) if link.given else (),
            ),
        )

    @classmethod
    def opened_in(cls, link: Link) -> str | None:
        """A pair's second end is in vecnet's own namespace; an interface that exists is where it is."""
        return link.ends[1].given.get("netns") if link.existing else None

    def capabilities(self) -> tuple[str, ...]:
        return ("NET_RAW",)

    def binds(self) -> str | None:
        return self.ifname


def _filters(link: Link, options: tuple[Raw, Raw]) -> Iterator[GuestFilter]:
    expression = link.given.get("filter", "")
    for end, own in zip(link.ends, options, strict=True):
        if end.node and (expression or own.bpfflash):
            path = own.bpffile or "" if expression else ""
            yield GuestFilter(str(end), own.mac, expression, path, own.bpfflash)


def veth_name(link: Link, end: int) -> str:
    """The name of a link's veth interface at `end`: the host's own, or the one that a guest binds."""
    this = link.ends[end]
    if this.is_host or link.existing:
        return link.ends[1].ifname
    stated = this.given.get("ifname")
    if stated:
        return str(stated)
    readable = f"{this.place}-{this.ifname}" if link.host is None else f"p-{link.ends[1].ifname}"
    return chosen_ifname(readable, link.topology, link.name, str(this))


def _veth_mac(link: Link, end: int) -> str:
    return chosen_mac(link.topology, link.name, str(link.ends[end]), "veth")
