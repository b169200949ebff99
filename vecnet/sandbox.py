"""Private networks: one for this process and its children, or some that a thread enters and leaves again.

`enter` moves the calling process into a new network namespace, for good. Where it lacks the capabilities for that, a
user namespace is made around it, in which it is root. A `Place` is for who may come back: it has what a thread sees, a
network namespace and the mounts that go with it. A namespace, and all in it, ends with the last process inside.

Source: unshare(2), setns(2), user_namespaces(7), network_namespaces(7), mount_namespaces(7), capget(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

from vecnet.errors import HostError

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC, MS_SLAVE = 0x4000, 1 << 19
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522

_ADVICE = (
    "allow user namespaces (`sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
    "kernel.apparmor_restrict_unprivileged_userns` shows what forbids them), or run with CAP_SYS_ADMIN and "
    "CAP_NET_ADMIN, as root has them"
)
_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """Move this process into a network of its own, in which it is root. `/sys` shows the new network.

    Raises HostError where user namespaces are not allowed, or where the process has several threads.
    """
    if threading.active_count() > 1:
        raise HostError("a process with several threads cannot enter a sandbox", "enter it before they start")
    if not privileged():
        become_root()
    _unshare(CLONE_NEWNET | CLONE_NEWNS)
    _see_this_network()


def become_root() -> None:
    """Put a user namespace around this process, in which it may make networks. Raises HostError; no thread may run."""
    signal_of_end = ctypes.c_int()
    _libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(signal_of_end))
    uid, gid = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            Path("/proc/self", name).write_text(text)
        except OSError as error:
            raise _no_sandbox(f"/proc/self/{name} cannot be written", error.errno) from None
    _libc.prctl(PR_SET_PDEATHSIG, signal_of_end.value)  # the kernel forgets it with the user that this process was


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent ends, or at once if `parent`, its process id, has ended."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def privileged() -> bool:
    """Whether this thread has the capabilities to make a network and to change it. What counts is not its user."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, for capabilities 0 to 31 and 32 to 63
    _libc.capget(header, words)
    return all(words[0] >> capability & 1 for capability in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


class Place:
    """The network that a thread is in, with the mounts and the root folder that it sees: to be entered again.

    Threads and processes that are started in a place stay there.
    """

    def __init__(self) -> None:
        """Where the calling thread is. Raises HostError."""
        self._open: list[int] = []
        try:
            for name, flags in (
                ("/proc/thread-self/ns/net", os.O_RDONLY),
                ("/proc/thread-self/ns/mnt", os.O_RDONLY),
                ("/", os.O_PATH),
            ):
                self._open.append(os.open(name, flags | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise _no_sandbox(f"{name} cannot be opened", error.errno) from None

    @classmethod
    def made(cls) -> Place:
        """A new network, which this thread is in from now on. Raises HostError."""
        _unshare(CLONE_NEWNET | CLONE_NEWNS)
        _see_this_network()
        return cls()

    def enter(self) -> None:
        """Move the calling thread here; it keeps its working folder. Raises HostError where it may not."""
        net, mounts, root = self._open
        try:
            folder = str(Path.cwd())
        except FileNotFoundError:  # it was removed meanwhile
            folder = "/"
        _unshare(CLONE_FS)  # or setns would refuse, since other threads would be moved as well
        for fd, kind in ((net, CLONE_NEWNET), (mounts, CLONE_NEWNS)):
            if _libc.setns(fd, kind):
                raise _no_sandbox("a network cannot be entered again", ctypes.get_errno())
        os.fchdir(root)
        os.chroot(".")  # its descriptor has no path of its own
        with suppress(OSError):
            os.chdir(folder)

    def close(self) -> None:
        """Forget it; it is gone if nobody else is there."""
        while self._open:
            os.close(self._open.pop())


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise _no_sandbox("the kernel refuses a private network", ctypes.get_errno())


def _no_sandbox(what: str, number: int | None) -> HostError:
    reason = os.strerror(number or 0)
    if number == errno.ENOSPC:
        reason = "no more of them are allowed"
    return HostError(f"no sandbox: {what} ({reason})", _ADVICE)


def _see_this_network() -> None:
    """Programs that look into /sys/class/net shall see this network, and not the one outside."""
    if _libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None) == 0:
        _libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None)
