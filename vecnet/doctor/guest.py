"""A guest's kernel, booted without a disk: it has come up once it looks for its root and finds none.

It has a vector device by then, where it can have any, whose driver says that it chose an address.

Source: init/do_mounts.c, mount_root; arch/um/drivers/vector_kern.c; arch/um/os-Linux/mem.c, which needs a TMPDIR from
which memory may be executed; arch/um/os-Linux/start_up.c, which tries ptrace.
"""

from __future__ import annotations

import os
import platform
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial
from typing import IO

from vecnet.doctor.finding import Finding, State
from vecnet.errors import InputError
from vecnet.guests.kernel import read_version
from vecnet.kernel.brief_folder import brief_tree
from vecnet.signals import end_with_parent

_NAMES = ("linux", "linux.uml")  # of a guest's kernel; the second is Debian's
_PACKAGE = "user-mode-linux"
_SECONDS = 20.0  # for a boot of 2 s, on a busy machine
_WORDS = ("mem=64M", "con=null", "con0=null,fd:1", "ssl=null", "panic=1", "vec0:transport=bess,dst=/nothing/listens")
_UP, _HAS_VECTOR = b"Unable to mount root fs", b"andom ethernet address"
_MOST = 1 << 20  # bytes of what it says
_LAST = 3  # lines that are told where it does not come up


def binary(linux: str | None) -> str | None:
    """The path of a guest's kernel: the one that is given, or the first in PATH; None where there is none.

    Raises InputError.
    """
    if linux is not None:
        found = shutil.which(linux)
        if found is None or read_version(found) is None:
            raise InputError(f"{linux!r} is no kernel that can be started", "give the path of a User Mode Linux")
        return found
    paths = (shutil.which(name) for name in _NAMES)
    return next((path for path in paths if path is not None and read_version(path) is not None), None)


def examine(path: str | None, needed: tuple[str, ...]) -> Finding:
    """Boot it. Where there is none, that is a note: guests may have theirs elsewhere."""
    if path is None:
        lacking = f"neither {' nor '.join(_NAMES)} in PATH is a guest's kernel"
        return Finding("guest", State.NOTE, lacking, f"{_how_to_install_one()}, or --linux PATH")
    began = time.monotonic()
    said = _boot(path)
    name = f"{path}, {read_version(path)},"
    if _UP not in said:
        lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        said_last = f"{name} does not boot: {' | '.join(lines[-_LAST:])}"
        return Finding("guest", State.MISSING, said_last, _mend(said), needed)
    if _HAS_VECTOR not in said:
        mend = "build it with CONFIG_UML_NET_VECTOR"
        return Finding("guest", State.MISSING, f"{name} has no vector devices", mend, needed)
    return Finding("guest", State.OK, f"{name} boots here, in {time.monotonic() - began:.1f} s", needed=needed)


def _how_to_install_one() -> str:
    release: dict[str, str] = {}
    with suppress(OSError):
        release = platform.freedesktop_os_release()
    if "ubuntu" in (release.get("ID"), *release.get("ID_LIKE", "").split()):
        return f"Ubuntu has no {_PACKAGE}; install Debian's as the tutorial says"
    return f"apt-get install {_PACKAGE}"


def _mend(said: bytes) -> str:
    if b"PROT_EXEC" in said or b"noexec" in said:
        return "mount -o remount,exec /dev/shm, or set TMPDIR to a folder in memory without noexec"
    if b"ptrace" in said:
        return "allow ptrace: sysctl kernel.yama.ptrace_scope, or a container's --cap-add SYS_PTRACE"
    if b"No space" in said or b"No usable memory" in said:
        return "make room in /dev/shm, or set TMPDIR to another folder in memory"
    return f"start it by hand: {_NAMES[0]} mem=64M"


def _boot(path: str) -> bytes:
    """What it says, until it has come up, or ended, or its time is over. Nothing of it is left."""
    with brief_tree() as (folder, _):
        try:
            process = subprocess.Popen(
                [path, *_WORDS, f"uml_dir={folder}/"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGKILL),
            )
        except OSError as error:
            return str(error.strerror).encode()
        assert process.stdout is not None
        with process.stdout as output:
            try:
                return _until_up(output)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _until_up(output: IO[bytes]) -> bytes:
    said, until = b"", time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while _UP not in said and len(said) < _MOST and (left := until - time.monotonic()) > 0:
            if not selector.select(left):
                break
            more = os.read(output.fileno(), 1 << 16)
            if not more:
                break
            said += more
    return said
