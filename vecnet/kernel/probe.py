"""Whether this kernel has a kind of interface, or a protocol, without making anything that stays.

The request to make an interface carries an Ethernet address of 3 bytes. A kernel that knows the kind (or can load its
module) refuses the address, EINVAL; one that does not says EOPNOTSUPP. rtnetlink(7).
"""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import netlink
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.rtnl import IFINFO, IFLA_ADDRESS, IFLA_INFO_KIND, IFLA_LINKINFO, RTM_NEWLINK

Address = tuple[str, int]


def lacks_kind(place: Namespace, kind: str) -> bool | None:
    """Whether the kernel lacks a kind; None where this process may not ask."""
    payload = (
        IFINFO.pack(0, 0, 0, 0, 0)
        + netlink.pack(IFLA_ADDRESS, b"\x02\0\0")
        + netlink.pack(IFLA_LINKINFO, netlink.pack(IFLA_INFO_KIND, kind.encode() + b"\0"))
    )
    try:
        answer = place.route.batch([netlink.message(RTM_NEWLINK, netlink.MAKE, payload)])[0]
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


def lacks_ipv6(place: Namespace, ifname: str = "") -> tuple[str, str]:
    """Why an interface of a namespace can have no IPv6 address, and what to do; empty where it can.

    `ifname` is one that is there; without it, one to be made. Source: kernel documentation, networking/ip-sysctl and
    networking/ipv6.
    """
    if lacks_protocol(place, socket.AF_INET6, 0):
        return "this kernel has no IPv6", "boot it without ipv6.disable=1, or load its module with: modprobe ipv6"
    setting = Path("/proc/sys/net/ipv6/conf", ifname or "default", "disable_ipv6")
    try:
        with place.entered():
            off = setting.read_text().strip() not in ("0", "")
    except OSError:  # it cannot be seen, or the interface has no IPv6 yet
        off = False
    if not off:
        return "", ""
    return f"IPv6 is off in {place}", f"allow it with: sysctl -w {'.'.join(setting.parts[3:])}=0"


def udp_error(place: Namespace, *, bind: Address | None = None, connect: Address | None = None) -> int:
    """The error number of binding, or connecting, a UDP socket in a namespace; 0 where there is none."""
    address = bind or connect
    assert address is not None
    with place.entered():
        probe = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    with probe:
        try:
            probe.bind(address) if bind else probe.connect(address)
        except OSError as error:
            return error.errno or 0
        return 0


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


def keeps_ownerless_taps(release: str) -> bool:
    """Whether a host's kernel lets CAP_NET_ADMIN alone open a tap that has no owner (drivers/net/tun.c).

    Since 7.3.3, and in the series 6.12 since 6.12.117; of other series that is not known, and not said.
    """
    found = re.match(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?", release)
    version = tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return version >= (7, 3, 3) or (6, 12, 117) <= version < (6, 13, 0)
