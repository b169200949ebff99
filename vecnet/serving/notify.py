"""Readiness, in systemd's words, where it asks for them.

Source: sd_notify(3); systemd.service(5), Type=notify-reload.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


def notify(*lines: str) -> None:
    """Tell the service manager; nothing where there is none."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if where[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, suppress(OSError):
        manager.sendto("\n".join(lines).encode(), where.replace("@", "\0", 1) if where[0] == "@" else where)


def reloading() -> None:
    """… that a reload has begun; READY=1 ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
