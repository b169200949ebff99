"""Network namespaces: the one that this process was started in (home), and those with a name in /run/netns.

Source: setns(2); network_namespaces(7); ip-netns(8); SO_NETNS_COOKIE of socket(7).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
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
_MOST_AWAKE = 16  # named namespaces with open descriptors, three each; enough for one to be worked in and left again


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
    """A network namespace and the netlink sockets in it. `name` is None at home.

    Its descriptors are closed by `rest`, and opened again when they are asked for.
    """

    def __init__(self, name: str | None, home: int | None, awake: Callable[[Namespace], None] = lambda _: None) -> None:
        """Open /run/netns/`name`, or that path where it begins with /; `home` is home's descriptor, to come back to.

        `awake` is called whenever it has been opened. Raises HostError.
        """
        self.name = name
        self._fd: int | None = None
        self._awake = awake
        self._home = home
        self._route: Socket | None = None
        self._generic: Socket | None = None
        self.cookie = 0
        try:
            self.cookie = self._read_cookie()
        except BaseException:
            self.close()
            raise

    @property
    def is_named(self) -> bool:
        """Whether it has a name in /run/netns, and not only processes."""
        return self.name is not None and "/" not in self.name

    @property
    def fd(self) -> int:
        """A descriptor of the namespace. Raises HostError, also where the name is another namespace's by now."""
        if self._fd is None:
            self._fd = self._opened()
            if self.cookie and self.cookie != self._read_cookie():
                self.close()
                raise HostError(f"network namespace {self.name} is another one than it was", "try again")
            self._awake(self)
        return self._fd

    def _opened(self) -> int:
        name = self.name
        try:
            return os.open(_HERE if name is None else NAMED / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if name is None or error.errno in (errno.EMFILE, errno.ENFILE):
                raise HostError([in_words(error)]) from error
            if error.errno != errno.ENOENT:
                message = f"network namespace {name} cannot be opened: {error.strerror}"
                raise HostError(message, advice(error)) from error
            message = f"there is no network namespace {name}"
            raise HostError(message, f"make it with: ip netns add {name}") from error

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
                    raise HostError(message, capabilities.advice(Capability.SYS_ADMIN)) from error
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

    def rest(self) -> None:
        """Close all of its descriptors, until they are asked for."""
        for one in (self._route, self._generic):
            if one is not None:
                one.close()
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = self._route = self._generic = None

    close = rest


class Namespaces:
    """Home, and the named ones that were asked for. A context manager that closes them all.

    However many they are, only a few have their descriptors open at a time.
    """

    def __init__(self) -> None:
        self.home = Namespace(None, None)
        self._named: dict[str, Namespace] = {}
        self._awake: list[Namespace] = []  # the one opened last comes last

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
            self._named[name] = Namespace(name, self.home.fd, self._woke)
        return self._named[name]

    def _woke(self, one: Namespace) -> None:
        self._awake = [other for other in self._awake if other is not one] + [one]
        while len(self._awake) > _MOST_AWAKE:
            self._awake.pop(0).rest()

    def others(self, everywhere: bool = False) -> Iterator[Namespace]:
        """Every named namespace that can be entered, except home itself under a name, each once.

        `everywhere` adds those without a name that processes are in. Raises HostError where descriptors run out.
        """
        seen = {self.home.cookie}
        names = sorted(path.name for path in NAMED.iterdir()) if NAMED.is_dir() else []
        for name in [*names, *(_of_processes() if everywhere else ())]:
            try:
                one = self[name]
            except HostError as error:  # a name without a namespace, or one that this user cannot enter
                if ran_out(error):
                    raise
                continue
            if one.cookie not in seen:
                seen.add(one.cookie)
                yield one


def ran_out(error: OSError | HostError) -> bool:
    """Whether it is for want of descriptors: what cannot be looked at then may be there all the same."""
    cause = error.__cause__ if isinstance(error, HostError) else error
    return isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)


def _of_processes() -> Iterator[str]:
    """A path for each network namespace that a process is in."""
    seen: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours to look into
            namespace = str((process / "ns/net").readlink())
            if namespace not in seen:
                seen.add(namespace)
                yield str(process / "ns/net")
