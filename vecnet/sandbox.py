"""Private networks: one for this process and its children, or several that a thread enters and leaves again.

`enter` moves the calling process into a new network namespace, for good. Where it lacks the capabilities for that, a
user namespace is made around it, in which it is root. A `Place` is for who may come back: it has what a thread sees, a
network and the mounts that go with it. A namespace, and all in it, ends with the last process inside.

Source: unshare(2), setns(2), user_namespaces(7), network_namespaces(7), mount_namespaces(7).
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import libc

_PLACES = ("/mnt", "/media", "/srv")  # where a folder may be mounted, if nothing is there
_ADVICE = (
    "allow user namespaces (`sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
    "kernel.apparmor_restrict_unprivileged_userns` shows what forbids them), or run with CAP_SYS_ADMIN and "
    "CAP_NET_ADMIN, as root has them"
)


def enter() -> None:
    """Move this process into a network of its own, in which it is root. `/sys` shows the new network.

    Raises HostError where user namespaces are not allowed, or where the process has several threads.
    """
    if threading.active_count() > 1:
        raise HostError("a process with several threads cannot enter a sandbox", "enter it before they start")
    if not privileged():
        become_root()
    _make_network()


def privileged() -> bool:
    """Whether this thread has the capabilities to make a network and to change it. What counts is not its user."""
    needed = 1 << libc.CAP_NET_ADMIN | 1 << libc.CAP_SYS_ADMIN
    return libc.capabilities() & needed == needed


def become_root() -> None:
    """Put a user namespace around this process, in which it may make networks. Raises HostError, as for threads."""
    uid, gid = os.geteuid(), os.getegid()
    ending = libc.signal_of_parents_end()
    with _explained("the kernel refuses a private network"):
        libc.unshare(libc.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with _explained(f"/proc/self/{name} cannot be written"):
            Path("/proc/self", name).write_text(text)
    libc.end_with_parent(ending)  # the kernel forgets it with the user that this process was


def _make_network() -> None:
    with _explained("the kernel refuses a private network"):
        libc.unshare(libc.CLONE_NEWNET | libc.CLONE_NEWNS)
    with suppress(OSError):  # programs that look into /sys/class/net shall see this network and not the one outside
        libc.mount("none", "/", None, libc.MS_REC | libc.MS_SLAVE)
        libc.mount("sysfs", "/sys", "sysfs", 0)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no more of them are allowed" if error.errno == errno.ENOSPC else error.strerror
        raise HostError(f"no sandbox: {what} ({reason})", _ADVICE) from None


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
                with _explained(f"{name} cannot be opened"):
                    self._open.append(os.open(name, flags | os.O_CLOEXEC))
        except HostError:
            self.close()
            raise

    @classmethod
    def made(cls) -> Place:
        """A new network, which this thread is in from now on. Raises HostError."""
        _make_network()
        return cls()

    def enter(self) -> None:
        """Move the calling thread here; it keeps its working folder. Raises HostError where it may not."""
        net, mounts, root = self._open
        try:
            folder = str(Path.cwd())
        except FileNotFoundError:  # it was removed meanwhile
            folder = "/"
        with _explained("a network cannot be entered again"):
            libc.unshare(libc.CLONE_FS)  # or setns would refuse, since other threads would be moved as well
            libc.setns(net, libc.CLONE_NEWNET)
            libc.setns(mounts, libc.CLONE_NEWNS)
            os.fchdir(root)
            os.chroot(".")
        with suppress(OSError):
            os.chdir(folder)

    def close(self) -> None:
        """Forget it; it is gone if nobody else is there."""
        while self._open:
            os.close(self._open.pop())


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
