"""tap: a persistent tap interface that its owner may open. Made by ioctl, one at a time: netlink cannot.

1. Until TUNSETPERSIST, which comes last, a tap lives only as long as its maker: one that is killed leaves nothing.
2. A guest that opens a tap switches its checksum and segmentation offloads on, whatever they were before and whether it
   has gro or not. Without gro it cuts large frames short, so the host must not make any: gso_max_segs 1.

Source: kernel documentation, networking/tuntap; linux/if_tun.h.
"""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import struct
from collections.abc import Sequence
from typing import Any

from vecnet.errors import HostError, InUseError
from vecnet.host.kinds.base import Kind
from vecnet.host.plan import Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Stage, Work
from vecnet.kernel import netlink
from vecnet.kernel.rtnl import GSO_MAX_SEGS, Interface
from vecnet.transports.link import HostInterface

DEVICE = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP = 0x400454CA, 0x400454CB, 0x400454CC, 0x400454CE
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_TUN_EXCL = 0x0002, 0x1000, 0x4000, 0x8000
IFLA_TUN_OWNER, IFLA_TUN_GROUP, IFLA_TUN_TYPE, IFLA_TUN_VNET_HDR = 1, 2, 3, 5
_IFREQ = struct.Struct("=16sH22x")


class Tap(Kind):
    name = "tap"
    kernel_name = "tun"
    modules = ("tun",)
    fixed = frozenset({"owner", "group", "vnet_hdr"})
    late = ("gso_max_segs",)

    def wanted(self, interface: HostInterface) -> dict[str, Any]:
        given = interface.attributes
        return {
            "owner": _account(interface.ifname, "user", given.get("owner")),
            "group": _account(interface.ifname, "group", given.get("group")),
            "vnet_hdr": bool(given.get("vnet_hdr", True)),
            "gso_max_segs": GSO_MAX_SEGS if interface.offload else 1,
        }

    def seen(self, link: Interface, netns: str | None, world: Snapshot) -> dict[str, Any] | None:
        data = link.data
        values: dict[str, Any] = {
            "owner": netlink.number(data[IFLA_TUN_OWNER]) if IFLA_TUN_OWNER in data else None,
            "group": netlink.number(data[IFLA_TUN_GROUP]) if IFLA_TUN_GROUP in data else None,
            "gso_max_segs": link.gso_max_segs,
        }
        if not link.carrier:  # whoever has it open chose this for as long as that
            values["vnet_hdr"] = bool(IFLA_TUN_VNET_HDR in data and data[IFLA_TUN_VNET_HDR][0])
        return values

    def in_use(self, link: Interface, netns: str | None, world: Snapshot) -> str:
        return f"a guest has {link.ifname} open" if link.carrier else ""

    def lacking(self, netns: str | None, world: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        return () if os.path.exists(DEVICE) else self.modules  # noqa: PTH110

    def make(self, work: Work, node: Node) -> None:
        work.call(Stage.MAKE, node, node.netns, "make it", lambda _: _make(work, node))


def _make(work: Work, node: Node) -> None:
    """Make a tap that is marked before it stays. Raises OSError."""
    from vecnet.host import messages

    values = node.values
    place = work.world.place(node.netns)
    flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | (IFF_VNET_HDR if values.get("vnet_hdr", True) else 0)
    with place.entered():
        tap = _open()
    try:
        control(tap, TUNSETIFF, _IFREQ.pack(node.ifname.encode(), flags))
        message = messages.set_link(
            node.ifname,
            alias=str(work.mark(node)),
            group=work.group(node.netns),
            mtu=values["mtu"],
            mac=values.get("mac"),
        )
        refusal = place.route.batch([message])[0]
        if refusal:
            raise OSError(refusal.errno, str(refusal))
        for key, request in (("owner", TUNSETOWNER), ("group", TUNSETGROUP)):
            if values.get(key) is not None:
                control(tap, request, values[key])
        control(tap, TUNSETPERSIST, 1)
    finally:
        os.close(tap)


def _open() -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError as error:
        instead = f"{DEVICE} may not be opened by this user; distributions allow it: chmod a+rw {DEVICE}"
        raise OSError(error.errno, instead) from None


def attach(ifname: str) -> int:
    """Open a tap of this namespace: a descriptor that moves one bare frame a call. Raises HostError."""
    try:
        tap = _open()
        try:
            control(tap, TUNSETIFF, _IFREQ.pack(ifname.encode(), IFF_TAP | IFF_NO_PI))
        except BaseException:
            os.close(tap)
            raise
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise InUseError(f"{ifname} is open already: another guest uses it") from None
        why = "it belongs to another user" if error.errno == errno.EPERM else error.strerror
        raise HostError(f"{ifname} cannot be opened: {why}") from None
    return tap


def control(tap: int, request: int, argument: int | bytes) -> None:
    """One ioctl on a tap's descriptor. Raises OSError."""
    if isinstance(argument, int) and argument > 0x7FFFFFFF:
        argument -= 1 << 32  # Python passes an int on, and the kernel reads it as unsigned
    try:
        fcntl.ioctl(tap, request, argument)
    except OSError as error:
        if error.errno == errno.EINVAL and request in (TUNSETOWNER, TUNSETGROUP):
            raise OSError(errno.EINVAL, "its owner or group does not exist in this user namespace") from None
        raise


def _account(ifname: str, what: str, given: str | None) -> int | None:
    if given is None:
        return None
    text = str(given)
    try:
        if what == "user":
            return pwd.getpwnam(text).pw_uid
        return grp.getgrnam(text).gr_gid
    except KeyError:
        if text.isdigit():
            return int(text)
        raise HostError(f"{ifname}: this host has no {what} {text!r}; give the name or number of one it has") from None
