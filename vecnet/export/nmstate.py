"""nmstate: bridges and veth pairs, for NetworkManager. It has no taps, no GRE with Ethernet, and no L2TP.

There is no place for a mark: vecnet takes what NetworkManager made for somebody else's.

Source: nmstate.io, "NMState YAML API".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vecnet.export.base import Limit, Made, Target, joins_what_exists, to_yaml


class Nmstate(Target):
    name = "nmstate"
    kinds = ("bridge", "veth")
    otherwise = {
        "tap": "write transport: raw, or use --for networkd",
        **dict.fromkeys(("gretap", "ip6gretap", "l2tp"), "use --for networkd or --for iproute2"),
    }

    def files(self, topology: str, made: Sequence[Made]) -> Mapping[str, str]:
        interfaces = [state for one in made for state in _states(one, made)]
        text = to_yaml({"interfaces": interfaces})
        return {f"{topology}.yml": f"# The host's end of {topology}, as vecnet export wrote it\n{text}"}

    def limits(self, made: Made, every: Sequence[Made]) -> Iterator[Limit]:
        yield from joins_what_exists(made, every, self.name)


def _states(made: Made, every: Sequence[Made]) -> Iterator[dict[str, object]]:
    one = made.interface
    state: dict[str, object] = {"name": one.ifname, "state": "up", "mtu": one.mtu}
    if one.mac:
        state["mac-address"] = one.mac.upper()
    for family, sign in ("ipv4", "."), ("ipv6", ":"):
        state[family] = _family([address for address in one.addresses if (":" in address) is (sign == ":")])
    if one.kind == "bridge":
        ports = [{"name": other.interface.ifname} for other in every if other.interface.bridge == one.ifname]
        yield {**state, "type": "linux-bridge", "bridge": {"options": {"stp": {"enabled": False}}, "port": ports}}
        return
    assert one.peer is not None
    offload = {} if one.offload else {"ethtool": {"feature": {"tx-checksum-ip-generic": False}}}
    yield {**state, "type": "veth", "veth": {"peer": one.peer.ifname}, **offload}
    yield {
        "name": one.peer.ifname,
        "type": "veth",
        "state": "up",
        "mtu": one.mtu,
        "mac-address": one.peer.mac.upper(),
        "ipv4": {"enabled": False},
        "ipv6": {"enabled": False},
        "veth": {"peer": one.ifname},
        **offload,
    }


def _family(addresses: Sequence[str]) -> dict[str, object]:
    if not addresses:
        return {"enabled": False}
    found = [{"ip": text.partition("/")[0], "prefix-length": int(text.partition("/")[2])} for text in addresses]
    return {"enabled": True, "dhcp": False, "address": found}
