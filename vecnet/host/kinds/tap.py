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
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from typing import Literal

from vecnet.errors import HostError, InUseError, KernelLacksError
from vecnet.host.kinds.base import Intent, InterfaceKind, Scene, Seen
from vecnet.host.plan import ONCE, UNSAID, Node
from vecnet.host.snapshot import Snapshot
from vecnet.host.stages import Op, Stage, Way
from vecnet.kernel import netlink, rtnl
from vecnet.kernel.accounts import number_here, sudo_caller
from vecnet.kernel.namespaces import Namespace
from vecnet.kernel.rtnl import GSO_MAX_SEGS, Interface, Settings
from vecnet.kernel.unforeseen import advice
from vecnet.records import record
from vecnet.transports.link import Attributes, HostInterface, TapAttributes

DEVICE = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP = 0x400454CA, 0x400454CB, 0x400454CC, 0x400454CE
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_TUN_EXCL = 0x0002, 0x1000, 0x4000, 0x8000
NOBODYS: Literal["nobody's"] = "nobody's"
IFLA_TUN_OWNER, IFLA_TUN_GROUP, IFLA_TUN_TYPE, IFLA_TUN_VNET_HDR, IFLA_TUN_MULTI_QUEUE = 1, 2, 3, 5, 7
_IFREQ = struct.Struct("=16sH22x")


@record(frozen=True, slots=True)
class TapValues(Attributes):
    """Its owner and group as numbers. `vnet_hdr` is unsaid while a guest has it open, who chose that for as long.

    A tap that is made without a stated owner or group belongs to `caller`; whose one that exists is, it stays.
    """

    owner: int | Literal["nobody's"] | None = field(metadata=UNSAID)
    group: int | None
    vnet_hdr: bool | None = field(default=None, metadata=UNSAID)
    gso_max_segs: int = GSO_MAX_SEGS
    caller: int | None = field(default=None, metadata=ONCE)


@record(frozen=True, slots=True)
class Make:
    """Make a tap that is marked before it stays; `marking` is the message that does so."""

    ifname: str
    flags: int
    marking: bytes
    owner: int | None = None
    group: int | None = None

    def __call__(self, place: Namespace) -> None:
        with place.entered():
            tap = _open(self.ifname)
        try:
            control(tap, TUNSETIFF, _IFREQ.pack(self.ifname.encode(), self.flags))
            refusal = place.route.batch([self.marking])[0]
            if refusal:
                raise OSError(refusal.errno, str(refusal))
            for number, request in ((self.owner, TUNSETOWNER), (self.group, TUNSETGROUP)):
                if number is not None:
                    control(tap, request, number)
            control(tap, TUNSETPERSIST, 1)
        finally:
            os.close(tap)


class Tap(InterfaceKind):
    name = "tap"
    kernel_name = "tun"
    modules = ("tun",)
    fixed = frozenset({"owner", "group", "vnet_hdr"})
    marked = True

    def wanted_values(self, interface: HostInterface) -> TapValues:
        given = interface.attributes
        assert isinstance(given, TapAttributes)
        return TapValues(
            owner=_account(interface.ifname, "user", given.owner),
            group=_account(interface.ifname, "group", given.group),
            vnet_hdr=given.vnet_hdr,
            gso_max_segs=GSO_MAX_SEGS if interface.offload else 1,
            caller=sudo_caller() if given.owner is None and given.group is None else None,
        )

    def seen(self, link: Interface, netns: str | None, snapshot: Snapshot) -> Seen | None:
        data = link.data
        values = TapValues(
            owner=netlink.number(data[IFLA_TUN_OWNER]) if IFLA_TUN_OWNER in data else NOBODYS,
            group=netlink.number(data[IFLA_TUN_GROUP]) if IFLA_TUN_GROUP in data else None,
            vnet_hdr=None if link.carrier else bool(IFLA_TUN_VNET_HDR in data and data[IFLA_TUN_VNET_HDR][0]),
            gso_max_segs=link.gso_max_segs,
        )
        return (values,)

    def in_use(self, link: Interface, netns: str | None, snapshot: Snapshot) -> str:
        return f"a guest has {link.ifname} open" if link.carrier else ""

    def owner(self, values: Attributes) -> int | None:
        assert isinstance(values, TapValues)
        return values.owner if isinstance(values.owner, int) else None

    def unfit(self, there: Interface) -> str:
        if wrong := super().unfit(there):
            return wrong
        if netlink.number(there.data[IFLA_TUN_TYPE]) != IFF_TAP:
            return "is a tun, whose packets have no Ethernet header"
        several = IFLA_TUN_MULTI_QUEUE in there.data and there.data[IFLA_TUN_MULTI_QUEUE][0]
        return "has several queues, and a guest opens a tap of one" if several else ""

    def make(self, node: Node, scene: Scene) -> Iterator[Op]:
        values, (end,) = node.values, node.ends
        assert isinstance(values, TapValues)
        settings = Settings(mtu=end.mtu, mac=end.mac, group=scene.group(end.netns), alias=scene.alias(node, end, {}))
        flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | (0 if values.vnet_hdr is False else IFF_VNET_HDR)
        owner = values.owner if isinstance(values.owner, int) else values.caller
        call = Make(end.ifname, flags, rtnl.set_link(end.ifname, settings), owner, values.group)
        yield Op(Stage.MAKE, node, scene.place(end.netns), "make it", call, Way.CALL)

    def late(self, node: Node, settings: Settings) -> Settings:
        assert isinstance(node.values, TapValues)
        return settings if node.values.gso_max_segs == GSO_MAX_SEGS else super().late(node, settings)

    def with_own(self, values: Attributes, settings: Settings) -> Settings:
        assert isinstance(values, TapValues)
        return replace(settings, gso_max_segs=values.gso_max_segs)

    def lacking(self, netns: str | None, snapshot: Snapshot, nodes: Sequence[Node]) -> Sequence[str]:
        """None of which the modules would be enough, see `clashes`."""
        return ()

    def clashes(self, intent: Intent) -> Iterator[HostError]:
        """Without its device there is no tap, whatever the kernel has. One that only this user may not open is no
        matter: a plan may be for another."""
        new = intent.new(self.name)
        if not new:
            return
        try:
            os.close(_open(", ".join(map(str, new))))
        except KernelLacksError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EACCES):
                yield error


def _open(ifname: str) -> int:
    """Open the device, for `ifname`. Raises KernelLacksError where it is missing or kept from this process."""
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EPERM):
            raise
        message = f"{ifname}: {DEVICE} cannot be opened: {error.strerror}"
        raise KernelLacksError(message, advice(error)) from error


def attach(ifname: str) -> int:
    """Open a tap of this namespace: a descriptor that moves one bare frame a call. Raises HostError."""
    try:
        tap = _open(ifname)
        try:
            control(tap, TUNSETIFF, _IFREQ.pack(ifname.encode(), IFF_TAP | IFF_NO_PI))
        except BaseException:
            os.close(tap)
            raise
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise InUseError(f"{ifname} is open already: another guest uses it") from None
        why = "it belongs to another user" if error.errno == errno.EPERM else error.strerror
        raise HostError(f"{ifname} cannot be opened: {why}", advice(error)) from None
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
    try:
        number = pwd.getpwnam(given).pw_uid if what == "user" else grp.getgrnam(given).gr_gid
    except KeyError:
        if not given.isdigit():
            message = f"{ifname}: this host has no {what} {given!r}"
            raise HostError(message, "give the name or number of one it has") from None
        number = int(given)
    return number_here(number, "uid" if what == "user" else "gid")
