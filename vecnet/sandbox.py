"""A private network for this process and its children: no root needed where user namespaces are allowed.

`enter` moves the calling process into a new network namespace (with a user namespace around it unless it is root), in
which it may make any interface. The namespace, and all in it, ends with the last process inside.

Source: unshare(2), user_namespaces(7), network_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

from vecnet.errors import HostError

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """Move this process into a network of its own, in which it is root. `/sys` shows the new network.

    Raises HostError where user namespaces are not allowed, or where the process has several threads.
    """
    if threading.active_count() > 1:
        raise HostError("a process with several threads cannot enter a sandbox: enter it before they start")
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET | CLONE_NEWNS
    if uid != 0:
        flags |= CLONE_NEWUSER
    if _libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise HostError(
            f"no sandbox: the kernel refuses a private network ({os.strerror(error)}). User namespaces may be switched "
            "off: look at `sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
            "kernel.apparmor_restrict_unprivileged_userns`, or run as root"
        )
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    # programs that look into /sys/class/net shall see this network and not the one outside
    if _libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0:
        _libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None)
