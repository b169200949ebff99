"""What this process, and the guests that it would start, may do.

Source: user_namespaces(7), capabilities(7), setcap(8); linux/capability.h, struct vfs_cap_data; HOWTO, "Security".
"""

from __future__ import annotations

import os
import shlex
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vecnet import sandbox
from vecnet.doctor.apart import asked_apart
from vecnet.doctor.finding import Finding, State
from vecnet.kernel.capabilities import Capability, has
from vecnet.kernel.probe import keeps_ownerless_taps
from vecnet.transports.link import TapAttributes

if TYPE_CHECKING:
    from vecnet.topology import Topology
    from vecnet.topology.model import ResolvedLink

_SYSCTLS = {  # what forbids user namespaces, by the value with which it does
    "user.max_user_namespaces": ("0", "15000"),
    "kernel.unprivileged_userns_clone": ("0", "1"),  # Debian's
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),  # Ubuntu's
}
_FILE_CAPABILITIES = "security.capability"
_TOLD = 3  # strings that need one, of many
_EFFECTIVE = 1  # VFS_CAP_FLAGS_EFFECTIVE


def namespaces(topology: Topology | None) -> Iterator[Finding]:
    """Whether `vecnet sandbox` can make a network, and whether `vecnet up` may change this one."""
    privileged, allowed = sandbox.privileged(), bool(asked_apart(lambda _: True))
    made = tuple(one.link for one in topology.interfaces if not one.existing) if topology else ()
    if made and not has(Capability.NET_ADMIN):
        said = "`vecnet up` needs it, `vecnet sandbox` does not"
        mend = f"sudo vecnet up {shlex.quote(topology.path)}" if topology else ""
        yield Finding(str(Capability.NET_ADMIN), State.NOTE if allowed else State.MISSING, said, mend, made)
    if allowed:
        yield Finding("user namespaces", State.OK, "`vecnet sandbox` needs no root")
        return
    said = "they are not allowed, so that `vecnet sandbox` needs root"
    state = State.NOTE if privileged else State.MISSING
    yield Finding("user namespaces", state, said, _what_forbids(), () if privileged else made)


def _what_forbids() -> str:
    found = []
    for name, (forbids, allows) in _SYSCTLS.items():
        with suppress(OSError):
            if Path("/proc/sys", name.replace(".", "/", 1)).read_text().strip() == forbids:
                found.append(f"{name}={allows}")
    if found:
        return f"sysctl -w {' '.join(found)}"
    return "allow it where it is forbidden: the seccomp profile of a container, or SELinux"


def of_guests(topology: Topology, linux: str | None) -> Iterator[Finding]:
    """The capabilities that guests need for their strings, unless who starts them, or their binary, has these."""
    wanted: dict[Capability, dict[str, list[str]]] = {}  # links, and why
    for link in topology.links:
        for end, options in zip(link.spec.ends, link.options, strict=True):
            for name in options.capabilities() if end.node is not None else ():
                wanted.setdefault(Capability[name], {}).setdefault(link.name, []).append(f"{end} opens {options.name}")
        for why in _ownerless(link):
            wanted.setdefault(Capability.NET_ADMIN, {}).setdefault(link.name, []).append(why)
    for capability, links in sorted(wanted.items()):
        every = [why for reasons in links.values() for why in reasons]
        why = f"{', '.join(every[:_TOLD])}{' and more' if len(every) > _TOLD else ''}"
        yield _capability(capability, why, tuple(links), linux)


def _ownerless(link: ResolvedLink) -> Iterator[str]:
    """A tap without owner, on a kernel that keeps it to the privileged."""
    for interface in link.interfaces:
        its = interface.attributes
        ownerless = isinstance(its, TapAttributes) and its.owner is None and its.group is None
        inherits = any(options.inherits() is not None for options in link.options)
        if ownerless and not interface.existing and not inherits and keeps_ownerless_taps(os.uname().release):
            yield f"{interface.ifname} has no owner:, which opens a tap to a user"


def _capability(capability: Capability, why: str, links: tuple[str, ...], linux: str | None) -> Finding:
    whose = "this user's guests have" if has(capability) else ""
    if not whose and linux is not None and capability in file_capabilities(linux):
        whose = f"{linux} has"
    if whose:
        return Finding(str(capability), State.OK, f"{why}; {whose} it", needed=links)
    mend = (
        f"sudo setcap {str(capability).lower()}+ep {shlex.quote(linux or 'linux')}, or transport: fd, which needs none"
    )
    return Finding(str(capability), State.MISSING, f"{why}; neither this user nor a guest's binary has it", mend, links)


def file_capabilities(path: str) -> set[Capability]:
    """Those that a program has whoever starts it, as setcap(8) with `+ep` gives them."""
    try:
        data = os.getxattr(path, _FILE_CAPABILITIES)
    except OSError:  # it has none, or its file system knows of none
        return set()
    if len(data) < 8:
        return set()
    magic, permitted = struct.unpack_from("<II", data)
    return {one for one in Capability if magic & _EFFECTIVE and permitted >> one & 1}
