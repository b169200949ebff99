"""Generic netlink: the numbers of families, and messages to them. Source: linux/genetlink.h."""

from __future__ import annotations

import struct

from vecnet.errors import HostError
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace

GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
HEADER = struct.Struct("=BBxx")  # command, version


def request(
    family: int, command: int, version: int, payload: bytes = b"", *, dump: bool = False, ack: bool = False
) -> bytes:
    flags = netlink.NLM_F_REQUEST | (netlink.NLM_F_DUMP if dump else 0) | (netlink.NLM_F_ACK if ack else 0)
    return netlink.message(family, flags, HEADER.pack(command, version) + payload)


def families(place: Namespace) -> dict[str, int]:
    """The families that this kernel has now, by name; asking loads no module."""
    found = {}
    for _, message in place.generic.dump(request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 2, dump=True)):
        got = netlink.attributes(message[HEADER.size :])
        found[netlink.text(got[CTRL_ATTR_FAMILY_NAME])] = netlink.number(got[CTRL_ATTR_FAMILY_ID])
    return found


def load_family(place: Namespace, name: str) -> int | None:
    """A family's number, None where the kernel has none of that name. Asking loads its module."""
    payload = netlink.pack(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    try:
        _, message = place.generic.ask(request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 2, payload))
    except FileNotFoundError:
        return None
    return netlink.number(netlink.attributes(message[HEADER.size :])[CTRL_ATTR_FAMILY_ID])


def family(place: Namespace, name: str) -> int:
    """A family's number, of one that every kernel that vecnet supports can have. Raises HostError where it is not."""
    number = load_family(place, name)
    if number is None:
        raise HostError(f"this kernel has no netlink family {name}", "boot Linux 5.10 or a newer one, which has it")
    return number
