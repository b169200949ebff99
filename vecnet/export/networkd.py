"""networkd: a .netdev that makes an interface, a .network that settles it, and a .link for what udev alone sets.

1. A bridge's member, or a tap that no guest has open, has no carrier: nothing waits for one.
2. udev gives the alias, the offloads and the sizes of segments (systemd.link). Without udev, as in a container, vecnet
   finds an interface of its group without an alias, which it takes for half made.
3. The .netdev of L2TP is its tunnel's. Its name is but a label, and must not be that of an interface.
4. The [Link] group is a number below 2^31, as vecnet's are.

Source: systemd.netdev(5), systemd.network(5), systemd.link(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export.base import GuestEnd, Limit, Made, Target, joins_what_exists
from vecnet.export.commands import peer_tunnel
from vecnet.transports.link import GreAttributes, L2tpAttributes, TapAttributes, VethAttributes, chosen_ifname

_SET_LATER = ("tap", "l2tp")  # whose .netdev takes no MAC address and no MTU

Section = tuple[str, dict[str, object]]


class Networkd(Target):
    name = "networkd"

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for one in made:
            first = one.interface.ifname
            found[f"70-{topology}-{first}.netdev"] = _text(_netdev(one))
            for ifname, alias in zip(one.ends, (one.alias, one.peer_alias), strict=False):
                found[f"70-{topology}-{ifname}.network"] = _text(_network(one, ifname))
                found[f"70-{topology}-{ifname}.link"] = _text(_link(one, ifname, alias))
        return found

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        yield from joins_what_exists(made, every, self.name)
        if made.gre and made.gre.oseq:
            message = "networkd sends sequence numbers only where it demands them, and a guest's start again at a boot"
            yield message, "leave sequence out, or use --for iproute2"
        if made.l2tp and made.l2tp.cookie_size:
            yield "networkd has no cookies for L2TP", "write cookie: 0 at the link, and none at its ends"

    def guest_files(self, guest: str, ends: Sequence[GuestEnd]) -> Mapping[str, str]:
        """The MTU and the MAC address are in the guest's string."""
        return {f"70-{end.ifname}.network": _text(_of_guest(end)) for end in ends}


def _of_guest(end: GuestEnd) -> Iterator[Section]:
    yield "Match", {"Name": end.ifname}
    yield "Network", {"Address": end.addresses}


def _netdev(made: Made) -> Iterator[Section]:
    one, values = made.interface, made.interface.attributes
    own: dict[str, object] = {} if one.kind in _SET_LATER else {"MACAddress": one.mac, "MTUBytes": one.mtu}
    name = chosen_ifname(f"{one.ifname}-tunnel", one.ifname) if made.l2tp else one.ifname
    yield "NetDev", {"Name": name, "Kind": one.kind, **own}
    if isinstance(values, TapAttributes):
        yield "Tap", {"VNetHeader": values.vnet_hdr, "User": values.owner, "Group": values.group}
    elif one.peer is not None:
        yield "Peer", {"Name": one.peer.ifname, "MACAddress": one.peer.mac}
    elif isinstance(values, GreAttributes):
        yield "Tunnel", _tunnel(one.kind, values)
    elif isinstance(values, L2tpAttributes):
        udp = {"UDPSourcePort": values.udp_sport, "UDPDestinationPort": values.udp_dport}
        yield (
            "L2TP",
            {
                "TunnelId": values.tunnel_id,
                "PeerTunnelId": peer_tunnel(made),
                "Local": values.local,
                "Remote": values.remote,
                "EncapsulationType": values.encap,
                **(udp if values.encap == "udp" else {}),
            },
        )
        yield (
            "L2TPSession",
            {
                "Name": one.ifname,
                "SessionId": values.session_id,
                "PeerSessionId": values.peer_session_id,
                "Layer2SpecificHeader": values.l2spec_type,
            },
        )


def _tunnel(kind: str, values: GreAttributes) -> dict[str, object]:
    only = (
        {"DiscoverPathMTU": False, "IgnoreDontFragment": True}  # the second from systemd 254 on
        if kind == "gretap"
        else {"EncapsulationLimit": "none", "AllowLocalRemote": True}
    )
    keys = {} if values.ikey is None else {"InputKey": values.ikey, "OutputKey": values.okey}
    return {"Independent": True, "Local": values.local, "Remote": values.remote, "TTL": values.ttl, **keys, **only}


def _network(made: Made, ifname: str) -> Iterator[Section]:
    one = made.interface
    first = ifname == one.ifname
    guests = not first or (isinstance(one.attributes, VethAttributes) and not one.attributes.autoconf)
    mac = one.mac if one.kind in _SET_LATER else None
    yield "Match", {"Name": ifname}
    yield "Link", {"MTUBytes": one.mtu, "MACAddress": mac, "Group": made.group, "RequiredForOnline": False}
    yield (
        "Network",
        {
            "Bridge": one.bridge if first else None,
            "LinkLocalAddressing": "no" if guests else "ipv6",
            "IPv6AcceptRA": False,
            "ConfigureWithoutCarrier": True,
        },
    )
    for address in one.addresses if first else ():
        yield "Address", {"Address": address, "DuplicateAddressDetection": "none" if ":" in address else None}


def _link(made: Made, ifname: str, alias: str) -> Iterator[Section]:
    one = made.interface
    link: dict[str, object] = {"Alias": alias}
    if not one.offload and one.kind == "tap":
        link["GenericSegmentOffloadMaxSegments"] = 1
    elif not one.offload and one.kind in ("veth", "gretap", "ip6gretap"):
        link["TransmitChecksumOffload"] = False
    yield "Match", {"OriginalName": ifname}
    yield "Link", link


def _text(sections: Iterator[Section]) -> str:
    return "\n".join(f"[{name}]\n" + "".join(_lines(keys)) for name, keys in sections)


def _lines(keys: dict[str, object]) -> Iterator[str]:
    """What is None is left out, and each of several is a line."""
    for key, value in keys.items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is not None:
                yield f"{key}={('no', 'yes')[one] if isinstance(one, bool) else one}\n"
