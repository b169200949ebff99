"""The messages that change the host, in the words of `stages.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecnet.kernel import encode, ethtool, l2tp, rtnl
from vecnet.kernel.rtnl import Settings

delete_link, delete_group, delete_tunnel = rtnl.delete_link, rtnl.delete_group, l2tp.delete_tunnel
set_features = ethtool.set_features
GRE_KEY, GRE_SEQUENCE = 0x2000, 0x1000  # RFC 2890, the flags' places in the header's first two bytes
_IP6GRE_FLAGS = 0x41  # IP6_TNL_F_IGN_ENCAP_LIMIT, IP6_TNL_F_ALLOW_LOCAL_REMOTE


def set_link(ifname: str, *, master: int | None = None, **settings: Any) -> bytes:
    if master is not None:
        return rtnl.set_master(ifname, settings.get("up")).of(master)
    return rtnl.set_link(ifname, Settings(**settings))


def new_link(ifname: str, kind: str, *, data: encode.Attrs | None = None, **settings: Any) -> bytes:
    return rtnl.new_link(ifname, kind, Settings(**settings), data or ())


def new_veth(ifname: str, peer: str, *, peer_netns: int | None = None, **settings: Any) -> bytes:
    theirs = {key.removeprefix("peer_"): value for key, value in settings.items() if key.startswith("peer_")}
    mine = {key: value for key, value in settings.items() if not key.startswith("peer_")}
    return rtnl.new_veth(ifname, Settings(**mine), peer, Settings(**theirs), peer_netns)


def address(index: int, text: str, *, add: bool) -> bytes:
    return rtnl.address(text, add=add).of(index)


def new_tunnel(family: int, group: int, values: Mapping[str, Any]) -> bytes:
    ports = (values["udp_sport"], values["udp_dport"]) if values["encap"] == "udp" else None
    return l2tp.new_tunnel(
        family,
        values["encap"],
        values["local"],
        values["remote"],
        tunnel_id=values["tunnel_id"],
        peer_tunnel_id=group,
        ports=ports,
    )


def new_session(family: int, ifname: str, values: Mapping[str, Any]) -> bytes:
    size = values["cookie_size"]
    cookies = [values[key].to_bytes(size, "big") if size else b"" for key in ("cookie", "peer_cookie")]
    return l2tp.new_session(
        family,
        ifname,
        tunnel_id=values["tunnel_id"],
        session_id=values["session_id"],
        peer_session_id=values["peer_session_id"],
        l2spec=values["l2spec_type"],
        cookie=cookies[0],
        peer_cookie=cookies[1],
    )


def gretap_data(values: Mapping[str, Any]) -> encode.Attrs:
    """A gretap's attributes, from `values` in iproute2's words. The kernel's own oversized packets are fragmented."""
    return [*_gre_data("IFLA_GRE_", values, int), ("IFLA_GRE_PMTUDISC", 0), ("IFLA_GRE_IGNORE_DF", 1)]


def ip6gretap_data(values: Mapping[str, Any]) -> encode.Attrs:
    """An ip6gretap's attributes: no destination option before each packet, and a remote on this host is allowed."""
    return [*_gre_data("IFLA_IP6GRE_", values, encode.ip6gre_flags), ("IFLA_IP6GRE_FLAGS", _IP6GRE_FLAGS)]


def _gre_data(prefix: str, values: Mapping[str, Any], flags: Any) -> list[tuple[str, Any]]:
    key = GRE_KEY if values["ikey"] is not None else 0
    attrs: list[tuple[str, Any]] = [
        ("IFLAGS", flags(key)),
        ("OFLAGS", flags(key | (GRE_SEQUENCE if values["oseq"] else 0))),
        ("LOCAL", values["local"]),
        ("REMOTE", values["remote"]),
        ("TTL", values["ttl"]),
    ]
    if key:
        attrs += [("IKEY", values["ikey"]), ("OKEY", values["okey"])]
    return [(prefix + name, value) for name, value in attrs]
