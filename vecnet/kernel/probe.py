"""Whether this kernel has a kind of interface, or a protocol, without making anything that stays.

The request to make an interface carries an Ethernet address of 3 bytes. A kernel that knows the kind (or can load its
module) refuses the address, EINVAL; one that does not says EOPNOTSUPP. rtnetlink(7).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace

_RTM_NEWLINK = 16
_CREATE = 0x605  # NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
_IFLA_ADDRESS, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 18, 1


def lacks_kind(place: Namespace, kind: str) -> bool | None:
    """Whether the kernel lacks a kind; None where this process may not ask."""
    payload = (
        struct.pack("=BxHiII", 0, 0, 0, 0, 0)
        + netlink.pack(_IFLA_ADDRESS, b"\x02\0\0")
        + netlink.pack(_IFLA_LINKINFO, netlink.pack(_IFLA_INFO_KIND, kind.encode() + b"\0"))
    )
    try:
        answer = place.route.batch([netlink.message(_RTM_NEWLINK, _CREATE, payload)])[0]
    except OSError as error:
        raise HostError(f"the kernel does not say whether it has {kind} interfaces: {error.strerror}") from error
    if answer is not None and answer.errno == errno.EPERM:
        return None
    return answer is not None and answer.errno == errno.EOPNOTSUPP


def lacks_protocol(place: Namespace, family: int, protocol: int) -> bool:
    """Whether the kernel lacks a datagram protocol, asked by opening a socket, which loads its module. socket(2)."""
    try:
        with place.entered():
            socket.socket(family, socket.SOCK_DGRAM, protocol).close()
    except OSError as error:
        return error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT)
    return False


def lacks_module(name: str) -> bool:
    """Whether a module is neither loaded nor where modprobe(8) would find it. False where that cannot be seen."""
    if Path("/sys/module", name).exists():
        return False
    lists = Path("/lib/modules", os.uname().release)
    try:
        known = (lists / "modules.dep").read_text() + (lists / "modules.builtin").read_text()
    except OSError:
        return False
    return f"/{name}.ko" not in known
