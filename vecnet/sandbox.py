"""A private network for this process and its children: no root needed where user namespaces are allowed.

`enter` moves the calling process into a new network namespace (with a user namespace around it unless it has
CAP_SYS_ADMIN), in which it may make any interface. The namespace, and all in it, ends with the last process inside.

Source: unshare(2), user_namespaces(7), network_namespaces(7).
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import capabilities, libc
from vecnet.kernel.capabilities import Capability

_PLACES = ("/mnt", "/media", "/srv")  # where a folder may be mounted, if nothing is there


def enter() -> None:
    """Move this process into a network of its own, in which it is root. `/sys` shows the new network.

    Raises HostError where user namespaces are not allowed, or where the process has several threads.
    """
    if threading.active_count() > 1:
        raise HostError("a process with several threads cannot enter a sandbox", "enter it before they start")
    uid, gid = os.geteuid(), os.getegid()
    entitled = capabilities.has(Capability.SYS_ADMIN)  # which root may lack
    try:
        libc.unshare(libc.CLONE_NEWNET | libc.CLONE_NEWNS | (0 if entitled else libc.CLONE_NEWUSER))
    except OSError as error:
        raise HostError(
            f"no sandbox: the kernel refuses a private network to {capabilities.who()} ({error.strerror}). "
            "User namespaces may be switched off",
            "look at `sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
            f"kernel.apparmor_restrict_unprivileged_userns`, or {capabilities.advice(Capability.SYS_ADMIN)}",
        ) from None
    if not entitled:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    with suppress(OSError):  # programs that look into /sys/class/net shall see this network and not the one outside
        libc.mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE)
        libc.mount("sysfs", "/sys", "sysfs", 0)


@contextmanager
def folder() -> Iterator[str]:
    """An empty folder in memory within the block. Only this sandbox sees it, and it ends with it. Raises HostError."""
    empty = (place for place in map(Path, _PLACES) if place.is_dir() and not any(place.iterdir()))
    place = next(empty, None) or Path(tempfile.mkdtemp(prefix="vecnet-"))
    try:
        libc.mount("tmpfs", str(place), "tmpfs", 0)
    except OSError as error:
        raise HostError(f"the sandbox has no folder of its own at {place}: {error.strerror}") from None
    try:
        yield str(place)
    finally:
        libc.umount(str(place))
        if str(place) not in _PLACES:
            place.rmdir()
