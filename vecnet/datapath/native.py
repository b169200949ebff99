"""The one door to the compiled module: what C answers becomes Python values, its -errno becomes our exceptions.

`Handle` is one opened port of C without any locking; `vecnet.datapath.port` is what people use.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Never, Protocol

from vecnet.errors import AddressMissing, InterfaceMissing, ListenerMissing, PermissionMissing, PortClosed, PortError

try:
    from vecnet._native import ffi, lib
except ImportError as error:  # pragma: no cover - a tree that was never built
    raise PortError(
        f"vecnet's compiled module cannot be loaded ({error}); build it with: pip install -e . (it needs a C compiler)"
    ) from error

SWITCH: int = lib.VN_SWITCH
STRICT_SOURCE: int = lib.VN_STRICT_SOURCE
KEEP_TRUNCATED: int = lib.VN_KEEP_TRUNCATED
VLAN_AS_GUEST: int = lib.VN_VLAN_AS_GUEST
RAW_OFFLOAD: int = lib.VN_RAW_OFFLOAD

COUNTERS: tuple[str, ...] = tuple(ffi.string(lib.vn_counter_name(index)).decode() for index in range(lib.VN_COUNTERS))
TRANSPORTS: tuple[str, ...] = tuple(
    ffi.string(lib.vn_transport_name(index)).decode() for index in range(lib.vn_transport_count())
)


_HELD: weakref.WeakSet[Forkable] = weakref.WeakSet()


class Forkable(Protocol):
    """What shares descriptors with a fork's copy of it."""

    def forked(self) -> None:
        """In the fork: stopping and closing shall no longer concern the parent's."""


def keep(one: Forkable) -> None:
    """Tell this one, for as long as it is there, of every fork."""
    _HELD.add(one)


def _forked() -> None:
    for one in list(_HELD):
        one.forked()


os.register_at_fork(after_in_child=_forked)


class Handle:
    """A port of C. One thread may receive and another send; `stop` may come from any. Nanoseconds; -1 is for ever.

    Freed with its last reference, memoryviews of `memory` included, so that no view outlives what it shows.
    """

    def __init__(self, transport: str, options: Mapping[str, str], flags: int) -> None:
        """Open `transport` as a guest does. Raises PortError."""
        texts = [(ffi.new("char[]", key.encode()), ffi.new("char[]", value.encode())) for key, value in options.items()]
        listed = ffi.new("struct vn_option[]", texts)
        out = ffi.new("struct vn_port **")
        failure = ffi.new("struct vn_failure *")
        result = lib.vn_port_open(transport.encode(), listed, len(texts), flags, out, failure)
        if result < 0:
            _raise_failure(transport, -result, failure)
        self.port: Any = ffi.gc(out[0], lib.vn_port_free)
        self.recorder: RecorderHandle | None = None  # kept, for C points to it
        if (result := lib.vn_port_ready(self.port, failure)) < 0:
            self.close()
            _raise_failure(transport, -result, failure)
        self.depth: int = lib.vn_port_depth(self.port)
        size = lib.vn_port_memory_size(self.port)
        kept = self.port
        start = ffi.gc(lib.vn_port_memory(self.port), lambda _: kept and None)  # a view keeps the port alive
        self.memory = memoryview(ffi.buffer(start, size))
        self._frames = ffi.new("struct vn_frame[]", max(self.depth, 64))
        self._pairs = ffi.cast("uint32_t *", self._frames)  # … as numbers, which are read all at once
        self._most = max(self.depth, 64)

    def receive(self, most: int, timeout: int) -> list[memoryview] | None:
        """Up to `most` frames as views that the next call overwrites; [] after the timeout, None after a signal."""
        got = lib.vn_recv(self.port, self._frames, min(most, self._most), timeout)
        if got < 0:
            if got == -errno.EINTR:
                return None
            _raise_moving(-got)
        pairs, memory = ffi.unpack(self._pairs, 2 * got), self.memory
        return [memory[at : at + length] for at, length in zip(pairs[::2], pairs[1::2], strict=True)]

    def send(self, data: bytearray, lengths: Sequence[int], timeout: int) -> int | None:
        """Send the frames that lie one after another in `data`, which may be written to.

        How many were taken; None after a signal before any.
        """
        sent: int = lib.vn_send(self.port, ffi.from_buffer(data), ffi.new("uint32_t[]", lengths), len(lengths), timeout)
        if sent < 0:
            if sent == -errno.EINTR:
                return None
            _raise_moving(-sent)
        return sent

    def fileno(self) -> int:
        descriptor: int = lib.vn_port_fileno(self.port)
        return descriptor

    def counters(self) -> dict[str, int]:
        return {name: lib.vn_port_counter(self.port, index) for index, name in enumerate(COUNTERS)}

    def stop(self) -> None:
        """Calls in progress, and all later ones, raise PortClosed."""
        lib.vn_port_stop(self.port)

    def close(self) -> None:
        """Close the descriptors; no call may be in progress."""
        lib.vn_port_close(self.port)

    def forked(self) -> None:
        lib.vn_port_forked(self.port)


