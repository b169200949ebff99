"""Network namespaces: the one that this process was started in (home), and those with a name in /run/netns.

Source: setns(2); network_namespaces(7); ip-netns(8); SO_NETNS_COOKIE of socket(7).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from vecnet.errors import HostError
from vecnet.kernel import capabilities, libc
from vecnet.kernel.capabilities import Capability
from vecnet.kernel.netlink import NETLINK_GENERIC, Socket
from vecnet.kernel.unforeseen import advice, in_words

NAMED = Path("/run/netns")
_OWN = "vecnet"  # how the mount there is called if the names are those of a sandbox alone
_HERE = "/proc/thread-self/ns/net"
SO_NETNS_COOKIE = 71


@contextmanager
def entered(there: str | int, home: int | None = None) -> Iterator[None]:
    """The calling thread is in another network namespace within the block: what it opens there belongs to it.

    `there` is a path or a descriptor, `home` where to come back to: where the thread is, unless stated. Raises OSError.
    """
    with ExitStack() as opened:

        def descriptor(path: str) -> int:
            found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, found)
            return found

        back = descriptor(_HERE) if home is None else home
        libc.setns(descriptor(there) if isinstance(there, str) else there, libc.CLONE_NEWNET)
        try:
            yield
        finally:
            try:
                libc.setns(back, libc.CLONE_NEWNET)
            except OSError:
                os._exit(70)  # whatever is done next would be done to the wrong network


def hide_names() -> None:
    """Make /run/netns empty in this process's own mount namespace: names that come are its own. Raises OSError."""
    libc.mount(_OWN, str(NAMED), "tmpfs", 0)


def names_are_own() -> bool:
    """Whether a name in /run/netns is seen by nobody outside."""
    mounts = (line.split() for line in Path("/proc/thread-self/mounts").read_text().splitlines())
    return any(source == _OWN and target == str(NAMED) for source, target, *_ in mounts)


def add(name: str) -> None:
    """Make a network namespace with a name, as `ip netns add` does. Raises HostError where it may not."""
    home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        (NAMED / name).touch(exist_ok=False)
        libc.unshare(libc.CLONE_NEWNET)
        try:
            libc.mount(_HERE, str(NAMED / name), None, libc.MS_BIND)
        finally:
            libc.setns(home, libc.CLONE_NEWNET)
    except OSError as error:
        raise HostError(f"network namespace {name} cannot be made: {error.strerror}") from None
    finally:
        os.close(home)


class Namespace:
    """A network namespace and the netlink sockets in it. `name` is None at home."""

    def __init__(self, name: str | None, home: int | None) -> None:
        """Open /run/netns/`name`; `home` is home's descriptor, to come back to. Raises HostError."""
        self.name = name
        try:
            self.fd = os.open(_HERE if name is None else NAMED / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if name is None:
                raise HostError([in_words(error)]) from None
            if error.errno != errno.ENOENT:
                raise HostError(f"network namespace {name} cannot be opened: {error.strerror}", advice(error)) from None
            message = f"there is no network namespace {name}"
            raise HostError(message, f"make it with: ip netns add {name}") from None
        self._home = self.fd if home is None else home
        self._route: Socket | None = None
        self._generic: Socket | None = None
        try:
            self.cookie = self._read_cookie()
        except BaseException:
            self.close()
            raise

    def _read_cookie(self) -> int:
        """A number that no other namespace has. Before Linux 5.14 it is the inode's, which a later one may have again.

        Raises HostError and OSError.
        """
        with self.entered(), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
            except OSError as error:
                if error.errno != errno.ENOPROTOOPT:
                    raise
        return os.fstat(self.fd).st_ino

    def __str__(self) -> str:
        return f"network namespace {self.name}" if self.name else "this network namespace"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in this namespace within the block. Raises HostError."""
        with ExitStack() as stack:
            if self.name is not None:
                try:
                    stack.enter_context(entered(self.fd, self._home))
                except OSError as error:
                    message = f"network namespace {self.name} cannot be entered: {error.strerror}"
                    raise HostError(message, capabilities.advice(Capability.SYS_ADMIN)) from None
            yield

    @property
    def route(self) -> Socket:
        """The socket for links and addresses."""
        if self._route is None:
            with self.entered():
                self._route = Socket(socket.NETLINK_ROUTE)
        return self._route

    @property
    def generic(self) -> Socket:
        """The socket for ethtool and l2tp."""
        if self._generic is None:
            with self.entered():
                self._generic = Socket(NETLINK_GENERIC)
        return self._generic

    def close(self) -> None:
        for one in (self._route, self._generic):
            if one is not None:
                one.close()
        with suppress(OSError):
            os.close(self.fd)


class Namespaces:
    """Home, and the named ones that were asked for. A context manager that closes them all."""

    def __init__(self) -> None:
        self.home = Namespace(None, None)
        self._named: dict[str, Namespace] = {}

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for one in (*self._named.values(), self.home):
            one.close()

    def __getitem__(self, name: str | None) -> Namespace:
        """The namespace of that name. Raises HostError where there is none."""
        if name is None:
            return self.home
        if name not in self._named:
            self._named[name] = Namespace(name, self.home.fd)
        return self._named[name]

    def others(self) -> Iterator[Namespace]:
        """Every named namespace that can be entered, except home itself under a name, each once."""
        if not NAMED.is_dir():
            return
        seen = {self.home.cookie}
        for path in sorted(NAMED.iterdir()):
            with suppress(HostError):  # a name without a namespace, or one that this user cannot enter
                one = self[path.name]
                if one.cookie not in seen:
                    seen.add(one.cookie)
                    yield one
