"""ethtool's generic netlink: what is known of all interfaces' features at once, and switching them.

Source: linux/ethtool_netlink.h; kernel documentation, "Netlink interface for ethtool".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vecnet.kernel import genl, netlink
from vecnet.kernel.namespaces import Namespace

ETHTOOL_MSG_STRSET_GET, ETHTOOL_MSG_FEATURES_GET, ETHTOOL_MSG_FEATURES_SET = 1, 11, 12
ETHTOOL_A_HEADER_DEV_INDEX, ETHTOOL_A_HEADER_FLAGS, COMPACT_BITSETS = 1, 3, 1
ETHTOOL_A_BITSET_VALUE = 4
ETH_SS_FEATURES = 4
FEATURES_ACTIVE = 4  # ETHTOOL_A_FEATURES_ACTIVE

CHECKSUM = "tx-checksum-ip-generic"  # ethtool's name of NETIF_F_HW_CSUM, which tap, veth and gretap have
CHECKSUMS = (CHECKSUM, "tx-checksum-sctp")  # what `ethtool -K IFNAME tx off` switches on these

JOINING = {"gro": "rx-gro", "lro": "rx-lro", "rx-gro-hw": "rx-gro-hw"}  # by the words of `ethtool -K`


def read_checksum_offload(place: Namespace) -> dict[int, bool]:
    """By interface index: whether transmit checksum offload is wanted. A tap has it only while a guest asks for it,
    so what is wanted tells, not what is active. Raises HostError."""
    number = genl.family(place, "ethtool")
    header = netlink.pack(ETHTOOL_A_HEADER_FLAGS, struct.pack("=I", COMPACT_BITSETS))
    ask = genl.request(number, ETHTOOL_MSG_FEATURES_GET, 1, netlink.pack(1 | netlink.NESTED, header), dump=True)
    bit = _bits(place, number)[CHECKSUM]
    found = {}
    read: dict[bytes, bool | None] = {}  # interfaces of one kind have the same features, thousands of times
    for _, message in place.generic.dump(ask):
        got = netlink.attributes(message[genl.HEADER.size :], frozenset((1, 2, 3)))
        if len(got) < 3:
            continue
        sets = bytes(got[2]) + bytes(got[3])
        if sets not in read:
            able, wanted = (netlink.attributes(got[number])[ETHTOOL_A_BITSET_VALUE] for number in (2, 3))
            read[sets] = bool(wanted[bit // 8] >> bit % 8 & 1) if able[bit // 8] >> bit % 8 & 1 else None
        if read[sets] is not None:
            found[netlink.number(netlink.attributes(got[1])[ETHTOOL_A_HEADER_DEV_INDEX])] = bool(read[sets])
    return found


def read_joining(place: Namespace, index: int) -> tuple[str, ...]:
    """The features, in the words of `ethtool -K`, with which an interface joins the frames that it receives."""
    number = genl.family(place, "ethtool")
    header = netlink.pack(ETHTOOL_A_HEADER_DEV_INDEX, struct.pack("=I", index))
    header += netlink.pack(ETHTOOL_A_HEADER_FLAGS, struct.pack("=I", COMPACT_BITSETS))
    ask = genl.request(number, ETHTOOL_MSG_FEATURES_GET, 1, netlink.pack(1 | netlink.NESTED, header))
    _, message = place.generic.ask(ask)
    active = netlink.attributes(netlink.attributes(message[genl.HEADER.size :])[FEATURES_ACTIVE])
    bits, active_bits = _bits(place, number), active[ETHTOOL_A_BITSET_VALUE]
    return tuple(
        word
        for word, feature in JOINING.items()
        if (bit := bits.get(feature)) is not None and active_bits[bit // 8] >> bit % 8 & 1
    )


_BITS: dict[str, int] = {}  # the same for every namespace of this kernel


def _bits(place: Namespace, family: int) -> dict[str, int]:
    """The numbers of ethtool's features, which differ between kernels."""
    if not _BITS:
        chosen = netlink.pack(1 | netlink.NESTED, netlink.pack(1, struct.pack("=I", ETH_SS_FEATURES)))
        payload = netlink.pack(1 | netlink.NESTED, b"") + netlink.pack(2 | netlink.NESTED, chosen)
        _, message = place.generic.ask(genl.request(family, ETHTOOL_MSG_STRSET_GET, 1, payload))
        sets = netlink.attributes(message[genl.HEADER.size :])[2]
        strings = netlink.attributes(netlink.attributes(sets)[1])[3]
        for _, one in netlink.every(strings):
            got = netlink.attributes(one)
            _BITS[netlink.text(got[2])] = netlink.number(got[1])
    return _BITS


def set_features(number: int, ifname: str, features: Sequence[str], on: bool) -> bytes:
    """Switch an interface's features, by ethtool's names for them; `number` is the family's."""
    from vecnet.kernel import encode

    value = [("ETHTOOL_A_BITSET_BIT_VALUE", True)] if on else []
    bits = [
        ("ETHTOOL_A_BITSET_BITS_BIT", {"attrs": [("ETHTOOL_A_BITSET_BIT_NAME", name), *value]}) for name in features
    ]
    return encode.ethtool_features(
        number,
        ETHTOOL_MSG_FEATURES_SET,
        netlink.ACKED,
        [
            ("ETHTOOL_A_FEATURES_HEADER", {"attrs": [("ETHTOOL_A_HEADER_DEV_NAME", ifname)]}),
            ("ETHTOOL_A_FEATURES_WANTED", {"attrs": [("ETHTOOL_A_BITSET_BITS", {"attrs": bits})]}),
        ],
    )
