"""netplan: bridges, veth pairs and GRE, rendered by networkd. It has no taps and no L2TP, and no place for a mark.

Without the mark vecnet takes what netplan made for somebody else's. Veth pairs need netplan 1.0.

Source: netplan-yaml(5), "Properties for device type …".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export.base import Limit, Made, Target, joins_what_exists, to_yaml

_SECTIONS = {"bridge": "bridges", "veth": "virtual-ethernets", "gretap": "tunnels", "ip6gretap": "tunnels"}


class Netplan(Target):
    name = "netplan"
    kinds = tuple(_SECTIONS)
    otherwise = {
        "tap": "write transport: raw, or use --for networkd",
        "l2tp": "write transport: gre, or use --for networkd",
    }

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        network: dict[str, dict[str, object]] = {}
        for one in made:
            section = network.setdefault(_SECTIONS[one.interface.kind], {})
            section.update(_devices(one, made))
        text = to_yaml({"network": {"version": 2, "renderer": "networkd", **network}})
        return {f"70-{topology}.yaml": f"# The host's end of {topology}, as vecnet export wrote it\n{text}"}

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        yield from joins_what_exists(made, every, self.name)
        if made.gre and made.gre.oseq:
            yield "netplan has no sequence numbers for GRE", "leave sequence out, or use --for iproute2"
        if not made.interface.offload and made.interface.kind == "veth":
            message = "netplan does not switch a veth's checksum offload off, which a guest without gro needs"
            yield message, "write gro: on at the link, or use --for iproute2"


def _devices(made: Made, every: Sequence[Made]) -> Iterator[tuple[str, dict[str, object]]]:
    one = made.interface
    first: dict[str, object] = {"mtu": one.mtu, "ignore-carrier": True, "accept-ra": False}
    if one.mac:
        first["macaddress"] = one.mac
    if one.addresses:
        first["addresses"] = list(one.addresses)
    if one.kind == "bridge":
        first["interfaces"] = [other.interface.ifname for other in every if other.interface.bridge == one.ifname]
        first["parameters"] = {"stp": False}
    elif one.peer is not None:
        first["peer"] = one.peer.ifname
        second = {"mtu": one.mtu, "macaddress": one.peer.mac, "link-local": [], "accept-ra": False, "peer": one.ifname}
        yield one.peer.ifname, second
    elif made.gre:
        first |= {"mode": one.kind, "local": made.gre.local, "remote": made.gre.remote, "ttl": made.gre.ttl}
        if made.gre.ikey is not None:
            first["keys"] = {"input": made.gre.ikey, "output": made.gre.okey}
    yield one.ifname, first
