"""An interface as commands of a shell: what makes it, what it then needs, what removes it.

Every word is quoted as a shell reads it. The order is that of `up`: an interface is
marked before it can carry anything.

Source: ip-link(8), ip-l2tp(8), ip-tuntap(8), ip-address(8), ethtool(8).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from vecnet.export.base import Made
from vecnet.transports.link import GreAttributes, L2tpAttributes, TapAttributes, VethAttributes


def make(made: Made) -> Iterator[str]:
    """Until it is there and carries its mark."""
    one, values = made.interface, made.interface.attributes
    common = ["address", one.mac or "", "mtu", one.mtu] if one.mac else ["mtu", one.mtu]
    marked = ["group", made.group] if made.group else []
    alias = ["alias", made.alias] if made.alias else []
    if isinstance(values, TapAttributes):
        owner = [*(["user", values.owner] if values.owner else []), *(["group", values.group] if values.group else [])]
        vnet = ["vnet_hdr"] if values.vnet_hdr else []
        segments = [] if one.offload else ["gso_max_segs", 1]
        yield _line("ip", "tuntap", "add", "dev", one.ifname, "mode", "tap", *vnet, *owner)
        yield _line("ip", "link", "set", "dev", one.ifname, *common, *marked, *alias, *segments)
        return
    if isinstance(values, L2tpAttributes):
        yield from _l2tp(made, values)
        yield _line("ip", "link", "set", "dev", one.ifname, *common, *marked, *alias)
        return
    add = ["ip", "link", "add", "dev", one.ifname, *common, *marked, "type", one.kind]
    if one.peer is not None:
        yield _line(*add, "peer", "name", one.peer.ifname, "address", one.peer.mac, "mtu", one.mtu)
    else:
        yield _line(*add, *(_gre(one.kind, values) if isinstance(values, GreAttributes) else ()))
    if alias:
        yield _line("ip", "link", "set", "dev", one.ifname, *alias)
    if one.peer is not None:
        peer = ["alias", made.peer_alias] if made.peer_alias else []
        yield _line("ip", "link", "set", "dev", one.peer.ifname, *marked, *peer)


def settle(made: Made) -> Iterator[str]:
    """Until frames pass: offloads, IPv6, the bridge that it joins, up."""
    one, values = made.interface, made.interface.attributes
    ends = made.ends
    if not one.offload and one.kind in ("veth", "gretap", "ip6gretap"):
        yield from (f"{_line('ethtool', '-K', name, 'tx', 'off')} >/dev/null" for name in ends)
    guests = ends if isinstance(values, VethAttributes) and not values.autoconf else ends[1:]
    yield from (_without_ipv6(name) for name in guests)
    if one.bridge:
        yield _line("ip", "link", "set", "dev", one.ifname, "master", one.bridge)
    yield from (_line("ip", "link", "set", "dev", name, "up") for name in ends)


def addresses(made: Made) -> Iterator[str]:
    """Its addresses: IPv6 without duplicate detection, which would keep a new one from being bound."""
    for address in made.interface.addresses:
        rest = ["nodad"] if ":" in address else ["broadcast", "+"]
        yield _line("ip", "address", "add", address, *rest, "dev", made.interface.ifname)


def remove(made: Made) -> str:
    """A pair's second end goes with the first, a session with its tunnel."""
    if made.l2tp:
        return _line("ip", "l2tp", "del", "tunnel", "tunnel_id", made.l2tp.tunnel_id)
    return _line("ip", "link", "delete", "dev", made.interface.ifname)


def peer_tunnel(made: Made) -> int:
    """The number of the peer's tunnel, which no packet carries: vecnet's mark, where there is one."""
    return made.group or (made.l2tp.tunnel_id if made.l2tp else 0)


def _gre(kind: str, values: GreAttributes) -> Iterator[object]:
    yield from ("local", values.local, "remote", values.remote)
    yield from ("ttl" if kind == "gretap" else "hoplimit", values.ttl)
    if values.ikey is not None:
        yield from ("ikey", values.ikey, "okey", values.okey)
    if values.oseq:
        yield "oseq"
    yield from ("nopmtudisc", "ignore-df") if kind == "gretap" else ("encaplimit", "none", "allow-localremote")


def _l2tp(made: Made, values: L2tpAttributes) -> Iterator[str]:
    tunnel: list[object] = ["tunnel_id", values.tunnel_id, "peer_tunnel_id", peer_tunnel(made)]
    tunnel += ["encap", values.encap, "local", values.local, "remote", values.remote]
    if values.encap == "udp":
        tunnel += ["udp_sport", values.udp_sport, "udp_dport", values.udp_dport]
    yield _line("ip", "l2tp", "add", "tunnel", *tunnel)
    session: list[object] = ["name", made.interface.ifname, "tunnel_id", values.tunnel_id]
    session += ["session_id", values.session_id, "peer_session_id", values.peer_session_id]
    for name, cookie in ("cookie", values.cookie), ("peer_cookie", values.peer_cookie):
        if cookie is not None:
            session += [name, f"{cookie:0{2 * values.cookie_size}x}"]
    yield _line("ip", "l2tp", "add", "session", *session, "l2spec_type", values.l2spec_type)


def _without_ipv6(ifname: str) -> str:
    """At an end that is a guest's; there is no such file where the kernel, or the MTU, leaves IPv6 out."""
    file = shlex.quote(f"/proc/sys/net/ipv6/conf/{ifname}/disable_ipv6")
    return f"[ ! -e {file} ] || echo 1 >{file}"


def _line(*words: object) -> str:
    return shlex.join(map(str, words))
