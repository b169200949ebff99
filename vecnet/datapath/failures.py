"""What a negative errno of C means: the exception that it becomes, with what would mend it."""

from __future__ import annotations

import errno
import os
from shlex import quote

from vecnet._native import lib
from vecnet.errors import (
    AddressMissing,
    InterfaceMissing,
    ListenerMissing,
    PermissionMissing,
    PortClosed,
    PortError,
    ResourceMissing,
)
from vecnet.kernel.unforeseen import advice, way_to

_VDEPLUG = "its network must be there first; vdeplug 4 is Debian's vdeplug, and slirp:// its libvdeplug-slirp"


def moving(number: int, said: str = "") -> PortError:
    """Frames could not be moved, for the errno `number`. `said` is what the program at the other end has said."""
    why = os.strerror(number)
    if number == errno.ECANCELED:
        return PortClosed("the port is closed")
    if number in (errno.ENETDOWN, errno.ENXIO, errno.EIO, errno.EBADFD):
        return InterfaceMissing(
            f"the interface went down or away while the port was open ({why})",
            "bring it back with: ip link set … up; one that was deleted is made again, and the port opened again",
        )
    if number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNREFUSED, errno.ENOTCONN):
        return ListenerMissing(f"the other end closed the connection ({why})")
    if number == errno.ECHILD:
        why = next((line for line in said.splitlines() if line.strip()), "its network is gone")
        return ListenerMissing(f"vde_plug has ended: {why}", _VDEPLUG)
    if number == errno.EDESTADDRREQ:
        return PortError("the descriptor's socket has no other end", "connect it before the port is opened")
    return PortError(f"frames could not be moved: {why}")


def opening(transport: str, step: int, detail: str, number: int, transports: tuple[str, ...]) -> PortError:
    """A port of `transport` could not be opened: at this step (vn_step), on `detail`, for the errno `number`."""
    kind, message, instead = _explained(step, detail, number, transports)
    return kind(f"{transport}: {message}", instead)


