"""Generic netlink: the numbers of families, and what ethtool knows of all interfaces at once.

Source: linux/genetlink.h, linux/ethtool_netlink.h; kernel documentation, "Netlink interface for ethtool".
"""

from __future__ import annotations

import struct

from vecnet.host import wire
from vecnet.host.namespaces import Namespace

GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
ETHTOOL_MSG_STRSET_GET, ETHTOOL_MSG_FEATURES_GET = 1, 11
ETHTOOL_A_HEADER_DEV_INDEX, ETHTOOL_A_HEADER_FLAGS, COMPACT_BITSETS = 1, 3, 1
ETHTOOL_A_BITSET_VALUE = 4
ETH_SS_FEATURES = 4
NESTED = 0x8000
_GENL = struct.Struct("=BBxx")  # command, version

CHECKSUM = "tx-checksum-ip-generic"  # ethtool's name of NETIF_F_HW_CSUM, which tap, veth and gretap have
CHECKSUMS = (CHECKSUM, "tx-checksum-sctp")  # what `ethtool -K IFNAME tx off` switches on these


def request(
    family: int, command: int, version: int, payload: bytes = b"", *, dump: bool = False, ack: bool = False
) -> bytes:
    flags = wire.NLM_F_REQUEST | (wire.NLM_F_DUMP if dump else 0) | (wire.NLM_F_ACK if ack else 0)
    return wire.message(family, flags, _GENL.pack(command, version) + payload)


def families(place: Namespace) -> dict[str, int]:
    """The families that this kernel has now, by name; asking loads no module."""
    found = {}
    for _, message in place.generic.dump(request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 2, dump=True)):
        got = wire.attributes(message[_GENL.size :])
        found[wire.text(got[CTRL_ATTR_FAMILY_NAME])] = wire.number(got[CTRL_ATTR_FAMILY_ID])
    return found


def load_family(place: Namespace, name: str) -> int | None:
    """A family's number, None where the kernel has none of that name. Asking loads its module."""
    payload = wire.pack(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    try:
        _, message = place.generic.ask(request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 2, payload))
    except FileNotFoundError:
        return None
    return wire.number(wire.attributes(message[_GENL.size :])[CTRL_ATTR_FAMILY_ID])


def ethtool_family(place: Namespace) -> int:
    number = load_family(place, "ethtool")
    assert number is not None, "every kernel since 5.6 has ethtool's netlink family"
    return number


def read_checksum_offload(place: Namespace) -> dict[int, bool]:
    """By interface index: whether transmit checksum offload is wanted. A tap has it only while a guest asks for it,
    so what is wanted tells, not what is active."""
    family = ethtool_family(place)
    header = wire.pack(ETHTOOL_A_HEADER_FLAGS, struct.pack("=I", COMPACT_BITSETS))
    ask = request(family, ETHTOOL_MSG_FEATURES_GET, 1, wire.pack(1 | NESTED, header), dump=True)
    bit = _feature_bit(place, family)
    found = {}
    read: dict[bytes, bool | None] = {}  # interfaces of one kind have the same features, thousands of times
    for _, message in place.generic.dump(ask):
        got = wire.attributes(message[_GENL.size :], (1, 2, 3))
        if len(got) < 3:
            continue
        sets = bytes(got[2]) + bytes(got[3])
        if sets not in read:
            able, wanted = (wire.attributes(got[number])[ETHTOOL_A_BITSET_VALUE] for number in (2, 3))
            read[sets] = bool(wanted[bit // 8] >> bit % 8 & 1) if able[bit // 8] >> bit % 8 & 1 else None
        if read[sets] is not None:
            found[wire.number(wire.attributes(got[1])[ETHTOOL_A_HEADER_DEV_INDEX])] = bool(read[sets])
    return found


def _feature_bit(place: Namespace, family: int) -> int:
    return _bits(place, family)[CHECKSUM]


_BITS: dict[str, int] = {}  # the same for every namespace of this kernel


def _bits(place: Namespace, family: int) -> dict[str, int]:
    """The numbers of ethtool's features, which differ between kernels."""
    if not _BITS:
        chosen = wire.pack(1 | NESTED, wire.pack(1, struct.pack("=I", ETH_SS_FEATURES)))
        payload = wire.pack(1 | NESTED, b"") + wire.pack(2 | NESTED, chosen)
        _, message = place.generic.ask(request(family, ETHTOOL_MSG_STRSET_GET, 1, payload))
        sets = wire.attributes(message[_GENL.size :])[2]
        strings = wire.attributes(wire.attributes(sets)[1])[3]
        for _, one in wire.every(strings):
            got = wire.attributes(one)
            _BITS[wire.text(got[2])] = wire.number(got[1])
    return _BITS
