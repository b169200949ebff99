"""Private networks: one for this process and its children, or several that a thread enters and leaves again.

`enter` moves the calling process into a new network namespace, for good. Where it lacks the capabilities for that, a
user namespace is made around it, in which it is root. A `Place` is for who may come back: it has what a thread sees, a
network and the mounts that go with it. A namespace, and all in it, ends with the last process inside.

Source: unshare(2), setns(2), user_namespaces(7), network_namespaces(7), mount_namespaces(7).
"""

from __future__ import annotations

import errno
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecnet.errors import HostError
from vecnet.kernel import capabilities, libc, namespaces
from vecnet.kernel.capabilities import Capability
from vecnet.signals import held

NEEDED = (Capability.SYS_ADMIN, Capability.NET_ADMIN)  # to make a network, and to change it
_PLACES = ("/mnt", "/media", "/srv")  # where something may be mounted, if nothing is there
_ADVICE = (
    "allow user namespaces (`sysctl user.max_user_namespaces kernel.unprivileged_userns_clone "
    "kernel.apparmor_restrict_unprivileged_userns` shows what forbids them), or"
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
    return all(map(capabilities.has, NEEDED))


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
    try:
        libc.mount("none", "/", None, libc.MS_REC | libc.MS_SLAVE)
    except OSError:
        return  # what is mounted now would be seen outside
    with suppress(OSError):  # programs that look into /sys/class/net shall see this network and not the one outside
        libc.mount("sysfs", "/sys", "sysfs", 0)
    with held((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)), suppress(OSError):  # or a mount would be left half-way
        if not namespaces.NAMED.is_dir():
            _copy_for_one_more(namespaces.NAMED)
        namespaces.hide_names()


def _copy_for_one_more(folder: Path) -> None:
    """Make a folder in this process's own mount namespace alone: its parent becomes a copy, with all that is in it."""
    parent = folder.parent
    copy = _mount_point()
    try:
        libc.mount("tmpfs", str(copy), "tmpfs", 0)
        copy.chmod(0o755)
        for original in parent.iterdir():
            with suppress(OSError):
                _bind(original, copy / original.name)
        (copy / folder.name).mkdir()
        libc.mount(str(copy), str(parent), None, libc.MS_MOVE)
    finally:
        _leave(copy)


def _bind(original: Path, copy: Path) -> None:
    if original.is_symlink():
        copy.symlink_to(original.readlink())
        return
    if original.is_dir():
        copy.mkdir()
    else:
        copy.touch()
    libc.mount(str(original), str(copy), None, libc.MS_BIND | libc.MS_REC)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no more of them are allowed" if error.errno == errno.ENOSPC else error.strerror
        missing = next((one for one in NEEDED if not capabilities.has(one)), Capability.SYS_ADMIN)
        raise HostError(f"no sandbox: {what} ({reason})", f"{_ADVICE} {capabilities.advice(missing)}") from None


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
    place = _mount_point()
    try:
        libc.mount("tmpfs", str(place), "tmpfs", 0)
    except OSError as error:
        _leave(place)
        raise HostError(f"the sandbox has no folder of its own at {place}: {error.strerror}") from None
    try:
        yield str(place)
    finally:
        libc.umount(str(place))
        _leave(place)


def _mount_point() -> Path:
    """A folder to mount on: one that every system has, and that is empty, so that a kill leaves none of our own."""
    empty = (place for place in map(Path, _PLACES) if place.is_dir() and not any(place.iterdir()))
    return next(empty, None) or Path(tempfile.mkdtemp(prefix="vecnet-"))


def _leave(place: Path) -> None:
    if str(place) not in _PLACES:
        with suppress(OSError):  # an error that is on its way is the one to be told
            place.rmdir()