def _explained(step: int, detail: str, number: int, transports: tuple[str, ...]) -> tuple[type[PortError], str, str]:
    why = os.strerror(number)
    denied = number in (errno.EPERM, errno.EACCES)
    # The kernel's answer when a step fails in a way of its own; anything else falls to the last lines.
    if step == lib.VN_STEP_TRANSPORT:
        if detail in transports:
            return PortError, "this transport has no switch's role; only bess has", ""
        return PortError, f"there is no transport {detail!r}", f"there are {', '.join(transports)}"
    if step == lib.VN_STEP_OPTION:
        return PortError, f"the option {detail} is missing or cannot be read ({why})", ""
    if step == lib.VN_STEP_RESOLVE:
        return (
            AddressMissing,
            f"{detail!r} has no address of this family",
            "give an address, or name it in /etc/hosts",
        )
    if step == lib.VN_STEP_SOCKET and denied:
        return (
            PermissionMissing,
            f"a {detail} socket needs CAP_NET_RAW",
            "run as root, in `vecnet sandbox`, or give it with: setcap cap_net_raw+ep PYTHON",
        )
    if step == lib.VN_STEP_BIND:
        if number == errno.EADDRNOTAVAIL:
            return (
                AddressMissing,
                f"the local address {detail} is on no interface here",
                "give one that is, as `ip -br addr` shows; another machine's is never to be added here",
            )
        if number == errno.EADDRINUSE:
            return (
                PortError,
                f"{detail} is in use, by a socket or a file",
                "give another port or path, or end what uses it",
            )
        if number == errno.EINVAL:
            return (
                AddressMissing,
                f"the local address {detail} belongs to one link",
                f"name its interface: {detail}%eth0",
            )
        if number == errno.ENOENT:
            return PortError, f"{detail} cannot be made: its folder is not there", "make it with: mkdir -p"
        if denied:
            return (
                PermissionMissing,
                f"{detail} may not be bound ({why})",
                "ports below 1024 need CAP_NET_BIND_SERVICE, a path a folder that may be written",
            )
    if step == lib.VN_STEP_ROUTE and denied:
        return AddressMissing, f"{detail} is a broadcast address", "give the other end's own"
    if step == lib.VN_STEP_ROUTE:
        return (
            AddressMissing,
            f"no route leads to {detail} ({why})",
            way_to(detail),
        )
    if step == lib.VN_STEP_CONNECT:
        if denied:
            return PermissionMissing, f"the socket {detail} may not be used", "make it writable for this user"
        if number == errno.EAGAIN:
            return (
                ListenerMissing,
                f"the switch at {detail} accepts nobody: its queue is full",
                "start it again, or wait until it has served the others",
            )
        if number in (errno.ENOENT, errno.ECONNREFUSED):
            return (
                ListenerMissing,
                f"nobody listens at {detail} ({why})",
                "start the switch first, or open this port with role='switch'",
            )
        if number == errno.EPROTOTYPE:
            return (
                ListenerMissing,
                f"{detail} is a socket of another type",
                "the switch's must be a SOCK_SEQPACKET one",
            )
    if step == lib.VN_STEP_INTERFACE and number in (errno.ENODEV, errno.ENXIO):
        return (
            InterfaceMissing,
            f"there is no interface {detail} in this network namespace",
            "make it with: vecnet up",
        )
    if step == lib.VN_STEP_DOWN:
        return (
            InterfaceMissing,
            f"the interface {detail} is down",
            f"bring it up with: ip link set {quote(detail)} up",
        )
    if step == lib.VN_STEP_SOCKET and number in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
        return ResourceMissing, f"this kernel has no {detail} sockets ({why})", "boot one that has"
    if step == lib.VN_STEP_TUN_OPEN:
        kind = PermissionMissing if denied else ResourceMissing
        return kind, f"{detail} cannot be opened ({why})", advice(OSError(number, why, detail))
    if step == lib.VN_STEP_TUN_ATTACH:
        if denied:
            return (
                PermissionMissing,
                f"the tap {detail} belongs to another user, and CAP_NET_ADMIN is missing",
                f"make it with: ip tuntap add {quote(detail)} mode tap user NAME",
            )
        if number == errno.EBUSY:
            return (
                PortError,
                f"the tap {detail} is in use by another process, most likely a running guest",
                "stop it",
            )
        if number == errno.EINVAL:
            return (
                PortError,
                f"{detail} is no tap of one queue",
                f"make one with: ip tuntap add {quote(detail)} mode tap vnet_hdr",
            )
    if step == lib.VN_STEP_TUN_HEADER:
        return (
            PortError,
            f"the tap {detail}, where a guest expects one of {lib.VN_VNET}",
            "vecnet down, then vecnet up make it again; one that is not vecnet's is its owner's to make again",
        )
    if step == lib.VN_STEP_MISFIT:
        return (
            PortError,
            f"descriptor {detail}, and carries no bare Ethernet frames",
            "pass on one end of a SOCK_SEQPACKET or SOCK_DGRAM pair, or a tap's descriptor with IFF_NO_PI alone",
        )
    if step == lib.VN_STEP_DESCRIPTOR and number == errno.EBADF:
        return (
            PortError,
            f"descriptor {detail} is not open for reading and writing",
            "pass it on at this process's start",
        )
    if step == lib.VN_STEP_PROGRAM:
        missing = PermissionMissing if denied else ListenerMissing
        message = f"there is no {detail} in PATH that can be started ({why})"
        return missing, message, "install vdeplug 4: Debian's vdeplug"
    if step == lib.VN_STEP_FILTER:
        return (
            PortError,
            f"the filter {detail} cannot be used ({why})",
            "it holds struct sock_filter, 8 bytes each",
        )
    if denied:
        return PermissionMissing, f"{detail}: {why}", ""
    if number in (errno.EMFILE, errno.ENFILE):
        return ResourceMissing, f"no descriptor is left for it ({why})", "raise the limit with: ulimit -n"
    return PortError, f"{detail}: {why}", ""
