"""The MTU of the way from one outer address to another, and of an interface, asked of the kernel without netlink.

A UDP socket that is bound and connected has a route, and the route an MTU: connecting sends nothing.
Source: ip(7), ipv6(7), netdevice(7); include/uapi/linux/in.h, in6.h, sockios.h.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct

IP_MTU = 14
IPV6_MTU = 24
SIOCGIFMTU = 0x8921
_IFREQ = struct.Struct("=16si20x")
_DISCARD = 9  # RFC 863; any port would do


def route_mtu(local: str, remote: str) -> int | None:
    """Bytes of the largest IP packet from `local` to `remote`; None where the host has no such address or route."""
    v6 = ":" in local
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((local, 0))
        s.connect((remote, _DISCARD))
        return s.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU) if v6 else s.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return None


def interface_mtu(ifname: str) -> int | None:
    """Bytes of the largest packet that an interface of this network namespace takes; None where it is not there."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        answer = fcntl.ioctl(s, SIOCGIFMTU, _IFREQ.pack(ifname.encode(), 0))
        return int(_IFREQ.unpack(answer)[1])
    return None
