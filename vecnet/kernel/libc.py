"""System calls that Python 3.11 has no functions for: the one place with ctypes. Each raises OSError.

Source: setns(2), unshare(2), mount(2), prctl(2), capget(2), setsockopt(2), bind(2). From Python 3.12 on,
os has the first two.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

CLONE_FS, CLONE_NEWNS = 0x00000200, 0x00020000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 0x1000, 0x2000, 0x4000, 1 << 19
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_ETH_P_ALL = 0x0003  # linux/if_ether.h
_SOL_SOCKET, _SO_ATTACH_FILTER = 1, 26
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def setns(namespace: int, kind: int) -> None:
    """Move the calling thread into the namespace behind a descriptor; `kind` is its CLONE_ flag."""
    _check(_libc.setns(namespace, kind))


def unshare(flags: int) -> None:
    """Give the calling process namespaces of its own, one for each CLONE_ flag."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), None if kind is None else kind.encode(), flags, None))


def umount(target: str) -> None:
    """Take a mount away; what has files open there keeps them."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH))


def end_with_parent(signal: int) -> None:
    """Have the kernel send the calling process this signal once the thread that forked it has ended; 0 for none."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal))


def signal_of_parents_end() -> int:
    """The signal of `end_with_parent`, or 0."""
    signal = ctypes.c_int()
    _check(_libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(signal)))
    return signal.value


def capabilities() -> int:
    """The calling thread's effective capabilities, a bit each."""
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: of capabilities 0 to 31, then of 32 to 63
    _check(_libc.capget((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), words))
    return words[0] | words[3] << 32


def attach_filter(descriptor: int, program: bytes) -> None:
    """Have a socket take only what a program of classic BPF lets pass: 8 bytes an instruction. socket(7)."""
    code = ctypes.create_string_buffer(program, len(program))
    prog = _SockFprog(len(program) // 8, ctypes.addressof(code))
    _check(_libc.setsockopt(descriptor, _SOL_SOCKET, _SO_ATTACH_FILTER, ctypes.byref(prog), ctypes.sizeof(prog)))


def hear_everything(descriptor: int) -> None:
    """Have a packet socket hear every interface of its namespace, which Python's bind cannot say. packet(7)."""
    address = struct.pack("=H2si12x", socket.AF_PACKET, _ETH_P_ALL.to_bytes(2, "big"), 0)
    _check(_libc.bind(descriptor, address, len(address)))


class _SockFprog(ctypes.Structure):  # linux/filter.h
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
