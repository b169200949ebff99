"""An OSError that nobody foresaw, in words: the call that failed, its object, and the limit or the right behind it.

Such an error is the machine's, and no fault of the program's: no descriptor is left, the disk is full, /proc is not
there. Python's own text names no call, so the call is read from the line of the program that made it.

Source: errno(3), getrlimit(2), proc(5).
"""

from __future__ import annotations

import dis
import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

from vecnet.errors import Problem
from vecnet.kernel.capabilities import who


def in_words(error: OSError) -> Problem:
    """The sentence for an OSError, and what to do about it."""
    what = ", ".join(repr(os.fsdecode(name)) for name in (error.filename, error.filename2) if _is_path(name))
    return Problem(f"{_call(error)}({what}) failed: {error.strerror or error}", advice(error))


def advice(error: OSError) -> str:
    """What to do about an OSError: the limit that was reached, or the right that is missing; empty for most."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _space(error)
    if _is_path(error.filename) and os.fsdecode(error.filename) == _TUN and error.errno in _NOT_OPENED:
        return _tun(error)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return _absent(error)
    known = _INSTEAD.get(error.errno or 0)
    return known() if known else ""


def way_to(address: str) -> str:
    """What to do where no route leads to an address. Those of the loopback come with it."""
    if address.startswith("127.") or address == "::1":
        return "bring the loopback up: ip link set lo up"
    return f"add one with: ip route add {address} via …"


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike)


def _call(error: OSError) -> str:
    """The name of the function whose call raised the error, from the code alone: a file could not be opened now.

    What is called is loaded from where the call's own text begins: `os` and then `open`, of os.open(name).
    """
    place = error.__traceback__
    if place is None:
        return "a system call"
    while place.tb_next is not None:
        place = place.tb_next
    code = place.tb_frame.f_code
    if code.co_filename.startswith("<frozen importlib"):
        return "import"
    before = [one for one in dis.get_instructions(code) if one.offset <= place.tb_lasti]
    names = [code.co_name]
    if before[-1].opname.startswith(("CALL", "PRECALL")):  # Python 3.11 calls in PRECALL, once it has specialised it
        begin = _begin(before[-1].positions)
        loaded = (one for one in before if one.opname.startswith("LOAD_") and _begin(one.positions) == begin)
        names += [one.argval for one in loaded if isinstance(one.argval, str) and not one.argval.startswith("__")]
    return names[-1].lstrip("_")


def _begin(at: dis.Positions | None) -> tuple[int | None, int | None]:
    return (at.lineno, at.col_offset) if at else (None, None)


def _descriptors() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = f"ulimit -n {hard}" if soft < hard else "ulimit -n, which only root may, or LimitNOFILE= of systemd"
    return f"this process may have {soft} descriptors; raise the limit with: {more}"


def _number() -> str:
    """EBADF: a number that is beyond the limit is as bad as one that is not open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"a descriptor's number must be below this process's limit, {soft}; raise it with: ulimit -n"


def _all_descriptors() -> str:
    return f"this machine may have {_read('/proc/sys/fs/file-max')} files open: sysctl fs.file-max"


def _space(error: OSError) -> str:
    where = f"where {os.fsdecode(error.filename)} is" if _is_path(error.filename) else "on its file system"
    return f"make room {where}: df, df -i, quota"


def _processes() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    limit = "any number of" if soft == resource.RLIM_INFINITY else str(soft)
    return f"this user may have {limit} processes (ulimit -u), and this group of processes what its pids.max says"


def _memory() -> str:
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = "no limit of its own (ulimit -v)" if soft == resource.RLIM_INFINITY else f"{soft} bytes (ulimit -v)"
    return f"free some memory; this process has {limit}"


def _file_size() -> str:
    return f"a file may have {resource.getrlimit(resource.RLIMIT_FSIZE)[0]} bytes: ulimit -f"


def _rights() -> str:
    return f"it was refused to {who()}"


def _absent(error: OSError) -> str:
    """What is missing of a system, rather than of a user's."""
    name = os.fsdecode(error.filename) if _is_path(error.filename) else ""
    for root, always, kind in (("/proc", "self", "proc"), ("/sys", "kernel", "sysfs")):
        if name.startswith(f"{root}/") and not Path(root, always).exists():
            return f"{root} is not mounted; mount it with: mount -t {kind} {kind} {root}"
    return ""


def _tun(error: OSError) -> str:
    """The device that taps are made and opened by: absent from a container, or kept from it, or from its users."""
    container = f"a container is given it with: --device {_TUN}"
    if error.errno == errno.EACCES:
        return f"distributions let everybody open it: chmod a+rw {_TUN}"
    if error.errno == errno.EPERM:
        return f"this container or service may not use the device; {container}"
    if error.errno == errno.ENOENT and " tun\n" in f"{_read('/proc/misc')}\n":
        return f"make it with: mkdir -p /dev/net && mknod {_TUN} c 10 200; {container}"
    return f"load the module with: modprobe tun; {container}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


_TUN = "/dev/net/tun"  # kernel documentation, networking/tuntap
_NOT_OPENED = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.EPERM)
_INSTEAD: dict[int, Callable[[], str]] = {
    errno.EMFILE: _descriptors,
    errno.ENFILE: _all_descriptors,
    errno.EBADF: _number,
    errno.EAGAIN: _processes,
    errno.ENOMEM: _memory,
    errno.EFBIG: _file_size,
    errno.EACCES: _rights,
    errno.EPERM: _rights,
    errno.EROFS: lambda: "choose a folder that may be written",
    errno.ENOBUFS: lambda: "the kernel is short of memory for messages; try again",
}
