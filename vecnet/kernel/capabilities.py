"""What this process may do. Capabilities count, and not the user: root lacks some in a container, and has few rights
outside a user namespace of its own.

Source: capabilities(7), user_namespaces(7); linux/capability.h.
"""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path

from vecnet.kernel import libc


class Capability(IntEnum):
    """Those that something here needs."""

    NET_ADMIN = 12
    NET_RAW = 13
    SYS_ADMIN = 21

    def __str__(self) -> str:
        return f"CAP_{self.name}"


def has(capability: Capability) -> bool:
    """Whether this process has it, in its own user namespace."""
    return bool(libc.capabilities() >> capability & 1)


def who() -> str:
    """Whom a right was refused: a user, or a root who is not the machine's or lacks something."""
    if os.geteuid() != 0:
        return f"user {os.geteuid()}"
    missing = ", ".join(str(one) for one in Capability if not has(one))
    if missing:
        return f"root without {missing}"
    return "root" if _is_initial() else "root of a user namespace alone"


def advice(capability: Capability) -> str:
    """How to get one that was missing."""
    if os.geteuid() != 0:
        return f"run this as root, or give it {capability}"
    if not has(capability):
        return f"root lacks {capability} here; a container is given it with: --cap-add {capability.name}"
    return "run this as the machine's root" if not _is_initial() else "ask what forbids it, such as SELinux or seccomp"


def _is_initial() -> bool:
    """Whether this user namespace is the machine's first, in which all users are themselves."""
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return True
