"""What somebody may have set at an interface of ours, and vecnet never sets: seen, in `ip`'s words, and set back.

Whatever of it is there keeps frames from where they should go, or holds them back.

Source: netdevice(7); linux/if_link.h, "Bridge section"; tc(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vecnet.kernel import rtnl
from vecnet.kernel.rtnl import Interface
from vecnet.kernel.template import Unindexed

# queues that only hold frames until they can be sent, which the kernel or its administrator chooses for all interfaces
_PLAIN_QUEUES = frozenset(
    ("", *"noop noqueue mq pfifo_fast pfifo bfifo fq fq_codel fq_pie codel pie sfq cake".split())  # noqa: SIM905
)

_OF_BRIDGE = {  # of a bridge: the attribute, the encoder's name for it; it is to be 0
    "stp on": (5, "IFLA_BR_STP_STATE"),
    "vlan_filtering on": (7, "IFLA_BR_VLAN_FILTERING"),
}
_OF_PORT = {  # of a bridge's member: the attribute, the encoder's name for it, and what it is to be
    "isolated on": (33, "IFLA_BRPORT_ISOLATED", 0),
    "locked on": (39, "IFLA_BRPORT_LOCKED", 0),
    "hairpin on": (4, "IFLA_BRPORT_MODE", 0),
    "learning off": (8, "IFLA_BRPORT_LEARNING", 1),
    "flood off": (9, "IFLA_BRPORT_UNICAST_FLOOD", 1),
    "mcast_flood off": (27, "IFLA_BRPORT_MCAST_FLOOD", 1),
    "bcast_flood off": (30, "IFLA_BRPORT_BCAST_FLOOD", 1),
}


def seen(link: Interface, *, impaired: bool = False) -> tuple[str, ...]:
    """What is set at an interface; `impaired` where its netem is vecnet's."""
    found = [] if link.arp else ["arp off"]
    found += [] if link.multicast else ["multicast off"]
    found += [] if impaired or link.qdisc in _PLAIN_QUEUES else [f"qdisc {link.qdisc}"]
    if link.kind == "bridge":
        found += [words for words, (number, _) in _OF_BRIDGE.items() if any(link.data.get(number, b""))]
    for words, (number, _, usual) in _OF_PORT.items():
        if number in link.port and bool(link.port[number][0]) is not bool(usual):
            found.append(words)
    return tuple(found)


def set_back(ifname: str, settings: Sequence[str]) -> Iterator[tuple[str, bytes | Unindexed]]:
    """What the kernel is asked to do, in words, and the message: one that lacks its number is for the interface's."""
    for words in settings:
        what = f"set its {words} back"
        if words in ("arp off", "multicast off"):
            yield what, rtnl.set_flag(ifname, rtnl.IFF_NOARP if words == "arp off" else rtnl.IFF_MULTICAST)
        elif words in _OF_BRIDGE:
            yield what, rtnl.set_data(ifname, "bridge", [(_OF_BRIDGE[words][1], 0)])
        elif words in _OF_PORT:
            yield what, rtnl.set_data(ifname, "bridge", [_OF_PORT[words][1:]], member=True)
        else:
            yield what, rtnl.delete_qdisc()