class Surrendered(Handle):
    """What a port has left of its handle once somebody else has taken it over: whatever is asked of it, it is closed."""

    def __init__(self) -> None:
        pass

    def __getattr__(self, name: str) -> Never:
        raise PortClosed("the port belongs to a switch now")


class RecorderHandle:
    """A pcapng file that C writes to, from any thread. It keeps its ports, and each port keeps it."""

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor over."""
        recorder = lib.vn_recorder_new(descriptor)
        if not recorder:
            os.close(descriptor)
            raise MemoryError("a recorder")
        self.recorder: Any = ffi.gc(recorder, lib.vn_recorder_free)
        self._ports: list[Handle] = []
        keep(self)

    def add(self, port: Handle, name: str, description: str) -> None:
        """No call on the port may be in progress."""
        self.check_added(lib.vn_recorder_add(self.recorder, port.port, name.encode(), description.encode()))
        port.recorder = self
        self._ports.append(port)

    @staticmethod
    def check_added(result: int) -> None:
        """Raises PortError."""
        if result == -errno.EEXIST:
            raise PortError("the port is recorded there already")
        if result == -errno.EBADF:
            raise PortError("the recording is closed; begin another one")
        if result == -errno.ENOSPC:
            raise PortError("one file records 64 ports at the most; begin another one for the rest")
        if result < 0:
            raise PortError(f"the port cannot be recorded: {os.strerror(-result)}")

    def flush(self) -> None:
        """Raises OSError."""
        self._check(lib.vn_recorder_flush(self.recorder))

    def close(self) -> None:
        """Raises OSError where something could not be written, in all the time."""
        self._check(lib.vn_recorder_close(self.recorder))

    def forked(self) -> None:
        lib.vn_recorder_forked(self.recorder)

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            raise OSError(-result, os.strerror(-result))


LOOP_COUNTERS: tuple[str, ...] = tuple(
    ffi.string(lib.vn_loop_counter_name(index)).decode() for index in range(lib.VN_LOOP_COUNTERS)
)


class LoopHandle:
    """One run of a loop of C; its counters may be read, and it may be stopped, from any thread meanwhile.

    The limit is a number of frames, 0 for any, and nanoseconds, -1 for ever. Each of the runs raises PortError.
    """

    def __init__(self) -> None:
        loop = lib.vn_loop_new()
        if not loop:
            raise PortError("no descriptor is left for a loop; raise the limit with: ulimit -n")
        self.loop: Any = ffi.gc(loop, lib.vn_loop_free)
        keep(self)

    def counters(self) -> dict[str, int]:
        return {name: lib.vn_loop_counter(self.loop, index) for index, name in enumerate(LOOP_COUNTERS)}

    def stop(self) -> None:
        lib.vn_loop_stop(self.loop)

    def forked(self) -> None:
        lib.vn_loop_forked(self.loop)

    def generate(
        self, port: Handle, limit: tuple[int, int], pattern: Mapping[str, object], followed: LoopHandle | None
    ) -> None:
        _check(
            lib.vn_generate(
                self.loop,
                port.port,
                ffi.new("struct vn_limit *", limit),
                ffi.new("struct vn_pattern *", dict(pattern)),
                followed.loop if followed else ffi.NULL,
            )
        )

    def drain(self, port: Handle, limit: tuple[int, int], stream: int) -> None:
        _check(lib.vn_drain(self.loop, port.port, ffi.new("struct vn_limit *", limit), stream))

    def reflect(self, port: Handle, limit: tuple[int, int]) -> None:
        _check(lib.vn_reflect(self.loop, port.port, ffi.new("struct vn_limit *", limit)))

    def forward(self, port: Handle, to: Handle, limit: tuple[int, int]) -> None:
        _check(lib.vn_forward(self.loop, port.port, to.port, ffi.new("struct vn_limit *", limit)))


def _check(result: int) -> None:
    if result < 0:
        _raise_moving(-result)


def _raise_moving(number: int) -> Never:
    """Frames could not be moved."""
    if number == errno.ECANCELED:
        raise PortClosed("the port is closed")
    if number in (errno.ENETDOWN, errno.ENXIO, errno.EIO, errno.EBADFD):
        raise InterfaceMissing(
            f"the interface went down or away while the port was open ({os.strerror(number)}); "
            "bring it back with: ip link set … up; one that was deleted is made again, and the port opened again"
        )
    if number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNREFUSED, errno.ENOTCONN):
        raise ListenerMissing(f"the other end closed the connection ({os.strerror(number)})")
    if number == errno.EDESTADDRREQ:
        raise PortError("the descriptor's socket has no other end; connect it before the port is opened")
    raise PortError(f"frames could not be moved: {os.strerror(number)}")


def _raise_failure(transport: str, number: int, failure: Any) -> Never:
    """A port could not be opened: which step failed, on what, and what would mend it."""
    kind, message = _explain(failure.step, ffi.string(failure.detail).decode(errors="replace"), number)
    raise kind(f"{transport}: {message}") from OSError(number, os.strerror(number))


def _explain(step: int, detail: str, number: int) -> tuple[type[PortError], str]:
    why = os.strerror(number)
    denied = number in (errno.EPERM, errno.EACCES)
    # The kernel's answer when a step fails in a way of its own; anything else falls to the last lines.
    if step == lib.VN_STEP_TRANSPORT:
        if detail in TRANSPORTS:
            return PortError, "this transport has no switch's role; only bess has"
        return PortError, f"there is no transport {detail!r}; there are {', '.join(TRANSPORTS)}"
    if step == lib.VN_STEP_OPTION:
        return PortError, f"the option {detail} is missing or cannot be read ({why})"
    if step == lib.VN_STEP_RESOLVE:
        return AddressMissing, f"{detail!r} has no address of this family; give an address, or name it in /etc/hosts"
    if step == lib.VN_STEP_SOCKET and denied:
        return PermissionMissing, (
            f"a {detail} socket needs CAP_NET_RAW; run as root, in `vecnet sandbox`, or give it with: "
            "setcap cap_net_raw+ep PYTHON"
        )
    if step == lib.VN_STEP_BIND:
        if number == errno.EADDRNOTAVAIL:
            return AddressMissing, (
                f"the local address {detail} is on no interface here; add it with: ip addr add {detail} dev …"
            )
        if number == errno.EADDRINUSE:
            return PortError, f"{detail} is in use, by a socket or a file; remove that, or give another port or path"
        if number == errno.EINVAL:
            return AddressMissing, f"the local address {detail} belongs to one link; name its interface: {detail}%eth0"
        if number == errno.ENOENT:
            return PortError, f"{detail} cannot be made: its folder is not there; make it with: mkdir -p"
        if denied:
            return PermissionMissing, (
                f"{detail} may not be bound ({why}); ports below 1024 need CAP_NET_BIND_SERVICE, a path a folder that "
                "may be written"
            )
    if step == lib.VN_STEP_ROUTE and denied:
        return AddressMissing, f"{detail} is a broadcast address; give the other end's own"
    if step == lib.VN_STEP_ROUTE:
        return AddressMissing, f"no route leads to {detail} ({why}); add one with: ip route add {detail} via …"
    if step == lib.VN_STEP_CONNECT:
        if denied:
            return PermissionMissing, f"the socket {detail} may not be used; make it writable for this user"
        if number in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN):
            return ListenerMissing, (
                f"nobody listens at {detail} ({why}); start the switch first, or open this port with role='switch'"
            )
        if number == errno.EPROTOTYPE:
            return ListenerMissing, f"{detail} is a socket of another type; the switch's must be a SOCK_SEQPACKET one"
    if step == lib.VN_STEP_INTERFACE and number in (errno.ENODEV, errno.ENXIO):
        return InterfaceMissing, f"there is no interface {detail} in this network namespace; make it with: vecnet up"
    if step == lib.VN_STEP_DOWN:
        return InterfaceMissing, f"the interface {detail} is down; bring it up with: ip link set {detail} up"
    if step == lib.VN_STEP_TUN_OPEN:
        if denied:
            return PermissionMissing, f"{detail} may not be opened ({why}); make it readable and writable for this user"
        return InterfaceMissing, f"{detail} cannot be opened ({why}); load the module with: modprobe tun"
    if step == lib.VN_STEP_TUN_ATTACH:
        if denied:
            return PermissionMissing, (
                f"the tap {detail} belongs to another user, and CAP_NET_ADMIN is missing; "
                f"make it with: ip tuntap add {detail} mode tap user NAME"
            )
        if number == errno.EBUSY:
            return PortError, f"the tap {detail} is in use by another process, most likely a running guest; stop it"
        if number == errno.EINVAL:
            return PortError, (
                f"{detail} is no tap of one queue; make one with: ip tuntap add {detail} mode tap vnet_hdr"
            )
    if step == lib.VN_STEP_DESCRIPTOR and number == errno.EBADF:
        return (
            PortError,
            f"descriptor {detail} is not open for reading and writing; pass it on at this process's start",
        )
    if step == lib.VN_STEP_FILTER:
        return (
            PortError,
            f"the filter {detail} cannot be used ({why}); it holds struct sock_filter, 8 bytes each",
        )
    if denied:
        return PermissionMissing, f"{detail}: {why}"
    if number in (errno.EMFILE, errno.ENFILE):
        return PortError, f"no descriptor is left for it ({why}); raise the limit with: ulimit -n"
    return PortError, f"{detail}: {why}"
