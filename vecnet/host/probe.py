"""Whether this kernel has a kind of interface, without making one.

The request to make one carries an Ethernet address of 3 bytes. A kernel that knows the kind (or can load its module)
refuses the address, EINVAL; one that does not says EOPNOTSUPP. Nothing is ever made. rtnetlink(7).
"""

from __future__ import annotations

import errno
import struct

from vecnet.errors import HostError
from vecnet.host import wire
from vecnet.host.namespaces import Namespace

_RTM_NEWLINK = 16
_CREATE = 0x605  # NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
_IFLA_ADDRESS, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 18, 1


def lacks_kind(place: Namespace, kind: str) -> bool | None:
    """Whether the kernel lacks a kind; None where this process may not ask."""
    payload = (
        struct.pack("=BxHiII", 0, 0, 0, 0, 0)
        + wire.pack(_IFLA_ADDRESS, b"\x02\0\0")
        + wire.pack(_IFLA_LINKINFO, wire.pack(_IFLA_INFO_KIND, kind.encode() + b"\0"))
    )
    try:
        answer = place.route.batch([wire.message(_RTM_NEWLINK, _CREATE, payload)])[0]
    except OSError as error:
        raise HostError(f"the kernel does not say whether it has {kind} interfaces: {error.strerror}") from error
    if answer is not None and answer.errno == errno.EPERM:
        return None
    return answer is not None and answer.errno == errno.EOPNOTSUPP
